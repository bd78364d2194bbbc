"""Finds the recordings, says which are held out, and keeps their mel power on disk.

Layouts read: `train/ val/ test/` folders of word folders; and the Google Speech Commands
download with its validation_list.txt and testing_list.txt. Nothing of the test partition is
ever opened here.
"""

import hashlib
import json
import multiprocessing
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

import phonemes
import synth
from config import COMMANDS, FROM_TEXT, WAKE, WORDS, FrontEnd, says_a_label
from features import AUDIO, MelPower, read_audio, resample, word_span
from speech.clips import clips

# Versions of a word clip: as recorded, then at another speed and pitch and a shift within the hop, the last
# one clipped too, now and then.
VERSIONS = 3
SPEED = (0.87, 1.15)
CLIPPED, OVERDRIVE = 0.4, (3.0, 38.0)  # share, dB above full scale
# Kinds of entries whose name is what is said; in brackets it is sounds that are no word.
SINGLE = ("command", "word", "synth_command", "synth_word", "near")
SYNTH_PER_COMMAND, SYNTH_PER_WORD = 220, 16


def audio_under(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO)


def held_out(files: list[Path]) -> list[Path]:
    """Every fifth file of a sorted list is for validation only; of a folder of speakers, every fifth speaker."""
    return [f for f, out in zip(files, _fifth(files)) if out]


def kept(files: list[Path]) -> list[Path]:
    return [f for f, out in zip(files, _fifth(files)) if not out]


def _fifth(files: list[Path]) -> list[bool]:
    """LibriSpeech's names begin with the speaker's number, and lie in a folder of it."""
    spoken = bool(files) and all(f.name.startswith(f"{f.parent.name}-") for f in files)
    units = sorted({f.parent if spoken else f for f in files})
    out = set(units[4::5])
    return [(f.parent if spoken else f) in out for f in files]


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


def transcripts(folder: Path) -> dict[str, str]:
    """What is said, by file name: FOLDER.txt beside a folder of recordings, a line each, the name and the words."""
    path = folder.with_suffix(".txt")
    lines = path.read_text().splitlines() if path.is_file() else []
    return {name: text.lower() for name, _, text in (line.partition(" ") for line in lines)}


def free_of_commands(folder: Path, files: list[Path], words: list[str] = WORDS) -> list[Path]:
    """Those of a folder's recordings in whose transcript, where there is one, none of the words stands."""
    said = transcripts(folder)
    return [f for f in files if not says_a_label(said.get(f.stem, ""), words)]


# Of a sorted folder of recordings of one wake word, by place modulo 4: which choose, and which may be trained on.
CHOOSING, TRAINED = 0, 1


def wake_clips(folder: Path, word: str, part: int) -> list[Path]:
    return audio_under(folder / word)[part::4]


@dataclass
class Sources:
    """What the recipe reads: Speech Commands, noise, other speech in which no command is spoken (but where a
    transcript says so), synthetic speech, recordings of the wake words, and a person's own of any words, a folder each."""

    data: Path | None
    noise: list[Path]
    speech: list[Path]
    text: list[Path] = field(default_factory=list)
    wake: Path | None = None
    own: Path | None = None

    def groups(self, seed: int) -> list[list[tuple]]:
        """(kind, name, path or synthesis, version) of everything in the training mix; what is told apart is kept apart
        on disk, so that more of one is not all to be computed anew."""
        recorded = []
        for path in partition(self.data, "train") if self.data else ():
            word = path.parent.name
            # A word that is learnt from text is not heard as another word either.
            if word not in FROM_TEXT + WAKE:
                kind = "command" if word in COMMANDS else "word"
                recorded += [(kind, word, str(path), version) for version in range(VERSIONS)]
        voices = [("synth_command" if word in WORDS else "synth_word", word, voice, 0)
                  for word, *voice in synth.training_mix(seed, SYNTH_PER_COMMAND, SYNTH_PER_WORD)]
        long = []
        for folder in self.speech:
            files = free_of_commands(folder, kept(audio_under(folder)), WAKE)
            free = set(free_of_commands(folder, files))
            long += [("speech" if path in free else "spoken", folder.name, str(path), 0) for path in files]
        noise = [("noise", folder.name, str(path), 0) for folder in self.noise for path in kept(audio_under(folder))]
        wake = [("command", word, str(path), version) for word in WAKE if self.wake
                for path in wake_clips(self.wake, word, TRAINED) for version in range(VERSIONS)]
        text = [entry(clip) for folder in self.text for clip in clips(folder, "train")]
        own = [("command", word, str(path), version) for word in WORDS if self.own
               for path in audio_under(self.own / word) for version in range(VERSIONS)]
        return [group for group in (recorded, voices, long, noise, wake, text, own) if group]


def entry(clip) -> tuple:
    """A clip of `speech`: where in its file it is alone, and from when to when it is spoken; all in ms."""
    kind = {"label": "synth_command", "running": "synth_speech", "other": "synth_word"}.get(clip.kind, "near")
    name = {"label": clip.label, "running": "text"}.get(clip.kind, clip.text)
    return (kind, name, [str(clip.path), clip.from_ms, clip.to_ms, clip.first_ms, clip.last_ms], 0)


def cut(path: str, start_ms: float, end_ms: float, rate: int) -> np.ndarray:
    samples = read_audio(path, rate)
    return samples[round(start_ms * rate / 1000) : round(end_ms * rate / 1000)]


def _mel_power(task):
    number, (kind, word, source, version), front = task
    random = np.random.default_rng(number)
    rate, span = front.sample_rate, None
    if isinstance(source, list) and len(source) == 3:
        # A voice of espeak-ng, words a minute, pitch.
        samples = synth.speak(word, source[0], rate, source[1], source[2])
    elif isinstance(source, list):
        path, start, end, first, last = source
        samples = cut(path, start, end, rate)
        span = [round((at - start) * rate / 1000 / front.hop) for at in (first, last)]
    else:
        samples = read_audio(source, rate)
    if version > 0:
        samples = resample(samples, random.uniform(*SPEED))[random.integers(0, front.hop) :]
    if version == 2 and random.random() < CLIPPED:
        drive = 10.0 ** (random.uniform(*OVERDRIVE) / 20.0) * 32767.0 / max(np.abs(samples).max(), 1.0)
        samples = np.clip(samples * drive, -32768, 32767).astype(np.float32)
    hops = max(1, len(samples) // front.hop)
    if kind in ("noise", "speech", "spoken", "synth_speech"):
        first, last = 0, hops
    elif span:
        first = int(np.clip(span[0], 0, hops - 1))
        last = int(np.clip(span[1], first, hops - 1))
    else:
        first, last = word_span(samples, front.hop)
    return MelPower(front).padded(samples), first, last


class Corpus:
    """Mel power of every entry in one array [frames, mels], a row for each entry, and the phonemes of those whose text is known."""

    def __init__(self, sources: Sources, front: FrontEnd, work: Path, seed: int = 1):
        self.entries, powers, rows, offset = [], [], [], 0
        for group in sources.groups(seed):
            power, own = self._of(group, front, work)
            own[:, 0] += offset
            offset += len(power)
            self.entries += group
            powers.append(power)
            rows.append(own)
        self.power = np.concatenate(powers)
        # Columns: first frame in `power`, frames, first and last frame of the word.
        self.rows = np.concatenate(rows)
        said = [name if kind in SINGLE and name[0] != "[" else "" for kind, name, *_ in self.entries]
        self.phonemes = phonemes.numbers(said, work)

    def _of(self, entries, front: FrontEnd, work: Path):
        # Mel power comes before the level normalisation, so it outlives changes of that.
        power = replace(front, level_decay=0.0, level_floor=0.0, level_frames=0, range=0.0)
        key = hashlib.sha256(json.dumps([power.json(), entries, CLIPPED, OVERDRIVE]).encode()).hexdigest()[:16]
        folder = work / f"mel-power-{key}"
        if not (folder / "rows.npy").is_file():
            self._build(entries, front, folder)
        return np.load(folder / "power.npy", mmap_mode="r"), np.load(folder / "rows.npy")

    def _build(self, entries, front: FrontEnd, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        # Each worker is one process on one core.
        os.environ["OMP_NUM_THREADS"] = "1"
        powers, rows, offset = [], [], 0
        with multiprocessing.get_context("spawn").Pool() as pool:
            tasks = ((i, entry, front) for i, entry in enumerate(entries))
            work = pool.imap(_mel_power, tasks, chunksize=16)
            for power, first, last in tqdm(work, total=len(entries), desc="features", unit="clip"):
                powers.append(power)
                rows.append((offset, len(power), first, last))
                offset += len(power)
        del os.environ["OMP_NUM_THREADS"]
        np.save(folder / "power.npy", np.concatenate(powers))
        np.save(folder / "rows.npy", np.array(rows, np.int64))

    def row(self, number: int) -> tuple[np.ndarray, int, int]:
        """An entry's mel power, and the first and last frame of its word."""
        offset, frames, first, last = self.rows[number]
        return self.power[offset : offset + frames], int(first), int(last)

    def where(self, kind: str, name: str | None = None) -> np.ndarray:
        """Row numbers of a kind, and of a word or folder in it."""
        return np.array([i for i, e in enumerate(self.entries) if e[0] == kind and name in (None, e[1])], np.int64)

    def names(self, kind: str) -> list[str]:
        return sorted({e[1] for e in self.entries if e[0] == kind})
