"""BC-ResNet-3 on the same clips, for comparison: what a network that needs a whole second at once can do.

    python models/train/bcresnet.py --data SPEECH_COMMANDS --noise DIR --speech DIR --work DIR

Kim et al. 2021, "Broadcasted residual learning for efficient keyword spotting". Same features, same
augmentation, same labels; trained and answered clip by clip, so its figures say nothing of streams.
"""

import argparse
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from config import COMMANDS, LABELS, SILENCE, load
from corpus import Corpus, Sources
from evaluate import test, validation
from features import MelPower, normalise
from streams import HARD, Composer
from train import SEED, Streams

FRAMES = 98  # whole frames of a second
TAU = 3
# Channels over tau, blocks, stride over frequency, dilation over time of each stage (the paper's table 1).
STAGES = [(8, 2, 1, 1), (12, 2, 2, 2), (16, 4, 2, 4), (20, 4, 1, 8)]
SUBBANDS, DROPOUT = 5, 0.1


class SubSpectralNorm(nn.Module):
    """BatchNorm of each band of frequencies by itself, [B, channels, mels, frames]."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels * SUBBANDS)

    def forward(self, x):
        batch, channels, mels, frames = x.shape
        return self.norm(x.reshape(batch, channels * SUBBANDS, mels // SUBBANDS, frames)).view_as(x)


class Block(nn.Module):
    """Frequency by depthwise convolution; time by another on the mean over frequency, broadcast back onto it."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int):
        super().__init__()
        self.enter = None
        if inputs != outputs:
            self.enter = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
        self.frequency = nn.Sequential(
            nn.Conv2d(outputs, outputs, (3, 1), (stride, 1), (1, 0), groups=outputs, bias=False), SubSpectralNorm(outputs))
        self.time = nn.Sequential(
            nn.Conv2d(outputs, outputs, (1, 3), 1, (0, dilation), (1, dilation), groups=outputs, bias=False),
            nn.BatchNorm2d(outputs), nn.SiLU(), nn.Conv2d(outputs, outputs, 1, bias=False), nn.Dropout2d(DROPOUT))

    def forward(self, x):
        y = self.frequency(x if self.enter is None else self.enter(x))
        y = y + self.time(y.mean(2, keepdim=True))
        return F.relu(y if self.enter is not None else x + y)


class BcResNet(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        channels = 16 * TAU
        layers = [nn.Conv2d(1, channels, 5, (2, 1), 2, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        for width, blocks, stride, dilation in STAGES:
            for block in range(blocks):
                layers.append(Block(channels, width * TAU, stride if block == 0 else 1, dilation))
                channels = width * TAU
        layers += [nn.Conv2d(channels, channels, 5, 1, (0, 2), groups=channels, bias=False), nn.Conv2d(channels, 32 * TAU, 1, bias=False),
                   nn.BatchNorm2d(32 * TAU), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(32 * TAU, classes, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, features):
        """Features [B, FRAMES, mels] to logits [B, classes]."""
        # About zero mean and unit variance.
        return self.layers((features.transpose(1, 2)[:, None] + 6.0) / 3.0).flatten(1)


class Clips(Composer):
    """One item to a clip, somewhere in its second, with the noise, rooms and masks of the streams."""

    def clip(self, seed):
        random = np.random.default_rng(seed)
        item = self.item(random)
        while item.doubtful:
            item = self.item(random)
        power, level = np.zeros((self.frames, self.front.mels)), random.uniform(-50, -5)
        own = item.power[item.first : item.last + 1].sum(1).mean()
        gain = 1.0 if item.label == SILENCE else self.frames_at(level) / max(own, 1.0)
        if len(item.power) > self.frames and item.anywhere:
            item.power = item.power[: self.frames]
        # The word stays inside, what is around it may leave.
        offset = int(random.integers(-12, 13))
        offset = max(min(offset, self.frames - 1 - item.last), -item.first)
        start, stop = max(offset, 0), min(offset + len(item.power), self.frames)
        power[start:stop] = item.power[start - offset : stop - offset] * gain * self.colour(random)
        if random.random() < self.mix.rooms:
            power = self.rooms(random, power)
        if random.random() < self.mix.noisy:
            power += self.noise_of(random, self.frames) * self.colour(random) * self.frames_at(level - random.uniform(0, 40))
        return self.mask(random, normalise(power, self.front)), item.label

    def batch(self, seed: tuple, clips: int):
        """Features [B, frames, mels], labels [B]."""
        features, labels = zip(*(self.clip((*seed, i)) for i in range(clips)))
        return np.stack(features), np.array(labels, np.int64)


def clips(trial, front) -> torch.Tensor:
    """A trial's cold clips cut or padded to a second, [clips, FRAMES, mels]."""
    second, mel_power = (FRAMES - 1) * front.hop + front.window, MelPower(front)
    fitted = (np.pad(pcm[:second], (0, max(0, second - len(pcm)))) for pcm in trial.cold.streams)
    return torch.from_numpy(np.stack([normalise(mel_power(pcm), front) for pcm in fitted]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--noise", type=Path, action="append", required=True)
    parser.add_argument("--speech", type=Path, action="append", default=[])
    parser.add_argument("--work", type=Path, required=True, help="where features and weights are kept")
    parser.add_argument("--steps", type=int, default=6000, help="batches")
    parser.add_argument("--batch", type=int, default=96, help="clips a batch")
    args = parser.parse_args()
    args.device = "cpu"

    torch.manual_seed(SEED)
    front, _ = load("shrunk")
    corpus, parts = Corpus(Sources(args.data, args.noise, args.speech), front, args.work), os.cpu_count()
    model = BcResNet(len(LABELS))
    print(sum(p.numel() for p in model.parameters()), "weights")
    trial = validation(args, front)
    held = clips(trial, front)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.02)
    composer = Clips(corpus, front, FRAMES, 0, HARD)
    loader = iter(DataLoader(Streams(composer, 9, 0, args.batch // parts), batch_size=None, num_workers=1, prefetch_factor=8))

    def right(clips, labels):
        """Shares, all clips and those of commands."""
        model.eval()
        with torch.no_grad():
            answers = torch.cat([model(some).argmax(1) for some in clips.split(128)]).numpy()
        of = lambda some: 100.0 * np.mean(answers[some] == labels[some])
        return f"{of(labels >= 0):.2f} %, keywords {of(labels < len(COMMANDS)):.2f} %"

    def gradients(part):
        features, answers = part
        loss = F.cross_entropy(model(features), answers, label_smoothing=0.05)
        return loss.item(), torch.autograd.grad(loss, list(model.parameters()))

    with ThreadPoolExecutor(parts) as pool:
        for step in (bar := tqdm(range(1, args.steps + 1))):
            model.train()
            for group in optimiser.param_groups:
                group["lr"] = 3e-3 * min(1.0, step / 300) * 0.5 * (1.0 + math.cos(math.pi * step / args.steps))
            losses, each = zip(*pool.map(gradients, [next(loader) for _ in range(parts)]))
            for parameter, *shares in zip(model.parameters(), *each):
                parameter.grad = sum(shares) / parts
            optimiser.step()
            bar.set_postfix(loss=f"{sum(losses) / parts:.3f}", refresh=False)
            if step % 1000 == 0 or step == args.steps:
                tqdm.write(f"{step}/{args.steps} val {right(held, trial.labels)}")
                torch.save(model.state_dict(), args.work / "bcresnet.pt")
    trial = test(args, front)
    print("test", right(clips(trial, front), trial.labels))


if __name__ == "__main__":
    main()
