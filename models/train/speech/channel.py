"""What a telephone makes of a voice: microphone, band, level, a floor of noise, and for half of the clips Opus.

Room, tempo, vocal tract and noise come in training, in the mel domain.
"""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16000


def response(random: np.random.Generator, bins: int) -> np.ndarray:
    """Gain of the microphone at `bins` frequencies from 0 to 8 kHz."""
    hz = np.linspace(0.0, RATE / 2, bins)
    octave = np.log2(np.maximum(hz, 30.0))
    knots = np.log2([30.0, 125.0, 400.0, 1000.0, 2000.0, 3500.0, 5500.0, 8000.0])
    decibels = np.interp(octave, knots, random.normal(0.0, 3.0, len(knots)))
    decibels += random.normal(0.0, 1.0) * (octave - 10.0)
    gain = 10.0 ** (decibels / 20.0)
    if random.random() < 0.6:
        gain /= np.sqrt(1.0 + (random.uniform(60.0, 350.0) / np.maximum(hz, 1.0)) ** (2 * random.integers(1, 4)))
    if random.random() < 0.6:
        gain /= np.sqrt(1.0 + (hz / random.uniform(3400.0, 8000.0)) ** (2 * random.integers(2, 9)))
    return gain


def recorded(pcm: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """The samples in [-1, 1] as a telephone records them, and the level of their peak in dBFS."""
    count = len(pcm)
    spectrum = np.fft.rfft(pcm, n=count + RATE // 8)
    heard = np.fft.irfft(spectrum * response(random, len(spectrum)), n=count + RATE // 8)[:count]
    level = random.uniform(-40.0, -3.0)
    heard *= 10.0 ** (level / 20.0) / max(np.abs(heard).max(), 1e-9)
    # A floor that falls with frequency more or less, 35 to 70 dB below the peak.
    slope = np.maximum(np.linspace(0.0, 1.0, count // 2 + 1), 0.01) ** -random.uniform(0.0, 0.7)
    floor = np.fft.irfft(np.fft.rfft(random.normal(size=count)) * slope, n=count)
    heard += floor / np.sqrt(np.mean(floor**2)) * 10.0 ** ((level - random.uniform(35.0, 70.0)) / 20.0)
    return np.clip(heard, -1.0, 1.0), level


def write(path: Path, samples: np.ndarray, opus: float):
    """Writes 16-bit FLAC, or Ogg Opus of `opus` kbit/s (0: FLAC), under a name of its own until it is whole."""
    unfinished = path.with_suffix(".part")
    if opus:
        # libsndfile: compression 0 is 256 kbit/s a channel, 1 is 6.
        soundfile.write(unfinished, samples, RATE, format="OGG", subtype="OPUS", compression_level=(256.0 - opus) / 250.0)
    else:
        soundfile.write(unfinished, samples, RATE, format="FLAC", subtype="PCM_16")
    unfinished.rename(path)
