"""The front end: PCM to mel power, mel power to the features that the network reads.

The two halves are apart because mixing happens between them: the mel powers of two sounds
add (their phases are independent), and a gain multiplies them, so the recipe computes each
recording's mel power once and composes streams from it. The device does the same in one pass.
"""

import numpy as np
import soundfile

from config import FrontEnd

AUDIO = {".wav", ".flac", ".opus", ".ogg"}


def read_audio(path, rate: int) -> np.ndarray:
    """Mono samples, float32, integer-valued as 16-bit PCM (-32768..32767)."""
    samples, file_rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(axis=1) * 32768.0
    if file_rate != rate:
        samples = resample(samples, rate / file_rate)
    return np.clip(np.round(samples), -32768, 32767).astype(np.float32)


def resample(samples: np.ndarray, ratio: float) -> np.ndarray:
    """Band-limited resampling to `ratio` times as many samples, over the whole clip at once."""
    count = max(1, round(len(samples) * ratio))
    if len(samples) == 0:
        return samples
    spectrum = np.fft.rfft(samples)
    return (np.fft.irfft(spectrum[: count // 2 + 1], n=count) * (count / len(samples))).astype(np.float32)


def mel(hz):
    """Frequency on the HTK mel scale."""
    return 2595.0 * np.log10(1.0 + hz / 700.0)


def mel_edges(front: FrontEnd) -> np.ndarray:
    """Hz at which the filters begin, peak and end, [mels + 2]: filter i has its peak at edge i + 1."""
    edges = np.linspace(mel(front.fmin), mel(front.fmax), front.mels + 2)
    return 700.0 * (10.0 ** (edges / 2595.0) - 1.0)


def mel_filters(front: FrontEnd) -> np.ndarray:
    """Triangular filters, unit peak, shape [mels, fft/2+1]."""
    edges = mel_edges(front)
    bins = np.arange(front.fft // 2 + 1) * front.sample_rate / front.fft
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(0.0, np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)))


class MelPower:
    """PCM to mel power, shape [frames, mels], float32."""

    def __init__(self, front: FrontEnd):
        self.front = front
        self.window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(front.window) / front.window)
        self.filters = mel_filters(front).T

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Whole frames only: frame f covers samples [hop*f, hop*f + window)."""
        front = self.front
        if len(samples) < front.window:
            return np.zeros((0, front.mels), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(samples, front.window)[:: front.hop]
        power = np.abs(np.fft.rfft(frames * self.window, n=front.fft)) ** 2
        return (power @ self.filters).astype(np.float32)

    def padded(self, samples: np.ndarray) -> np.ndarray:
        """One frame a started hop, the last ones reaching into zeros, so that recordings can be strung together."""
        hops = -(-len(samples) // self.front.hop)
        missing = hops * self.front.hop + self.front.window - self.front.hop - len(samples)
        return self(np.concatenate([samples, np.zeros(missing, np.float32)]))


def normalise(power: np.ndarray, front: FrontEnd) -> np.ndarray:
    """Mel power to features in nats below the running level, shape [..., frames, mels] in and out.

    What is remembered of a sound is what it kept up for `level_frames` frames, so that a click is forgotten at
    once: with l_t the least of e_t and the frames before it, memory_t = max(l_t, memory_{t-1} - decay, floor) and
    level_t = max(e_t, memory_t). The memory is a running maximum once the decay is taken out:
    memory_t + decay*t = max over s <= t of (l_s + decay*s).
    """
    logs = np.log(np.maximum(power, 1.0))
    energy = np.log(np.maximum(power.sum(-1), 1.0))
    before = np.zeros((*energy.shape[:-1], front.level_frames - 1))
    lasting = np.lib.stride_tricks.sliding_window_view(np.concatenate([before, energy], -1), front.level_frames, axis=-1).min(-1)
    decay = front.level_decay * np.arange(power.shape[-2], dtype=np.float64)
    memory = np.maximum.accumulate(np.maximum(lasting, front.level_floor) + decay, axis=-1) - decay
    level = np.maximum(energy, memory)
    return np.clip(logs - level[..., None], -front.range, 0.0).astype(np.float32)


def word_span(samples: np.ndarray, hop: int) -> tuple[int, int]:
    """First and last hop of the word: those within 25 dB of the clip's loudest hop.

    Where the recording's own noise is less than 25 dB down, the noise's level plus 8 dB is
    the bound, or the whole clip would pass for the word.
    """
    hops = max(1, len(samples) // hop)
    energy = np.zeros(hops)
    for i in range(hops):
        energy[i] = np.mean(np.square(samples[i * hop : (i + 1) * hop], dtype=np.float64)) if len(samples) else 0.0
    level = 10.0 * np.log10(energy + 1e-3)
    loud = np.nonzero(level >= max(level.max() - 25.0, min(np.percentile(level, 10) + 8.0, level.max() - 6.0)))[0]
    return int(loud[0]), int(loud[-1])
