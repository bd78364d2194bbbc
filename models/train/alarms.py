"""Misses against false alarms: `val`'s commands, and recordings of the wake words, 10 dB above noise and above other
people's talk, and speech without them. Noise, talk and negatives are those held out of training. Less than
`zerda eval --stream` measures, and quick enough to choose weights by.
"""

from pathlib import Path

import numpy as np

from config import COMMANDS, WAKE, WORDS
from corpus import CHOOSING, audio_under, free_of_commands, held_out, partition, wake_clips
from evaluate import Listener, validation
from features import read_audio, word_span

SNR = 10.0  # dB: power over the word's span to mean power of what lies under it
LEVEL = -26.0  # dBFS of the words
WORDS_OF_STREAM, PAUSE_S = 8, 0.7  # words of a stream, and pause before each
NEGATIVE_S = 20.0  # longest stretch of negatives heard at once
# Frames after a word's end in which it may be found; frames within which detections are one event; posterior of the least.
LATE, APART, LOWEST = 30, 30, 0.03


def scaled(pcm: np.ndarray, decibels: float, span=slice(None)) -> np.ndarray:
    power = np.mean(np.square(pcm[span], dtype=np.float64))
    return pcm * np.float32(32768.0 * 10.0 ** (decibels / 20.0) / np.sqrt(max(power, 1e-3)))


def peaks(posteriors: np.ndarray) -> list[tuple[float, int]]:
    """Posteriors and frames of the false alarms that one threshold or another would let through, [frames, words] in."""
    highest, found = posteriors.max(1), []
    while highest.max(initial=0.0) > LOWEST:
        frame = int(highest.argmax())
        found.append((float(highest[frame]), frame))
        highest[max(frame - APART, 0) : frame + APART] = 0.0
    return found


class Alarms:
    """Clips of some words, by their labels, in streams; `rates` are the false alarms an hour at which misses are counted,
    of `groups` of labels together; `talks` are other people's speech."""

    def __init__(self, args, front, clips, groups: dict, rates: tuple, talks: list[Path]):
        random, rate = np.random.default_rng(5), front.sample_rate
        self.groups, self.rates = groups, rates
        noises = [f for folder in args.noise for f in held_out(audio_under(folder))]
        negatives, piece = [], round(NEGATIVE_S * rate)
        for path in talks:
            pcm = read_audio(path, rate)
            negatives += [pcm[start : start + piece] for start in range(0, len(pcm), piece)]
        self.hours = sum(map(len, negatives)) / rate / 3600.0
        self.negatives = Listener(negatives, front, args.device)

        random.shuffle(clips)
        streams, self.spoken = [], []  # stream, label, first and last frame, what it is heard over
        pause = np.zeros(round(PAUSE_S * rate), np.float32)
        for over in ("clean", "noise", "talk"):
            for start in range(0, len(clips), WORDS_OF_STREAM):
                parts, length = [], 0
                for path, label in clips[start : start + WORDS_OF_STREAM]:
                    pcm = read_audio(path, rate)
                    first, last = word_span(pcm, front.hop)
                    begin = (length + len(pause)) // front.hop
                    self.spoken.append((len(streams), label, begin + first, begin + last + LATE, over))
                    parts += [pause, scaled(pcm, LEVEL, slice(first * front.hop, (last + 1) * front.hop))]
                    length += len(pause) + len(pcm)
                heard = np.concatenate([*parts, pause])
                if over != "clean":
                    heard = heard + self.background(random, talks if over == "talk" else noises, len(heard), rate)
                streams.append(np.clip(np.round(heard), -32768, 32767))
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
        negatives = self.negatives.posteriors(model, smoothing)
        heard = self.streams.posteriors(model, smoothing)
        found = []
        for name, labels in self.groups.items():
            events = np.sort([height for p in negatives for height, _ in peaks(p[:, labels])])[::-1]
            spoken = [s for s in self.spoken if s[1] in labels]
            reached = np.array([heard[stream][first:last, label].max() for stream, label, first, last, _ in spoken])
            under = np.array([over for *_, over in spoken])
            missed = lambda threshold: " ".join(f"{over} {100.0 * np.mean(reached[under == over] <= threshold):.1f}" for over in ("clean", "noise", "talk"))
            parts = [f"{np.sum(events > 0.6) / self.hours:.1f}/h {missed(0.6)}"]
            for rate in self.rates:
                threshold = [*events, *[LOWEST] * 1000][int(rate * self.hours)]
                parts.append(f"{rate}/h {missed(threshold)} ({threshold:.3f})")
            found.append(f"{name}: missed at " + ", ".join(parts))
        return f"{self.hours:.2f} h, {len(self.spoken) // 3} words, " + "; ".join(found)


def of_commands(args, front) -> Alarms:
    clips = [(p, COMMANDS.index(p.parent.name)) for p in partition(args.data, "val") if p.parent.name in COMMANDS]
    talks = [f for folder in args.speech for f in free_of_commands(folder, held_out(audio_under(folder)))]
    return Alarms(args, front, clips, {"commands": list(range(len(COMMANDS)))}, (60, 10), talks)


def of_wake_words(args, front) -> Alarms:
    """By the choosing part of the recordings."""
    labels = {word: [WORDS.index(word)] for word in WAKE}
    clips = [(p, label) for word, [label] in labels.items() for p in wake_clips(args.wake_clips, word, CHOOSING)]
    talks = [f for folder in args.speech for f in free_of_commands(folder, held_out(audio_under(folder)), WAKE)]
    return Alarms(args, front, clips, labels, (10, 2, 0.5), talks)


def trials(args, front) -> list[tuple]:
    """What tells how good weights are, of what recordings there are; each with whether it is for a stage's end only."""
    found = []
    if args.data:
        found.append((False, validation(args, front)))
    if args.wake_clips:
        found.append((False, of_wake_words(args, front)))
    if args.data and COMMANDS and args.noise:
        found.append((True, of_commands(args, front)))
    return found
