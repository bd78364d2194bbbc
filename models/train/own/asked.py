"""What a person asks for in words.toml, and whether it can be had: each problem is one line that says what to do."""

import subprocess
import tomllib
import unicodedata
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from config import COMMANDS, FROM_TEXT, WAKE, FrontEnd
from features import word_span
from speech.phonemes import VOICES, VOWELS, bare, distance, phonemes
from speech.reading import READERS, foreign
from speech.voices import NATIVE
from synth import speak

from .recordings import Unusable, checked

LABELS_MOST, WAKE_MOST, NAME_BYTES = 62, 8, 64  # what an image holds; _unknown_ and _silence_ come on top
LONGEST_S = 3.0  # at a usual pace: the caches remember one second a layer, and a command lasts 1 to 3 s
SHIPPED = COMMANDS + FROM_TEXT + WAKE
# espeak-ng would read it wrong, as it does not know which word a character is of, and nothing else is there that reads it.
UNREAD = {"yue": "Cantonese"}
SAME_LANGUAGE = {"cmn": "zh"}  # another code of it
KEYS = {"language": str, "wake": list, "commands": list, "keep": list, "recordings": dict, "learn": int, "hours": (int, float),
        "false_alarms_per_hour": (int, float)}
# The other words of Speech Commands, of which the shipped weights heard recordings.
HEARD = """backward bed bird cat dog eight five follow forward four happy house learn marvin nine one seven sheila six three tree two
visual wow zero""".split()
# Distances of two words' sounds (speech/phonemes.py): below the first they are one word, up to the second they differ by one sound.
SAME, ALIKE = 0.5, 1.0
# False alarms of the shipped commands, nearly all of one syllable, an hour of speech: 46 of eight words (README).
SHORT_ALARMS = 46 / 8


class BadWords(Exception):
    """A words.toml that cannot be used; the text is one line."""


@dataclass
class Asked:
    """What words.toml says. `wake` and `commands` hold kept words too, in the order of the labels."""

    language: str = "en"
    wake: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)
    recordings: dict[str, Path] = field(default_factory=dict)
    learn: int | None = None
    hours: float = 2.0
    false_alarms_per_hour: float = 0.5

    @property
    def words(self) -> list[str]:
        return self.commands + self.wake

    @property
    def new(self) -> list[str]:
        return [word for word in self.words if word not in self.keep]


def read(path: Path) -> Asked:
    """Reads a words.toml, and checks all that needs neither speech nor recordings."""
    found = table(path)
    language = found.get("language", "en")
    language = SAME_LANGUAGE.get(language, language)
    if language in UNREAD:
        raise BadWords(f"{path}: language `{language}`: {UNREAD[language]} needs a reading front end, which is not there yet; "
                       f"there are en, {', '.join(NATIVE)}, and by espeak-ng alone, which is weaker, most others")
    asked = Asked(language, *labels(path, found, language), {}, found.get("learn"), float(found.get("hours", 2.0)), float(found.get("false_alarms_per_hour", 0.5)))
    for key, low, high in (("hours", 0.5, 48.0), ("false_alarms_per_hour", 0.01, 60.0), ("learn", 0, 100_000)):
        value = getattr(asked, key)
        if value is not None and not low <= value <= high:
            raise BadWords(f"{path}: `{key}` is {value}; expected {low} to {high}")
    for word, folder in found.get("recordings", {}).items():
        if word not in asked.words or not isinstance(folder, str):
            raise BadWords(f"{path}: recordings: `{word}` = {folder!r}; expected a word of wake, commands or keep and the folder of its recordings")
        asked.recordings[word] = path.parent / folder
    return asked


def table(path: Path) -> dict:
    """The keys of a words.toml, each of its type."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadWords(f"{path}: no such file; it lists the words, for example wake = [\"alexa\"]") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadWords(f"{path}: no TOML: {error}") from None
    for key, value in found.items():
        if key not in KEYS:
            raise BadWords(f"{path}: unknown key `{key}`; there are {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]) or isinstance(value, bool) or isinstance(value, list) and not all(isinstance(word, str) for word in value):
            raise BadWords(f"{path}: `{key}` is {value!r}; expected {expected(key)}")
    return found


def labels(path: Path, found: dict, language: str) -> tuple[list[str], list[str], list[str]]:
    """Wake words, commands and those of them that the shipped model has, which keep what it knows wherever they are listed."""
    wake, commands, keep = (found.get(key, []) for key in ("wake", "commands", "keep"))
    listed = wake + commands + keep
    for word in listed:
        named(path, word)
        if listed.count(word) > 1:
            raise BadWords(f"{path}: `{word}` stands there twice; each word once, under wake, commands or keep")
    if keep and language != "en":
        raise BadWords(f"{path}: keep: the shipped words are English, and these are `{language}`; make a model of each language")
    for word in keep:
        if word not in SHIPPED:
            raise BadWords(f"{path}: keep: `{word}` is no word of the shipped model, which has {', '.join(SHIPPED)}; a new one belongs under commands or wake")
    kept = [word for word in SHIPPED if word in listed and language == "en"]
    wake = [word for word in keep if word in WAKE] + wake
    commands = [word for word in kept if word not in wake] + [word for word in commands if word not in kept]
    if len(listed) == len(kept):
        raise BadWords(f"{path}: no new word under wake or commands; the shipped model has the kept ones already")
    if len(listed) > LABELS_MOST:
        raise BadWords(f"{path}: {len(listed)} words; an image holds {LABELS_MOST} beside _unknown_ and _silence_: take {len(listed) - LABELS_MOST} away")
    if len(wake) > WAKE_MOST:
        raise BadWords(f"{path}: {len(wake)} wake words; an image holds {WAKE_MOST}: make commands of the others")
    return wake, commands, kept


def expected(key: str) -> str:
    return {str: "a text", list: "a list of texts in quotes", dict: "a table of word = \"folder\"", int: "a whole number"}.get(KEYS[key], "a number")


def named(path: Path, word: str):
    """Raises BadWords if an image cannot name a label so, or other programs would take it for several."""
    letters = all(c.isalpha() or unicodedata.category(c).startswith("M") or c in " '" for c in word)
    if not letters or not word.strip() or word != " ".join(word.split()) or word != word.lower():
        raise BadWords(f"{path}: `{word}`: expected words in small letters with single spaces between them; numbers and signs as they are said (\"two\")")
    if len(word.encode()) > NAME_BYTES:
        raise BadWords(f"{path}: `{word}` takes {len(word.encode())} bytes; a label has {NAME_BYTES} at most: a shorter phrase")


def sounds(asked: Asked) -> dict[str, list[str]]:
    """The sounds of each word, in the language's accents; raises BadWords for one that espeak-ng, or the language's own reader, cannot say."""
    found = {}
    for word in asked.words:
        found[word] = []
        for accent in ("us", "gb") if asked.language == "en" else (asked.language,):
            said = bare(phonemes([word], accent)[0])
            by, instead = reads(asked.language), "write it as it sounds, in that language's letters"
            if foreign(word, asked.language) or by == "espeak-ng" and spelt(word, said, accent):
                raise BadWords(f"`{word}`: {by} does not read it in language `{asked.language}`, it spells its letters; {instead}")
            if not set(said) & VOWELS:
                raise BadWords(f"`{word}`: {by} cannot say it in language `{asked.language}`; {instead}")
            found[word].append(said)
    return found


def reads(language: str) -> str:
    """Names what writes the sounds of the language."""
    return READERS[language].modules[0] if language in READERS else "espeak-ng"


def spelt(word: str, said: str, accent: str) -> bool:
    """Says whether a word's sounds are the names of its letters."""
    return len(word) > 2 and said == bare(phonemes([" ".join(word.replace(" ", ""))], accent)[0])


def voice(language: str) -> str:
    """espeak-ng's name of the language."""
    return VOICES["us" if language == "en" else language] if language in ("en", *VOICES) else language


def language_spoken(language: str):
    """Raises BadWords if espeak-ng has no such voice."""
    command = ["espeak-ng", "-q", "-v", voice(language), "a"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise BadWords("espeak-ng is not on the path; on Debian: apt-get install espeak-ng") from None
    if done.returncode:
        raise BadWords(f"language `{language}`: espeak-ng has no such voice; `espeak-ng --voices` lists them")


def seconds(word: str, language: str, front: FrontEnd) -> float:
    """How long it takes to say, at a usual pace."""
    pcm = speak(word, voice(language), front.sample_rate)
    first, last = word_span(pcm, front.hop)
    return (last + 1 - first) * front.hop / front.sample_rate


@dataclass(frozen=True)
class Pair:
    """Two words and the distance of their sounds; `within`: all of the first is said in the second."""

    one: str
    other: str
    far: float
    within: bool


def pairs(found: dict[str, list[str]]) -> list[Pair]:
    """Words that sound too much alike, the likest first."""
    near = []
    for one, other in combinations(found, 2):
        far = min(distance(a, b) for a, b in zip(found[one], found[other]))
        one, other = sorted((one, other), key=lambda word: len(found[word][0]))
        within = any(a in b for a, b in zip(found[one], found[other])) and len(found[one][0]) > 2
        if far <= ALIKE or within:
            near.append(Pair(one, other, far, within))
    return sorted(near, key=lambda pair: pair.far)


def halves(found: dict[str, list[str]]) -> list[list[str]]:
    """Pairs of words that begin or end alike: "volume up" and "volume down", no and go."""
    cut = lambda said: (said[: len(said) // 2], said[len(said) // 2 :])
    alike = lambda a, b: any(distance(one, other) <= SAME for one, other in zip(cut(a), cut(b)))
    return [[one, other] for one, other in combinations(found, 2) if alike(found[one][0], found[other][0])]


@dataclass(frozen=True)
class Checked:
    """What is known of words that can be had: pairs that sound alike, the recordings of each, warnings, the longest of them, and
    pairs of which half of one and half of the other joined say one of them."""

    alike: list[Pair]
    recordings: dict[str, list[Path]]
    warnings: list[str]
    longest_s: float
    halves: list[list[str]] = field(default_factory=list)


def check(asked: Asked, front: FrontEnd) -> Checked:
    """Speaks the words and hears their recordings; raises BadWords if they cannot be had."""
    language_spoken(asked.language)
    found, lasts = sounds(asked), {}
    for word in asked.words:
        lasts[word] = seconds(word, asked.language, front)
        if lasts[word] > LONGEST_S:
            raise BadWords(f"`{word}` lasts about {lasts[word]:.1f} s; the network's caches hold a phrase of {LONGEST_S:.0f} s at most: a shorter one")
    alike = pairs(found)
    for pair in alike:
        if pair.far < SAME:
            raise BadWords(f"`{pair.one}` and `{pair.other}` sound the same; keep one of them")
    recordings = {}
    for word, folder in asked.recordings.items():
        try:
            recordings[word] = checked(word, folder, front)
        except Unusable as problem:
            raise BadWords(str(problem)) from None
    return Checked(alike, recordings, [*warnings(asked, found), *(alike_warning(pair) for pair in alike if not {pair.one, pair.other} <= set(asked.keep))], max(lasts.values()), halves(found))


def alike_warning(pair: Pair) -> str:
    if pair.within:
        return f"all of `{pair.one}` is said in `{pair.other}`: it is heard there too, first; another word in its place is surer"
    return f"`{pair.one}` and `{pair.other}` differ by one sound: they may be taken for each other; another word in place of one of them is surer"


def warnings(asked: Asked, found: dict[str, list[str]]) -> list[str]:
    told = []
    for word in asked.new:
        said = found[word][0]
        if np.sum([c in VOWELS for c in said]) <= 1 and len(said) <= 4:
            told.append(f"`{word}` is one short syllable: expect about {SHORT_ALARMS:.0f} false alarms an hour of speech where it counts at any time, as the shipped "
                        f"commands have; {'as a wake word take one of three syllables' if word in asked.wake else 'behind a wake word it does no harm'}")
    if asked.language not in ("en", *NATIVE):
        told.append(f"language `{asked.language}` is spoken by espeak-ng alone, whose voices are far from people's: expect more misses, and add recordings")
    elif asked.language != "en":
        told.append(f"language `{asked.language}`: {sum(map(len, NATIVE[asked.language].values()))} of the voices are of its speakers, the others have an English accent; the shipped "
                    "weights know English only: choose longer `hours`, and add recordings")
    return told
