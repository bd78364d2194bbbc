"""What is said: the utterances of all splits, in an order of which any beginning is a balanced whole.

Words come in lists of three to six with a comma or another mark between them, long ones alone too, since a word said alone
has another melody; sentences are speech in which no label is said.
"""

import re
from pathlib import Path

import numpy as np

from config import COMMANDS, FROM_TEXT, LANGUAGE, RECIPE, WAKE, says_a_label
from synth import OTHERS as PLAIN

from . import reading, voices
from .phonemes import ACCENTS, VOWELS, NearMisses, in_bulk, weighted

LABELS = [*COMMANDS, *WAKE, *FROM_TEXT]
UNKNOWN = "_unknown_"

# Words of the training split, at amount 1: a label's, its near misses, and the share of a label's that are said alone; of wake
# words, of commands that are learnt from text, and of those that were recorded.
OF_WAKE, OF_TEXT, OF_RECORDED = (900, 660, 0.33), (700, 280, 0.25), (150, 120, 0.17)
PLANNED = {**dict.fromkeys(WAKE, OF_WAKE), **dict.fromkeys(FROM_TEXT, OF_TEXT), **dict.fromkeys(COMMANDS, OF_RECORDED)}
SAID, NEAR, ALONE = ({label: of[i] for label, of in PLANNED.items()} for i in range(3))
OTHERS, OTHERS_ALONE, SENTENCES = 2400, 0.12, 560
# A long phrase is not said slower than in this many phonemes: a training stream must hold it.
LONGEST = 34
SPLIT_SHARES = {"train": 1.0, **RECIPE.get("held_out", {"val": 0.09, "test": 0.045})}

FRAMES = """the {} was in the {}|please put the {} near my {}|i have never seen a {} like this {}|they said {} and then {} again
we talked about {} for an hour|is that a {} or a {}|the word {} means something else|she wrote {} in her book
can you spell {} for me|my brother bought some {} yesterday|there is {} and there is {}|we need more {} and less {}
what does {} mean|give me the {} and the {}|tomorrow we will try {} at the {}|he said {} twice and then he laughed
that sounds like {} to me|i think it was {} not {}|the {} of the {} was very old|do you want {} with your {}
this {} makes me think of {}|after the {} came the {}|the children were playing {} all day|who told you about the {}""".replace("|", "\n").split("\n")


def usual_words(path: Path) -> list[str]:
    """The words of a word list that a person might say, without the labels."""
    words = [w for w in path.read_text(encoding="utf-8").split() if (w.isascii() or LANGUAGE != "en") and w.isalpha() and 2 <= len(w) <= 12]
    found = [w for w in words if not w[1:].isupper() and not says_a_label(w.lower()) and not reading.foreign(w, LANGUAGE)]
    # Lists of other languages hold all forms of a word.
    return found if LANGUAGE == "en" else found[:: max(1, len(found) // 20000)]


def stretches(path: Path, longest: int = 14) -> list[str]:
    """Pieces of a transcript (an identifier, then what was said, a line each) in which no label is said."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        said = re.sub(r"[^a-z' ]" if LANGUAGE == "en" else r"[^\w' ]", "", line.partition(" ")[2].lower())
        words = [word for part in said.split() for word in reading.words(part, LANGUAGE)]
        for start in range(0, len(words), longest):
            piece = words[start : start + longest]
            text = reading.phrase(piece, LANGUAGE)
            if len(piece) >= 4 and not says_a_label(text) and not reading.foreign(text, LANGUAGE):
                found.append(text)
    return found


def drawn_out(random: np.random.Generator, spoken: str) -> str:
    """The stressed vowel said longer."""
    places = [i + 1 for i, c in enumerate(spoken[1:], 1) if c in VOWELS and spoken[i - 1] == "ˈ"]
    places = places or [i + 1 for i, c in enumerate(spoken) if c in VOWELS][:1]
    return spoken[: places[0]] + "ː" * int(random.integers(1, 3)) + spoken[places[0] :] if places else spoken


def broken(phrase: str) -> list[tuple[float, str]]:
    """Pieces of a phrase of several words, as (distance, text), that are no label themselves."""
    words = reading.words(phrase, LANGUAGE)
    pieces = {reading.phrase(words[i:j], LANGUAGE) for i in range(len(words)) for j in range(i + 1, len(words) + 1) if j - i < len(words)} - set(LABELS)
    return [(2.0, piece) for piece in sorted(pieces)]


class Planner:
    def __init__(self, words: list[str], sentences: list[str], seed: int):
        self.near = NearMisses(words, LABELS)
        several = {label for label in LABELS if len(reading.words(label, LANGUAGE)) > 1}
        said_long = [label for label in LABELS if label in WAKE or label in several]
        self.near_phrases = {label: self.near.exchanged(label) + broken(label) if label in several else self.near.phrases(label) for label in said_long}
        self.parts = {label: self.near.parts(label) if voices.ENGINES.get("kokoro") else [] for label in said_long}
        # No single word sounds like a phrase.
        self.near_words = {label: self.near.words(label) or self.near_phrases.get(label) or self.near.nearest(self.near.usual[label], 99.0, 20)
                           for label in LABELS}
        self.longer = {label: self.near.longer(label) for label in LABELS}
        sounds = self.near.forbidden
        self.plain = [w for w in dict.fromkeys(PLAIN) if w not in LABELS] if LANGUAGE == "en" else []
        self.words = [w for w in words if self.near.usual[w] not in sounds]
        self.sentences, self.seed = sentences, seed

    def near_miss(self, random, label: str) -> dict:
        kind = random.random()
        if self.near_phrases.get(label) and kind < 0.3:
            return {"text": weighted(random, self.near_phrases[label]), "kind": "pair", "label": UNKNOWN, "near": label}
        if self.parts.get(label) and kind < 0.42:
            spoken = str(random.choice(self.parts[label]))
            return {"text": f"[{spoken}]", "phonemes": "ˈ" + spoken, "kind": "part", "label": UNKNOWN, "near": label}
        found = self.longer[label] if self.longer[label] and kind > 0.7 else self.near_words[label]
        return {"text": weighted(random, found), "kind": "near", "label": UNKNOWN, "near": label}

    def other(self, random) -> dict:
        word = random.choice(self.plain if self.plain and random.random() < 0.4 else self.words)
        return {"text": str(word), "kind": "other", "label": UNKNOWN, "near": None}

    def sentence(self, random) -> dict:
        if self.sentences and random.random() < 0.55:
            text = str(random.choice(self.sentences))
        elif LANGUAGE != "en":
            text = " ".join(map(str, random.choice(self.words, random.integers(4, 11))))
        else:
            frame = str(random.choice(FRAMES))
            while "{}" in frame:
                near = random.random() < 0.5
                word = weighted(random, self.near_words[str(random.choice(LABELS))]) if near else self.other(random)["text"]
                frame = frame.replace("{}", word, 1)
            text = frame
        return {"text": text, "kind": "running", "label": UNKNOWN, "near": None}

    def items(self, random, amount: float) -> tuple[list[list[dict]], list[dict]]:
        """Utterances of one item, and items to be listed."""
        alone, listed = [], []

        def add(item, share):
            if random.random() < share and self.sturdy(item):
                alone.append([item])
            else:
                listed.append(item)

        count = lambda n: int(np.ceil(n * amount))
        for label in LABELS:
            for _ in range(count(SAID[label])):
                add({"text": label, "kind": "label", "label": label, "near": None}, ALONE[label])
            for _ in range(count(NEAR[label])):
                add(self.near_miss(random, label), 0.15)
        for _ in range(count(OTHERS)):
            add(self.other(random), OTHERS_ALONE)
        alone += [[self.sentence(random)] for _ in range(count(SENTENCES))]
        return alone, [listed[i] for i in random.permutation(len(listed))]

    def sturdy(self, item: dict) -> bool:
        """Says whether Kokoro says it well at an end of an utterance, where it adds sounds to what is shorter."""
        return item["kind"] != "part" and len(self.near.usual.get(item["text"], item["text"])) > 4

    def sturdy_word(self, random) -> dict:
        item = self.other(random)
        return item if self.sturdy(item) else self.sturdy_word(random)

    def lists(self, random, listed: list[dict]) -> list[list[dict]]:
        """Three to six items each, the first and the last of them sturdy."""
        ends, middles, found = [i for i in listed if self.sturdy(i)], [i for i in listed if not self.sturdy(i)], []
        while ends or middles:
            first, last = (ends.pop() if ends else self.sturdy_word(random) for _ in range(2))
            between = []
            for _ in range(random.integers(1, 5)):
                if ends or middles:
                    frail = not ends or random.random() * (len(middles) + len(ends) / 2) < len(middles)
                    between.append(middles.pop() if frail else ends.pop())
            found.append([first, *between, last])
        return found

    def split(self, split: str, amount: float) -> list[dict]:
        random = np.random.default_rng([self.seed, voices.SPLITS.index(split)])
        utterances, listed = self.items(random, amount * SPLIT_SHARES[split])
        utterances += self.lists(random, listed)
        return [self.utterance(random, split, items) for items in utterances]

    def utterance(self, random, split: str, items: list[dict]) -> dict:
        items = [dict(item) for item in items]
        kind = "list" if len(items) > 1 else "running" if items[0]["kind"] == "running" else "alone"
        engine = voices.engine_of(random, split)
        if any(item["kind"] == "part" for item in items):
            engine = "kokoro"  # the others say words only
        marks = [",", ",", ".", "!", "?"]
        for item in items[:-1]:
            item["end"] = str(random.choice(marks))
        items[-1]["end"] = str(random.choice([".", ".", "!", "?"]))
        slow, fast = {"list": (0.6, 1.3), "alone": (0.6, 1.15), "running": (0.8, 1.3)}[kind]
        longest = max(len(self.near.usual.get(item["text"], "")) for item in items)
        slow = max(slow, longest / LONGEST)
        fast = max(slow, fast)
        voice = voices.draw(random, engine, split)
        return {"split": split, "kind": kind, "engine": engine, "voice": voice, "speed": round(float(random.uniform(slow, fast)), 2),
                "row": int(random.integers(-3, 8)) if random.random() < 0.5 else 0, "opus": 0.0 if random.random() < 0.5 else
                round(float(random.uniform(16.0, 28.0)), 1), "items": items}

    def plan(self, amount: float) -> list[dict]:
        """All utterances, the splits among one another, each with its number and seed."""
        found = [u for split in voices.SPLITS for u in self.split(split, amount)]
        random = np.random.default_rng([self.seed, 100])
        found = [found[i] for i in random.permutation(len(found))]
        texts = sorted({item["text"] for u in found for item in u["items"] if "phonemes" not in item})
        spoken = {accent: in_bulk(texts, accent) for accent in ACCENTS}
        for number, utterance in enumerate(found):
            utterance.update(n=number, seed=self.seed)
            if utterance["engine"] != "kokoro":
                continue
            for item in utterance["items"]:
                item.setdefault("phonemes", spoken[voices.accent(utterance["voice"])].get(item["text"]))
                single = " " not in item["phonemes"]
                if single and random.random() < (0.2 if utterance["kind"] == "alone" else 0.08):
                    item["phonemes"] = drawn_out(random, item["phonemes"])
        return found
