"""Reads what `python -m speech` made: the words and sentences of a split, for training and tests."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from .manifest import dropped, lines


class Clip(NamedTuple):
    """A word, a phrase or a sentence in an audio file, and the piece of the file in which nothing else is said.

    `kind` is `label` (a word of ours), `near` (a word that sounds almost like one), `pair` (words that together do), `part`
    (a piece of one), `other` (any word) or `running` (a sentence). Times are in milliseconds from the file's beginning.
    """

    path: Path
    kind: str
    label: str
    text: str
    near: str | None
    first_ms: int
    last_ms: int
    from_ms: int
    to_ms: int
    engine: str
    voice: str
    words: list


def clips(folder: Path, split: str) -> list[Clip]:
    """Every clip of the split that a recogniser heard as its word, in the order of the plan."""
    left_out, found = dropped(folder), []
    for line in sorted(lines(folder / "manifest.jsonl"), key=lambda line: line["n"]):
        if line["split"] == split and line["file"]:
            for number, item in enumerate(line["items"]):
                if (line["n"], number) not in left_out:
                    times = (item[key] for key in ("first_ms", "last_ms", "from_ms", "to_ms"))
                    found.append(Clip(folder / line["file"], item["kind"], item["label"], item["text"], item["near"], *times,
                                      line["engine"], line["voice"], item.get("words", [])))
    return found


def counts(folder: Path) -> dict[str, Counter]:
    """Clips of each split by label, and by kind where the label is `_unknown_`."""
    return {split: Counter(c.label if c.kind == "label" else c.kind for c in clips(folder, split)) for split in ("train", "val", "test")}
