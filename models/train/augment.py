"""Other voices, tempos and rooms, made out of mel power."""

import numpy as np

from config import FrontEnd
from features import mel, mel_edges

SOUND = 343.0  # m/s
ROOMS, TAIL = 300, 40  # rooms; hops of their response that are kept


def stretch(power: np.ndarray, factor: float) -> np.ndarray:
    """`factor` times as many frames, [frames, mels]: slower above 1, the pitch as it was."""
    frames = max(1, round(len(power) * factor))
    at = np.minimum(np.arange(frames) / factor, len(power) - 1)
    low = at.astype(np.int64)
    high = np.minimum(low + 1, len(power) - 1)
    share = (at - low)[:, None].astype(power.dtype)
    return power[low] * (1.0 - share) + power[high] * share


class Voices:
    """Vocal tracts longer and shorter than the speaker's: the frequencies of a spectrum times a factor."""

    def __init__(self, front: FrontEnd, spread: float = 0.1, steps: int = 21):
        centres, lowest, width = mel_edges(front)[1:-1], mel(front.fmin), (mel(front.fmax) - mel(front.fmin)) / (front.mels + 1)
        self.warps = []
        for factor in np.linspace(1.0 - spread, 1.0 + spread, steps):
            at = np.clip((mel(centres * factor) - lowest) / width - 1.0, 0.0, front.mels - 1.0)
            apart = np.abs(at[None, :] - np.arange(front.mels)[:, None])
            self.warps.append(np.maximum(0.0, 1.0 - apart).astype(np.float32))

    def __call__(self, random, power: np.ndarray) -> np.ndarray:
        return power @ self.warps[random.integers(len(self.warps))]


class Rooms:
    """Energy that follows a sound's own, hop by hop, in random shoebox rooms: [ROOMS, TAIL, mels].

    Image method (Allen and Berkley 1979) of the energies alone: late reflections have random
    phases, so their powers add. Walls absorb more at high frequencies than at low ones.
    """

    def __init__(self, front: FrontEnd, seed: int = 3):
        random, hop = np.random.default_rng(seed), front.hop / front.sample_rate
        bands = np.linspace(0.0, 1.0, front.mels)
        self.responses = np.zeros((ROOMS, TAIL, front.mels), np.float32)
        for response in self.responses:
            size = random.uniform((2.0, 2.0, 2.3), (8.0, 7.0, 3.5))
            speaker, device = (random.uniform(0.15, 0.85, 3) * size for _ in range(2))
            # Reverberation times of about 0.15 to 0.8 s in a living room.
            low, high = random.uniform(0.08, 0.45), random.uniform(0.0, 0.25)
            count, axes = TAIL * hop * SOUND, []
            for length, source, ear in zip(size, speaker, device):
                m = np.arange(-int(count / 2 / length) - 1, int(count / 2 / length) + 2)
                places = np.concatenate([2 * m * length + source - ear, 2 * m * length - source - ear])
                axes.append((places**2, np.concatenate([2 * np.abs(m), np.abs(m - 1) + np.abs(m)])))
            (x, a), (y, b), (z, c) = axes
            far = np.sqrt(x[:, None, None] + y[None, :, None] + z).ravel()
            walls = (a[:, None, None] + b[None, :, None] + c).ravel()
            direct = max(far.min(), 0.1)
            hops = ((far - direct) / SOUND / hop).astype(np.int64)
            near = (hops >= 0) & (hops < TAIL)
            hops, walls, energy = hops[near], walls[near], (direct / np.maximum(far[near], direct)) ** 2
            three = [np.bincount(hops, energy * (1.0 - min(low + band * high, 0.9)) ** walls, TAIL) for band in (0.0, 0.5, 1.0)]
            response[:] = np.stack([np.interp(bands, (0.0, 0.5, 1.0), row) for row in np.stack(three, 1)])

    def __call__(self, random, power: np.ndarray) -> np.ndarray:
        """A stream [frames, mels] as it is heard in one of the rooms."""
        response = self.responses[random.integers(len(self.responses))]
        heard = power * response[0]
        for hops in range(1, TAIL):
            heard[hops:] += power[:-hops] * response[hops]
        return heard
