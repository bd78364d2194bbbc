"""What a text sounds like, as a sequence of numbers: the sounds that espeak-ng gives its words, in American English or the language of the labels."""

import json
from pathlib import Path

import numpy as np

from config import LANGUAGE
from speech.phonemes import ACCENTS, FOREIGN, KNOWN, bare, in_bulk

# Number 0 is the blank of CTC.
SOUNDS = "".join(sorted((KNOWN if LANGUAGE == "en" else FOREIGN) - set(" .,!?ˈˌː")))
LONGEST = 40


def spoken(texts: list[str], work: Path) -> dict[str, str]:
    """The sounds of each text, kept in the work folder."""
    path = work / "phonemes.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    missing = sorted(set(texts) - known.keys() - {""})
    if missing:
        known.update({text: bare(said) for text, said in in_bulk(missing, ACCENTS[0]).items()})
        path.write_text(json.dumps(known))
    return known


def numbers(texts: list[str], work: Path) -> np.ndarray:
    """[texts, LONGEST], 0 after the end; a longer text, or an empty one, is all 0."""
    known, found = spoken(texts, work), np.zeros((len(texts), LONGEST), np.uint8)
    for row, text in zip(found, texts):
        sounds = [SOUNDS.index(sound) + 1 for sound in known.get(text, "")]
        if len(sounds) <= LONGEST:
            row[: len(sounds)] = sounds
    return found
