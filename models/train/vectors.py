"""Vectors for the tests of other implementations: a synthetic recording, its features, and the network's logits.

    tests/data/front_end.wav           16 kHz mono s16
    tests/data/front_end_features.f32  [frames, mels], little-endian float32, row by row
    tests/data/<profile>_logits.f32    [calls * step, classes], from the whole-stream training forward
"""

import wave
from pathlib import Path

import numpy as np
import torch

from config import FrontEnd
from features import MelPower, normalise
from model import Conformer
from quantize import switch
from synth import speak


def recording(front: FrontEnd) -> np.ndarray:
    """3.5 s: digital silence, the last bit toggling, words at a low and at a high level, and near-full-scale noise."""
    rate, random = front.sample_rate, np.random.default_rng(1)
    pcm = np.zeros(round(3.5 * rate), np.float32)
    part = lambda start, stop: slice(round(start * rate), round(stop * rate))
    pcm[part(0.2, 0.5)] = random.integers(-1, 2, round(0.3 * rate))
    for start, text, gain in ((0.5, "up", 0.02), (1.1, "seven", 0.5), (1.9, "left", 1.0), (2.8, "no", 0.1)):
        word = np.round(gain * speak(text, "en-gb+f5", rate))[: len(pcm) - round(start * rate)]
        pcm[round(start * rate) :][: len(word)] += word
    pcm[part(2.6, 2.75)] = random.uniform(-32768, 32767, round(0.15 * rate)).round()
    return np.clip(pcm, -32768, 32767)


def write_vectors(trained: Conformer, front: FrontEnd, folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    audio = folder / "front_end.wav"
    if not audio.is_file():
        with wave.open(str(audio), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(front.sample_rate)
            file.writeframes(recording(front).astype("<i2").tobytes())
    with wave.open(str(audio), "rb") as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
    features = normalise(MelPower(front)(pcm), front)
    features.astype("<f4").tofile(folder / "front_end_features.f32")
    switch(trained, False)
    with torch.no_grad():
        logits = trained.cpu().eval()(torch.from_numpy(features)[None])[0].numpy()
    logits.astype("<f4").tofile(folder / f"{trained.profile.name}_logits.f32")
