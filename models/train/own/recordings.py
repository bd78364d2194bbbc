"""A person's own recordings of a word: those that cannot be used are named, and the rest is shared out over learning and judging."""

from pathlib import Path

import numpy as np
import soundfile

from config import FrontEnd
from corpus import audio_under
from features import MelPower, read_audio, word_span

SHORTEST_S, LONGEST_S = 0.2, 6.0
# dBFS of the loudest sample, and dB of the loudest 10 ms above the quietest: less is silence, or a hum.
QUIETEST, STANDS_OUT = -60.0, 6.0
# Recordings that are compared with each other; the cost a frame up to which the median of all pairs is of one word; and how much
# farther from the others one may be. Of 12 recordings each of alexa, snowboy, computer and jarvis by many people all pass (medians
# 8 to 10.3, the farthest 1.24 times as far; two different words 11.4 to 13.7): a stray one is found where it sounds quite different.
COMPARED, ONE_WORD, FARTHER = 12, 11.0, 1.3
CEPSTRA = 13


class Unusable(Exception):
    """Recordings that cannot be used; the text says which, and what to do."""


def heard(path: Path, front: FrontEnd) -> np.ndarray:
    """Cepstra of the word in a recording, [frames, CEPSTRA]; raises Unusable where there is none."""
    try:
        samples = read_audio(path, front.sample_rate)
    except (soundfile.SoundFileError, OSError) as error:
        raise Unusable(f"{path}: no recording that can be read ({error}); expected WAV, FLAC or Ogg") from None
    seconds = len(samples) / front.sample_rate
    if seconds < SHORTEST_S:
        raise Unusable(f"{path}: empty ({seconds:.2f} s); expected one word in {SHORTEST_S} to {LONGEST_S:.0f} s: record it again or take it away")
    if seconds > LONGEST_S:
        raise Unusable(f"{path}: lasts {seconds:.1f} s; expected one word in {SHORTEST_S} to {LONGEST_S:.0f} s: cut it")
    level = 20.0 * np.log10(max(np.abs(samples).max(), 0.1) / 32768.0)
    hops = samples[: len(samples) // front.hop * front.hop].reshape(-1, front.hop)
    loudness = 10.0 * np.log10(np.square(hops).mean(1) + 1.0)
    if level < QUIETEST or loudness.max() - np.percentile(loudness, 5) < STANDS_OUT and loudness.max() - loudness.min() < STANDS_OUT:
        raise Unusable(f"{path}: silent, or the same sound throughout (peak {level:.0f} dBFS); expected a word that stands out: record it again or take it away")
    first, last = word_span(samples, front.hop)
    power = MelPower(front).padded(samples)[first : last + 1]
    return cepstra(np.log(np.maximum(power, 1.0)))


def cepstra(logs: np.ndarray) -> np.ndarray:
    """The cosine transform of log mel powers [frames, mels], without the loudness and the recording's own colour."""
    mels = logs.shape[1]
    basis = np.cos(np.pi / mels * (np.arange(mels)[:, None] + 0.5) * np.arange(1, CEPSTRA + 1)[None])
    found = logs @ basis * np.sqrt(2.0 / mels)
    return found - found.mean(0)


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Cost a frame of the cheapest alignment of two recordings (dynamic time warping), after Sakoe and Chiba 1978."""
    cost = np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2.0 * a @ b.T, 0.0))
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(len(a)):
        for j in range(len(b)):
            total[i + 1, j + 1] = min(total[i, j] + 2.0 * cost[i, j], total[i, j + 1] + cost[i, j], total[i + 1, j] + cost[i, j])
    return total[-1, -1] / (len(a) + len(b))


def checked(word: str, folder: Path, front: FrontEnd) -> list[Path]:
    """The recordings of a word, each of which can be used, and which are alike."""
    if not folder.is_dir():
        raise Unusable(f"{folder}: no such folder, which is to hold the recordings of `{word}`")
    files = audio_under(folder)
    if not files:
        raise Unusable(f"{folder}: no recordings of `{word}`; expected WAV, FLAC or Ogg files")
    found = {path: heard(path, front) for path in files}
    some = files[:: max(1, len(files) // COMPARED)][:COMPARED]
    if len(some) > 2:
        compare(word, folder, some, found)
    return files


def compare(word: str, folder: Path, files: list[Path], found: dict):
    """Raises Unusable if the recordings do not say the same, or one of them something else."""
    far = {frozenset((a, b)): apart(found[a], found[b]) for i, a in enumerate(files) for b in files[:i]}
    usual = np.median([*far.values()])
    if usual > ONE_WORD:
        raise Unusable(f"{folder}: its recordings are not alike (a distance of {usual:.1f}, expected at most {ONE_WORD:.0f}); each is to say `{word}` once and nothing else")
    median = {path: np.median([cost for pair, cost in far.items() if path in pair]) for path in files}
    worst = max(files, key=median.get)
    if median[worst] > FARTHER * usual:
        raise Unusable(f"{worst}: not like the other recordings of `{word}` ({median[worst] / usual:.1f} times as far from them as they from each other); "
                       "is another word said in it, or more than the word? Take it away or record it again")


def shared_out(files: list[Path], learn: int | None) -> tuple[list[Path], list[Path]]:
    """Those to learn from and those to judge by: `learn` of them, evenly spread, or three in four."""
    count = len(files) * 3 // 4 if learn is None else min(learn, len(files))
    learnt = {files[i * len(files) // count] for i in range(count)} if count else set()
    return [f for f in files if f in learnt], [f for f in files if f not in learnt]
