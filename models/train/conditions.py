"""Tells how many of a partition's commands an exported model misses in conditions that people meet: after clicks,
clipped, in music, quiet and loud.

    python models/train/conditions.py models/shrunk.onnx --data SPEECH_COMMANDS --music DIR --part val

Each word is heard alone, after 1.5 s of near silence, in float; it is missed where its smoothed posterior stays below the
threshold until 300 ms after its end. Levels are root mean squares over the word.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx

from alarms import LATE, scaled
from config import COMMANDS, DECODER, FrontEnd, load
from corpus import audio_under, held_out, partition
from evaluate import Listener
from features import read_audio, word_span
from start import from_onnx

THRESHOLD, SMOOTHING = DECODER["threshold"], DECODER["smoothing"]
CLICK_S, GAPS_S = 0.03, (0.1, 0.5, 1.0)
OVERDRIVE_DB = (20, 35)
MUSIC_SNR_DB = (10, 0)
LEVELS_DBFS = (-75, -60, -40, -26, -10)
# Of words after a click, clipped or in music.
QUIET, USUAL = -40, -26
BEFORE_S, AFTER_S = 1.5, 0.5


class Condition:
    """Recordings of one condition: PCM, label, first and last frame in which the word may be found."""

    def __init__(self):
        self.streams, self.words = [], []

    def add(self, pcm, word):
        self.streams.append(np.clip(np.round(pcm), -32768, 32767).astype(np.float32))
        self.words.append(word)

    def missed(self, model, front, device) -> float:
        """In percent."""
        heard = Listener(list(self.streams), front, device).posteriors(model, SMOOTHING)
        return 100.0 * np.mean([h[first:last, label].max() < THRESHOLD for h, (label, first, last) in zip(heard, self.words)])


def conditions(clips: list[Path], music: list[Path], rate: int, hop: int) -> dict[str, Condition]:
    random, made = np.random.default_rng(7), {}

    def add(name, pcm, word):
        made.setdefault(name, Condition()).add(pcm, word)

    played = np.concatenate([read_audio(path, rate) for path in music]) if music else None
    before, click = round(BEFORE_S * rate), round(CLICK_S * rate)
    for path in clips:
        pcm = read_audio(path, rate)
        first, last = word_span(pcm, hop)
        span = slice(first * hop, (last + 1) * hop)
        start = max(before - span.start, 0)
        room = np.zeros(start + len(pcm) + round(AFTER_S * rate), np.float32)
        word = (COMMANDS.index(path.parent.name), start // hop + first, start // hop + last + LATE)

        def said(level):
            stream = room.copy()
            stream[start : start + len(pcm)] = scaled(pcm, level, span)
            return stream + random.normal(0.0, 1.0, len(stream))

        for level in LEVELS_DBFS:
            add(f"at {level} dBFS", said(level), word)
        for gap in GAPS_S:
            stream, end = said(QUIET), word[1] * hop - round(gap * rate)
            stream[end - click : end] = 32767.0 * np.sign(random.normal(size=click))
            add(f"{gap} s after a click", stream, word)
        stream = said(USUAL)
        for drive in OVERDRIVE_DB:
            add(f"clipped by {drive} dB", stream * (32767.0 / np.abs(stream).max() * 10.0 ** (drive / 20.0)), word)
        for snr in MUSIC_SNR_DB if played is not None else ():
            at = random.integers(0, len(played) - len(stream))
            add(f"in music, {snr} dB", stream + scaled(played[at : at + len(stream)], USUAL - snr), word)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="an ONNX as export.py writes it")
    parser.add_argument("--data", type=Path, required=True, help="Speech Commands")
    parser.add_argument("--music", type=Path, help="folder of music, of which every fifth piece is taken")
    parser.add_argument("--part", default="val", choices=["val", "test"])
    args = parser.parse_args()
    properties = {p.key: p.value for p in onnx.load(args.model).metadata_props}
    # Models from before it remember single frames.
    front = FrontEnd(**{"level_frames": 1, **json.loads(properties["zerda.front_end"])})
    model = from_onnx(args.model, load(properties["zerda.profile"])[1], front, properties["zerda.labels"].split(",")).eval()
    clips = [p for p in partition(args.data, args.part) if p.parent.name in COMMANDS]
    music = held_out(audio_under(args.music)) if args.music else []
    print(f"missed of {len(clips)} words of {args.part}, %")
    for name, condition in conditions(clips, music, front.sample_rate, front.hop).items():
        print(f"| {name} | {condition.missed(model, front, 'cpu'):.1f} |", flush=True)


if __name__ == "__main__":
    main()
