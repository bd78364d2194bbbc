"""Finds where training speech sounds to the network most like a word that is not said in it, to be heard more often."""

import numpy as np

from alarms import peaks
from config import COMMANDS, FROM_TEXT, WAKE, WORDS
from corpus import Corpus
from evaluate import Listener
from features import normalise

HARDEST = 400  # places of each wake word, and of all other words together
PIECE = 2000  # frames heard at once
# Kinds of speech in which no word of ours is said, and in which no wake word is.
WORDLESS, SPOKEN = ("speech", "synth_speech"), ("spoken",)


def hardest(model, corpus: Corpus, front, smoothing: int, device: str) -> np.ndarray:
    """Places in the corpus, [n, 2]: entry, and frame at which one of the words is likeliest. The same model finds the same ones."""
    pieces = []  # entry, first frame, features
    for entry, (kind, *_) in enumerate(corpus.entries):
        if kind in WORDLESS + SPOKEN:
            power, _, _ = corpus.row(entry)
            pieces += [(entry, start, normalise(power[start : start + PIECE], front)) for start in range(0, len(power), PIECE)]
    pieces = [piece for piece in pieces if len(piece[2]) > 2 * model.profile.chunk]
    heard = Listener.of_features([features for *_, features in pieces], front, device).posteriors(model, smoothing)
    groups = [[WORDS.index(word)] for word in WAKE] + [[WORDS.index(word) for word in COMMANDS + FROM_TEXT]]
    found = []
    for labels in filter(None, groups):
        places = []
        for (entry, start, _), posteriors in zip(pieces, heard):
            if corpus.entries[entry][0] in WORDLESS or len(labels) == 1:
                places += [(height, entry, start + frame) for height, frame in peaks(posteriors[:, labels])]
        found += [place[1:] for place in sorted(places, reverse=True)[:HARDEST]]
    return np.array(found, np.int64).reshape(-1, 2)
