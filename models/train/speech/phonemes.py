"""Phonemes of texts, how far apart two words sound, and which words sound almost like a label.

espeak-ng writes the phonemes, but of what `reading.py` reads; Kokoro learnt another spelling of them (misaki's), in which a diphthong or an
affricate is one character. English has two accents, `us` and `gb`; another language has one, by its code.
"""

import re
import subprocess
import zlib
from functools import lru_cache

import numpy as np

from config import LANGUAGE

from . import reading

ACCENTS = ["us", "gb"] if LANGUAGE == "en" else [LANGUAGE]
# espeak-ng's names of them, where they are others.
VOICES = {"us": "en-us", "gb": "en-gb", "fr": "fr-fr", "pt": "pt-br", "zh": reading.READERS["zh"].voice}
# espeak-ng's spelling with ties to Kokoro's; the order counts.
SPELLING = {
    "both": [("a^ɪ", "I"), ("a^ʊ", "W"), ("e^ɪ", "A"), ("ɔ^ɪ", "Y"), ("t^ʃ", "ʧ"), ("d^ʒ", "ʤ"), ("ə^l", "ᵊl"), ("ɚ", "əɹ"),
             ("r", "ɹ"), ("x", "k"), ("ç", "k"), ("ɐ", "ə"), ("ɬ", "l"), ("ʔ", "t")],
    "us": [("o^ʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪ^ə", "iə"), ("ɾ", "T"), ("ː", ""), ("o", "ɔ")],
    "gb": [("e^ə", "ɛː"), ("ə^ʊ", "Q"), ("o^ʊ", "Q"), ("iə", "ɪə"), ("i^ə", "ɪə"), ("ɾ", "t")],
}
OTHERS = [("a^ɪ", "I"), ("a^ʊ", "W"), ("e^ɪ", "A"), ("ɔ^ɪ", "Y"), ("o^ʊ", "O"), ("t^ʃ", "ʧ"), ("d^ʒ", "ʤ"), ("t^s", "ʦ"), ("d^z", "ʣ"), ("g", "ɡ"), (".", "")]
KNOWN = set(" .,!?ˈˌːAIOQWYTabdefhijklmnpstuvwzæðŋɑɒɔəɛɜɡɪɹʃʊʌʒʤʧθᵊᵻ")
# What Kokoro's vocabulary has for other languages; the first is the tilde of nasal vowels, on the letter before. Arrows are tones.
TONES = set("→↗↘↓")
FOREIGN = KNOWN | TONES | set("\u0303cqorxyøœβçɕɖɟɣɥɨɯɰɲɳɴɸɾɽɻʁʂʈʋʎʔχɤʝʣʦʰʲɐɚʨʥᵝꭧ")
VOWELS = set("AIOQWYaeiouæɑɒɔəɛɜɪʊʌᵊᵻyøœɨɯɤɐɚ")
GROUPS = [VOWELS, set("pbtdkɡTcqɟɖʈʔ"), set("fvθðszʃʒhxçɕβɣɸʂʁχʝɰ"), set("mnŋɲɳɴ"), set("lɹwjrɾɽɻʎʋɥ"), set("ʧʤʦʣʨʥꭧ"), TONES]
WEAK = TONES | set("əᵊᵻhjɹ\u0303ʰʲᵝ")


def spelt(ipa: str, accent: str) -> str:
    """Kokoro's spelling of what espeak-ng wrote with `--tie=^`; characters that Kokoro lacks are left out."""
    for old, new in SPELLING["both"] + SPELLING[accent] if accent in SPELLING else OTHERS:
        ipa = ipa.replace(old, new)
    known = KNOWN if accent in SPELLING else FOREIGN
    return "".join(c for c in re.sub(r"\([^)]*\)", "", ipa) if c in known).strip()


def phonemes(texts: list[str], accent: str) -> list[str]:
    """Kokoro's phonemes of each text, a word's between spaces; the texts are words without punctuation."""
    if not texts:
        return []
    if accent in reading.READERS:
        return ["".join(c for c in reading.front_end(accent).phonemes(text) if c in FOREIGN).strip() for text in texts]
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", VOICES.get(accent, accent), "--stdin"]
    done = subprocess.run(command, input="\n\n".join(texts) + "\n", check=True, capture_output=True, text=True)
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if len(lines) == len(texts):
        return [spelt(line, accent) for line in lines]
    if len(texts) == 1:
        return [spelt(" ".join(lines), accent)]
    half = len(texts) // 2
    return phonemes(texts[:half], accent) + phonemes(texts[half:], accent)


def in_bulk(texts: list[str], accent: str) -> dict[str, str]:
    found = {}
    for start in range(0, len(texts), 500):
        some = texts[start : start + 500]
        found.update(zip(some, phonemes(some, accent)))
    return found


def bare(spoken: str) -> str:
    """The phonemes without stress, length and spaces."""
    return "".join(c for c in spoken if c not in "ˈˌː .,!?")


@lru_cache(maxsize=None)
def swap(a: str, b: str) -> float:
    if a == b:
        return 0.0
    return 0.5 if any(a in group and b in group for group in GROUPS) else 1.0


def distance(a: str, b: str, within: bool = False) -> float:
    """Edit distance of two bare phoneme strings: 1 a phoneme, 0.5 for one of its kind, or for a weak one left out or put in;
    `within`: of `a` and the piece of `b` that is nearest to it."""
    gap = lambda c: 0.5 if c in WEAK else 1.0
    row = [0.0]
    for c in b:
        row.append(0.0 if within else row[-1] + gap(c))
    for c in a:
        before, row = row, [row[0] + gap(c)]
        for i, d in enumerate(b):
            row.append(min(before[i] + swap(c, d), before[i + 1] + gap(c), row[i] + gap(d)))
    return min(row) if within else row[-1]


def by_distance(near: tuple[float, str]) -> tuple[float, int]:
    """Sorts by distance, and words of the same distance by no letter's favour."""
    return near[0], zlib.crc32(near[1].encode())


class NearMisses:
    """Words, word pairs and parts of words that sound almost like a label, from a list of words."""

    def __init__(self, words: list[str], labels: list[str]):
        self.labels = labels
        self.spoken = {accent: {w: bare(p) for w, p in in_bulk(labels + words, accent).items()} for accent in ACCENTS}
        us = self.usual = self.spoken[ACCENTS[0]]
        # One word for one sound: the list's first, which is its most usual spelling as often as not.
        self.by_sound = {}
        for word in words:
            self.by_sound.setdefault(us[word], word)
        sounds = {spoken[label] for spoken in self.spoken.values() for label in labels}
        self.forbidden = sounds | {sound + s for sound in sounds for s in ("s", "z", "ᵻz")}

    def too_near(self, sound: str, label: str) -> bool:
        """Says whether a listener would take it for the label, or the label is in it."""
        for spoken in self.spoken.values():
            whole = spoken[label]
            if sound in self.forbidden or distance(sound, whole) < 0.5 or (len(whole) > 4 and whole in sound):
                return True
        return False

    def nearest(self, sound: str, limit: float, count: int) -> list[tuple[float, str]]:
        """(distance, word), nearest first."""
        found = []
        for other, word in self.by_sound.items():
            if abs(len(other) - len(sound)) <= 2 * limit:
                far = distance(other, sound)
                if far <= limit:
                    found.append((far, word))
        return sorted(found, key=by_distance)[:count]

    def words(self, label: str, count: int = 80) -> list[tuple[float, str]]:
        whole = self.usual[label]
        found = self.nearest(whole, max(1.5, 0.45 * len(whole)), 6 * count)
        allowed = [(far, w) for far, w in found if not any(self.too_near(self.spoken[a][w], label) for a in ACCENTS)]
        return allowed[:count]

    def longer(self, label: str, count: int = 160) -> list[tuple[float, str]]:
        """Longer words in which something sounds almost like the label, or like it but for what comes before."""
        whole, found = self.usual[label], []
        for other, word in self.by_sound.items():
            if len(other) > len(whole) and not other.startswith(whole):
                far = distance(whole, other, within=True)
                if far <= max(1.0, 0.3 * len(whole)):
                    found.append((far, word))
        found = sorted(found, key=by_distance)
        return [(far, w) for far, w in found[: 6 * count] if not any(self.too_near(self.spoken[a][w], label) for a in ACCENTS)][:count]

    def phrases(self, label: str, count: int = 120) -> list[tuple[float, str]]:
        """Two or three words that together sound almost like the label."""
        whole, found = self.usual[label], {}
        close = lru_cache(maxsize=None)(lambda part: self.nearest(part, 1.5, 10))
        cuts = [(i,) for i in range(1, len(whole))] + [(i, j) for i in range(2, len(whole)) for j in range(i + 2, len(whole))]
        for cut in cuts:
            parts = [whole[a:b] for a, b in zip((0, *cut), (*cut, len(whole)))]
            choices = [[]]
            for part in parts:
                choices = [c + [w] for c in choices for _, w in close(part)[: 10 if len(parts) == 2 else 5]]
            for choice in choices:
                if not set(choice) & set(self.labels):
                    far = distance("".join(self.usual[w] for w in choice), whole)
                    if 1.0 <= far <= 0.4 * len(whole):
                        found[" ".join(choice)] = far
        return sorted(((far, text) for text, far in found.items()), key=by_distance)[:count]

    def exchanged(self, phrase: str, count: int = 120) -> list[tuple[float, str]]:
        """The phrase with one of its words exchanged for one that sounds almost like it."""
        words, found = reading.words(phrase, ACCENTS[0]), {}
        for place, sound in enumerate(map(bare, phonemes(words, ACCENTS[0]))):
            for far, other in self.nearest(sound, max(1.5, 0.45 * len(sound)), 40):
                text = reading.phrase([*words[:place], other, *words[place + 1 :]], ACCENTS[0])
                # "light off" is "lights off" to most people.
                same = self.usual[other].rstrip("sz") == sound.rstrip("sz")
                if far >= 1.0 and not same and text not in self.labels:
                    found[text] = far
        return sorted(((far, text) for text, far in found.items()), key=by_distance)[:count]

    def parts(self, label: str) -> list[str]:
        """Pieces of the label's phonemes, at most three quarters of it, with a vowel."""
        whole = self.usual[label]
        found = {whole[i:j] for i in range(len(whole)) for j in range(i + 2, len(whole) + 1) if j - i <= 0.75 * len(whole)}
        return sorted(p for p in found if set(p) & VOWELS and (whole.startswith(p) or whole.endswith(p)))


def weighted(random: np.random.Generator, near: list[tuple[float, str]]) -> str:
    """One of them, the nearer the likelier."""
    weights = np.exp(-np.array([far for far, _ in near]))
    return near[random.choice(len(near), p=weights / weights.sum())][1]
