"""Finds the recordings, says which are held out, and keeps their mel power on disk.

Layouts read: `train/ val/ test/` folders of word folders; and the Google Speech Commands
download with its validation_list.txt and testing_list.txt. Nothing of the test partition is
ever opened here.
"""

import hashlib
import json
import multiprocessing
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

import synth
from config import COMMANDS, LEFT_OUT, FrontEnd
from features import AUDIO, MelPower, read_audio, resample, word_span

# Versions of a word clip: as recorded, then at another speed and pitch and a shift within the hop.
VERSIONS = 3
SPEED = (0.87, 1.15)
SYNTH_PER_COMMAND, SYNTH_PER_WORD = 220, 16


def audio_under(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO)


def held_out(files: list[Path]) -> list[Path]:
    """Every fifth file of a sorted list is for validation only."""
    return files[4::5]


def kept(files: list[Path]) -> list[Path]:
    return [f for i, f in enumerate(files) if i % 5 != 4]


def partition(data: Path, name: str) -> list[Path]:
    """The clips of `train`, `val` or `test`, each in a folder named by its word."""
    if (data / name).is_dir():
        return audio_under(data / name)
    lists = {part: data / f"{long}_list.txt" for part, long in (("val", "validation"), ("test", "testing"))}
    if not all(path.is_file() for path in lists.values()):
        raise SystemExit(f"{data}: neither a {name}/ folder nor validation_list.txt and testing_list.txt")
    listed = {part: set(path.read_text().split()) for part, path in lists.items()}
    if name in listed:
        return [data / clip for clip in sorted(listed[name])]
    clips = [p for p in audio_under(data) if not p.parent.name.startswith("_")]
    return [p for p in clips if f"{p.parent.name}/{p.name}" not in listed["val"] | listed["test"]]


@dataclass
class Sources:
    """What the recipe reads: Speech Commands, noise, and other speech in which no command is spoken."""

    data: Path
    noise: list[Path]
    speech: list[Path]

    def entries(self, seed: int) -> list[tuple]:
        """(kind, name, path or synthesis, version) of everything in the training mix."""
        found = []
        for path in partition(self.data, "train"):
            word = path.parent.name
            if word not in LEFT_OUT:
                kind = "command" if word in COMMANDS else "word"
                found += [(kind, word, str(path), version) for version in range(VERSIONS)]
        for word, *voice in synth.training_mix(seed, SYNTH_PER_COMMAND, SYNTH_PER_WORD):
            found.append(("synth_command" if word in COMMANDS else "synth_word", word, voice, 0))
        for folder in self.speech:
            found += [("speech", folder.name, str(path), 0) for path in kept(audio_under(folder))]
        for folder in self.noise:
            found += [("noise", folder.name, str(path), 0) for path in kept(audio_under(folder))]
        return found


def _mel_power(task):
    number, (kind, word, source, version), front = task
    random = np.random.default_rng(number)
    if isinstance(source, list):
        samples = synth.speak(word, source[0], front.sample_rate, source[1], source[2])
    else:
        samples = read_audio(source, front.sample_rate)
    if version > 0:
        samples = resample(samples, random.uniform(*SPEED))[random.integers(0, front.hop) :]
    first, last = word_span(samples, front.hop) if kind not in ("noise", "speech") else (0, len(samples) // front.hop)
    return MelPower(front).padded(samples), first, last


class Corpus:
    """Mel power of every entry in one array [frames, mels], and a row for each entry."""

    def __init__(self, sources: Sources, front: FrontEnd, work: Path, seed: int = 1):
        self.entries = sources.entries(seed)
        # Mel power comes before the level normalisation, so it outlives changes of that.
        power = replace(front, level_decay=0.0, level_floor=0.0, range=0.0)
        key = hashlib.sha256(json.dumps([power.json(), self.entries]).encode()).hexdigest()[:16]
        folder = work / f"mel-power-{key}"
        if not (folder / "rows.npy").is_file():
            self._build(front, folder)
        self.power = np.load(folder / "power.npy")
        # Columns: first frame in `power`, frames, first and last frame of the word.
        self.rows = np.load(folder / "rows.npy")

    def _build(self, front: FrontEnd, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        # Each worker is one process on one core.
        os.environ["OMP_NUM_THREADS"] = "1"
        powers, rows, offset = [], [], 0
        with multiprocessing.get_context("spawn").Pool() as pool:
            tasks = ((i, entry, front) for i, entry in enumerate(self.entries))
            work = pool.imap(_mel_power, tasks, chunksize=16)
            for power, first, last in tqdm(work, total=len(self.entries), desc="features", unit="clip"):
                powers.append(power)
                rows.append((offset, len(power), first, last))
                offset += len(power)
        del os.environ["OMP_NUM_THREADS"]
        np.save(folder / "power.npy", np.concatenate(powers))
        np.save(folder / "rows.npy", np.array(rows, np.int64))

    def where(self, kind: str, name: str | None = None) -> np.ndarray:
        """Row numbers of a kind, and of a word or folder in it."""
        return np.array([i for i, e in enumerate(self.entries) if e[0] == kind and name in (None, e[1])], np.int64)

    def names(self, kind: str) -> list[str]:
        return sorted({e[1] for e in self.entries if e[0] == kind})
