"""Misses against false alarms: `val`'s commands 10 dB above noise and above other people's talk, and speech
without commands. Noise, talk and negatives are those held out of training. Less than `zerda eval --stream`
measures, and quick enough to choose weights by.
"""

import numpy as np

from config import COMMANDS
from corpus import audio_under, held_out, partition
from evaluate import Listener
from features import read_audio, word_span

SNR = 10.0  # dB: power over the word's span to mean power of what lies under it
LEVEL = -26.0  # dBFS of the words
WORDS, PAUSE_S = 8, 0.7  # words of a stream, and before each
NEGATIVE_S = 20.0  # longest stretch of negatives heard at once
# Frames after a word's end in which it may be found; frames within which detections are one event.
LATE, APART = 30, 30
RATES = (60, 10)  # false alarms an hour at which misses are counted


def scaled(pcm: np.ndarray, decibels: float, span=slice(None)) -> np.ndarray:
    power = np.mean(np.square(pcm[span], dtype=np.float64))
    return pcm * np.float32(32768.0 * 10.0 ** (decibels / 20.0) / np.sqrt(max(power, 1e-3)))


def peaks(posteriors: np.ndarray) -> list[float]:
    """Posteriors of the false alarms that one threshold or another would let through, [frames, classes] in."""
    highest, found = posteriors[:, : len(COMMANDS)].max(1), []
    while highest.max(initial=0.0) > 0.1:
        frame = int(highest.argmax())
        found.append(float(highest[frame]))
        highest[max(frame - APART, 0) : frame + APART] = 0.0
    return found


class Alarms:
    def __init__(self, args, front):
        random, rate = np.random.default_rng(5), front.sample_rate
        noises, talks = ([f for folder in folders for f in held_out(audio_under(folder))] for folders in (args.noise, args.speech))
        negatives, piece = [], round(NEGATIVE_S * rate)
        for path in talks:
            pcm = read_audio(path, rate)
            negatives += [pcm[start : start + piece] for start in range(0, len(pcm), piece)]
        self.hours = sum(map(len, negatives)) / rate / 3600.0
        self.negatives = Listener(negatives, front, args.device)

        clips = [p for p in partition(args.data, "val") if p.parent.name in COMMANDS]
        random.shuffle(clips)
        streams, self.spoken = [], []  # stream, label, first and last frame, whether over talk
        pause = np.zeros(round(PAUSE_S * rate), np.float32)
        for start in range(0, len(clips), WORDS):
            parts, length, over_talk = [], 0, len(streams) % 2 == 1
            for path in clips[start : start + WORDS]:
                pcm = read_audio(path, rate)
                first, last = word_span(pcm, front.hop)
                begin = (length + len(pause)) // front.hop
                self.spoken.append((len(streams), COMMANDS.index(path.parent.name), begin + first, begin + last + LATE, over_talk))
                parts += [pause, scaled(pcm, LEVEL, slice(first * front.hop, (last + 1) * front.hop))]
                length += len(pause) + len(pcm)
            below = self.background(random, talks if over_talk else noises, length, rate)
            streams.append(np.clip(np.round(np.concatenate(parts) + below), -32768, 32767))
        self.streams = Listener(streams, front, args.device)

    @staticmethod
    def background(random, files, samples: int, rate: int) -> np.ndarray:
        parts = []
        while sum(map(len, parts)) < samples:
            pcm = read_audio(files[random.integers(len(files))], rate)
            start = random.integers(0, max(1, len(pcm) - samples))
            # Each recording by itself, or the quiet ones would lie too far below.
            parts.append(scaled(pcm[start : start + samples], LEVEL - SNR))
        return np.concatenate(parts)[:samples]

    def score(self, model, smoothing: int) -> str:
        events = np.sort([e for p in self.negatives.posteriors(model, smoothing) for e in peaks(p)])[::-1]
        heard = self.streams.posteriors(model, smoothing)
        reached = np.array([heard[stream][first:last, label].max() for stream, label, first, last, _ in self.spoken])
        over_talk = np.array([talk for *_, talk in self.spoken])
        missed = lambda threshold: "noise {:.1f} % talk {:.1f} %".format(*(100.0 * np.mean(reached[over_talk == talk] <= threshold) for talk in (False, True)))
        found = [f"{np.sum(events > 0.6) / self.hours:.0f}/h {missed(0.6)}"]
        for rate in RATES:
            threshold = [*events, *[0.1] * 1000][int(rate * self.hours)]
            found.append(f"{rate}/h {missed(threshold)} ({threshold:.3f})")
        return f"10 dB, {self.hours:.2f} h, {len(self.spoken)} words: missed at " + ", ".join(found)
