"""What a teacher heard in the training clips, as `teacher.py` writes it.

A logit for each word of Speech Commands. How near the words that were not said come to the one that was tells
more than the word itself; and some clips are cut off, or say another word than their folder.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch

from config import COMMANDS, LABELS, UNKNOWN
from corpus import Corpus

STEP = 1 / 8  # of a logit below the highest of its clip, down to 127 steps
TRUST = 0.5  # the teacher's share in what a clip's label is, the rest is the folder's


def write(path: Path, words: list[str], clips: list[str], logits: torch.Tensor):
    """`clips` are named `word/file` without suffix; logits [clips, words]."""
    below = ((logits.amax(1, keepdim=True) - logits) / STEP).round().clamp(max=127)
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, words=np.array(words, "S"), clips=np.array(clips, "S"), below=below.numpy().astype(np.int8))
    partial.replace(path)


def label_shares(logits: torch.Tensor) -> torch.Tensor:
    """Of logits of words, commands first, [clips, words], the shares of the labels, [clips, labels]: silence has none."""
    words, labels = torch.softmax(logits, dim=-1), torch.zeros(len(logits), len(LABELS))
    labels[:, : len(COMMANDS)] = words[:, : len(COMMANDS)]
    labels[:, UNKNOWN] = words[:, len(COMMANDS) :].sum(1)
    return labels


class Lessons:
    """By entry of the corpus; the last row, entry -1, is of what is no single word."""

    def __init__(self, corpus: Corpus, path: Path):
        try:
            words, clips, below = (np.load(path)[name] for name in ("words", "clips", "below"))
        except FileNotFoundError:
            raise SystemExit(f"{path}: no such file; teacher.py makes it") from None
        except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile):
            raise SystemExit(f"{path}: not a teacher's answers as teacher.py writes them") from None
        self.words = [word.decode() for word in words]
        if self.words[: len(COMMANDS)] != COMMANDS or below.shape != (len(clips), len(words)):
            raise SystemExit(f"{path}: expected logits of words that begin with {', '.join(COMMANDS)}; make it anew by teacher.py")
        at = {clip.decode(): i for i, clip in enumerate(clips)}
        rows = [at.get(f"{word}/{Path(source).stem}", -1) if kind in ("command", "word") else -1
                for kind, word, source, _ in corpus.entries]
        self.rows = torch.tensor([*rows, -1])
        self.logits = -STEP * torch.from_numpy(below).float()
        self.labels = label_shares(self.logits)

    def of(self, items, target):
        """Of a batch's items: the teacher's logits, [n, words]; which of them it heard, [n]; and the shares of the labels,
        [n, labels], given as the folders have them."""
        rows = self.rows[items[:, -1].cpu()]
        heard = (rows >= 0).to(items.device)
        target = target.lerp(self.labels[rows].to(items.device), TRUST * heard[:, None].float())
        return self.logits[rows].to(items.device), heard, target
