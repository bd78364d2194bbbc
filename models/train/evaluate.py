"""The decoder's answer on clips, in float and streaming, as `zerda eval` takes it in INT8."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from config import COMMANDS, FROM_TEXT, LABELS, SILENCE, UNKNOWN, WAKE
from corpus import audio_under, free_of_commands, held_out, partition
from features import MelPower, normalise, read_audio
from quantize import switch

# A clip is silence when no other label's smoothed posterior reaches this.
PRESENT = 0.5
PREFIX_S = 1.2
# Speech that breaks off where a clip is spliced to it is still heard as `_unknown_` for a moment,
# which is right, and no answer to the clip.
LINGERS_S = 0.2
FRAMES_AT_ONCE = 8000


def smooth(posteriors: np.ndarray, frames: int) -> np.ndarray:
    """Mean over the last `frames`, those before the stream counting 0. [T, classes]."""
    total = np.cumsum(np.pad(posteriors, ((frames, 0), (0, 0))), axis=0)
    return (total[frames:] - total[:-frames]) / frames


def answer(smoothed: np.ndarray) -> int:
    peaks = smoothed.max(axis=0)
    peaks[SILENCE] = 0.0
    return int(peaks.argmax()) if peaks.max() >= PRESENT else SILENCE


class Listener:
    """Hears recordings of any length by the whole-stream forward, which equals stepping. Their features are made once."""

    def __init__(self, streams: list[np.ndarray], front, device: str):
        self.streams, self.front, self.device, self.features = streams, front, device, []

    @classmethod
    def of_features(cls, features: list[np.ndarray], front, device: str) -> "Listener":
        """Hears features that are there already, [frames, mels] each."""
        listener = cls([], front, device)
        listener.features = features
        return listener

    def posteriors(self, model, smoothing: int) -> list[np.ndarray]:
        """Smoothed posteriors [frames, classes] of each PCM stream, which is followed by C frames of zeros."""
        shape, mel_power = model.eval().profile, MelPower(self.front)
        ahead, after = shape.chunk - shape.step, np.zeros(shape.chunk * self.front.hop, np.float32)
        while self.streams:
            self.features.append(normalise(mel_power(np.concatenate([self.streams.pop(0), after])), self.front))
        found, groups = [None] * len(self.features), [[]]
        for i in sorted(range(len(found)), key=lambda i: len(self.features[i])):
            if len(groups[-1]) * len(self.features[i]) > FRAMES_AT_ONCE:
                groups.append([])
            groups[-1].append(i)

        def hear(group):
            calls = [(len(self.features[i]) - ahead) // shape.step for i in group]
            frames = max(calls) * shape.step + ahead
            # Shorter streams are padded; attention looks back only, so their own frames do not change.
            batch = np.stack([np.pad(f[:frames], ((0, max(0, frames - len(f))), (0, 0))) for f in (self.features[i] for i in group)])
            with torch.no_grad():
                logits = model(torch.from_numpy(batch).to(self.device))
            for i, n, posteriors in zip(group, calls, torch.softmax(logits, -1).cpu().numpy()):
                found[i] = smooth(posteriors[: n * shape.step], smoothing)

        with ThreadPoolExecutor(os.cpu_count() if self.device == "cpu" else 1) as pool:
            list(pool.map(hear, groups))
        return found


class Trial:
    """Labelled clips, answered from a cold start and after other speech."""

    def __init__(self, labels: list[int], clips: list[np.ndarray], speech: list[Path], front, device: str):
        self.labels, random, before = np.array(labels), np.random.default_rng(5), round(PREFIX_S * front.sample_rate)
        spliced = []
        for i, clip in enumerate(clips):
            other = read_audio(speech[i * 7 % len(speech)], front.sample_rate)
            start = random.integers(0, max(1, len(other) - before))
            other = other[start : start + before]
            spliced.append(np.concatenate([np.pad(other, (before - len(other), 0)), clip]))
        self.skip = round((PREFIX_S + LINGERS_S) * front.sample_rate) // front.hop
        self.cold, self.after = Listener(list(clips), front, device), Listener(spliced, front, device)

    def answers(self, model, smoothing: int, after_speech: bool) -> np.ndarray:
        listener, skip = (self.after, self.skip) if after_speech else (self.cold, 0)
        return np.array([answer(s[skip:]) for s in listener.posteriors(model, smoothing)])

    def score(self, model, smoothing: int) -> "Score":
        """In float; and rounded as in INT8, once the model has ranges to round to."""
        scores = []
        for on in [False, True] if model.folded else [False]:
            switch(model, on)
            scores.append(Score(self.labels, *(self.answers(model, smoothing, after) for after in (False, True))))
        scores[0].rounded = scores[-1] if model.folded else None
        return scores[0]


class Score:
    rounded: "Score | None" = None

    def __init__(self, labels, cold, after_speech):
        self.clips, self.answers = len(labels), cold
        self.cold, self.after_speech = (100.0 * np.mean(a == labels) for a in (cold, after_speech))
        self.confusion = np.zeros((len(LABELS), len(LABELS)), int)
        np.add.at(self.confusion, (labels, cold), 1)

    def __str__(self):
        classes = " ".join(f"{l} {100 * row[i] / max(1, row.sum()):.0f}" for i, (l, row) in enumerate(zip(LABELS, self.confusion)))
        rounded = f" | rounded {self.rounded}, {self.differing:.2f} % answered differently" if self.rounded else ""
        return f"cold {self.cold:.2f} after speech {self.after_speech:.2f} | {classes}{rounded}"

    @property
    def differing(self) -> float:
        """Share of the clips, in percent, that rounding gives another answer to."""
        return 100.0 * np.mean(self.answers != self.rounded.answers)


def labelled(data: Path, name: str, rate: int) -> tuple[list[int], list[np.ndarray]]:
    labels, clips = [], []
    for path in partition(data, name):
        word = path.parent.name
        if word not in FROM_TEXT + WAKE:
            labels.append(LABELS.index(word) if word in LABELS else UNKNOWN)
            clips.append(read_audio(path, rate))
    return labels, clips


def held_out_speech(args) -> list[Path]:
    """What is heard before a clip: held-out speech, or else validation's other words."""
    speech = [f for folder in args.speech for f in free_of_commands(folder, held_out(audio_under(folder)))]
    return speech or [p for p in partition(args.data, "val") if p.parent.name not in COMMANDS]


def validation(args, front) -> Trial:
    """val/, with silence out of held-out noise at every level."""
    random, rate = np.random.default_rng(5), front.sample_rate
    labels, clips = labelled(args.data, "val", rate)
    noises = [f for folder in args.noise for f in held_out(audio_under(folder))]
    for i in range(150 if noises else 0):
        noise = read_audio(noises[i % len(noises)], rate)
        start = random.integers(0, max(1, len(noise) - rate + 1))
        noise = noise[start : start + rate]
        amplitude = 32768.0 * 10 ** (random.uniform(-90, -8) / 20)
        noise = noise * (amplitude / max(np.sqrt(np.mean(noise**2)), 1.0))
        labels.append(SILENCE)
        clips.append(np.clip(np.round(noise), -32768, 32767).astype(np.float32))
    return Trial(labels, clips, held_out_speech(args), front, args.device)


def test(args, front) -> Trial:
    """test/: for the model card only, once training is over."""
    return Trial(*labelled(args.data, "test", front.sample_rate), held_out_speech(args), front, args.device)
