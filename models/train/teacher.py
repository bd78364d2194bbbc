"""Asks a teacher which word each training clip is, for `train.py --lessons`, and what it would answer on val and test.

    python models/train/teacher.py --data SPEECH_COMMANDS --encoder encoder_model.ort -o lessons.npz

The teacher is the encoder of Moonshine tiny (Moonshine AI; its English models are under the MIT licence), which
was trained to write English speech down and stays as it is, with a small classifier on top. Its file is
`moonshine_voice/assets/tiny-en/encoder_model.ort` in version 0.0.49 of the PyPI package moonshine-voice. A training
clip is judged by a classifier that has heard none of its speaker.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from config import COMMANDS, FROM_TEXT, UNKNOWN
from corpus import partition
from features import read_audio
from lessons import label_shares, write

RATE = 16000
BEFORE = 3200  # zeros before and after a clip, samples
FOLDS, EPOCHS, BATCH = 4, 5, 128


def encoded(encoder: onnxruntime.InferenceSession, paths: list[Path]) -> np.ndarray:
    """The encoder's output over each clip, a frame each 24 ms, [clips, 57, 288], float16."""
    found = []
    for start in tqdm(range(0, len(paths), 32), desc="encoding", unit="batch"):
        some = paths[start : start + 32]
        pcm = np.zeros((len(some), RATE + 2 * BEFORE), np.float32)
        for row, path in zip(pcm, some):
            clip = read_audio(path, RATE)[:RATE] / 32768.0
            first = BEFORE + (RATE - len(clip)) // 2
            row[first : first + len(clip)] = clip * max(1.0, 0.5 / max(np.abs(clip).max(), 1e-3))
        found += [*encoder.run(None, {"input_values": pcm, "attention_mask": np.ones_like(pcm, np.int64)})[0].astype(np.float16)]
    return np.stack(found)


class Classifier(nn.Module):
    """Attention chooses the frames, for each of four heads."""

    def __init__(self, inputs: int, words: int, hidden: int = 256, heads: int = 4, dropout: float = 0.3):
        super().__init__()
        self.norm, self.input, self.heads = nn.LayerNorm(inputs), nn.Linear(inputs, hidden), heads
        self.scores, self.value = nn.Linear(hidden, heads), nn.Linear(hidden, hidden)
        self.output, self.dropout = nn.Linear(hidden, words), nn.Dropout(dropout)

    def forward(self, x):
        """[B, frames, inputs] to logits [B, words]."""
        h = self.dropout(F.gelu(self.input(self.dropout(self.norm(x)))))
        share = torch.softmax(self.scores(h), dim=1)
        value = self.value(h).unflatten(2, (self.heads, -1))
        return self.output(self.dropout((value * share[..., None]).sum(1).flatten(1)))


def fitted(x, words, classes: int) -> Classifier:
    model = Classifier(x.shape[-1], classes)
    steps = EPOCHS * (len(x) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x))[: len(x) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(model(x[rows]), words[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
    return model.eval()


@torch.no_grad()
def answers(model, x) -> torch.Tensor:
    """Logits, [clips, words]."""
    return torch.cat([model(part) for part in x.split(512)])


def score(name: str, logits, names: list[str]):
    """Over commands and other words; a clip in which nobody speaks is no question to the teacher."""
    labels = torch.tensor([COMMANDS.index(n) if n in COMMANDS else UNKNOWN for n in names])
    right, spoken = label_shares(logits).argmax(1) == labels, torch.tensor([n != "_silence_" for n in names])
    keyword = labels != UNKNOWN
    rate = lambda which: 100.0 * right[which].float().mean().item()
    print(f"{name}: {rate(spoken):.2f} % of {int(spoken.sum())} words, {rate(keyword):.2f} % of {int(keyword.sum())} commands")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Speech Commands, as for train.py")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder_model.ort of Moonshine tiny, English")
    parser.add_argument("-o", "--output", type=Path, required=True, help="its answers, .npz")
    args = parser.parse_args()
    if not args.encoder.is_file():
        raise SystemExit(f"{args.encoder}: no such file; it is in the PyPI package moonshine-voice, version 0.0.49")
    if not args.output.parent.is_dir():
        raise SystemExit(f"{args.output.parent}: no such folder to write {args.output.name} to")
    torch.manual_seed(1)
    encoder = onnxruntime.InferenceSession(args.encoder)

    def heard(part: str):
        paths = [p for p in partition(args.data, part) if p.parent.name not in FROM_TEXT]
        frames = torch.from_numpy(encoded(encoder, paths)).float()
        # Means of two, which halve the work.
        frames = frames[:, : frames.shape[1] // 2 * 2].unflatten(1, (-1, 2)).mean(2)
        return frames, paths, [p.parent.name for p in paths]

    x, paths, names = heard("train")
    known = COMMANDS + sorted(set(names) - set(COMMANDS))
    words = torch.tensor([known.index(n) for n in names])
    fold = torch.tensor([zlib.crc32(p.name.split("_")[0].encode()) % FOLDS for p in paths])
    found, trials = torch.zeros(len(x), len(known)), {part: heard(part) for part in ("val", "test")}
    tried = dict.fromkeys(trials, 0.0)
    for held_out in range(FOLDS):
        model = fitted(x[fold != held_out], words[fold != held_out], len(known))
        found[fold == held_out] = answers(model, x[fold == held_out])
        for part, (clips, *_) in trials.items():
            tried[part] = tried[part] + answers(model, clips) / FOLDS
    score("train, speakers unknown to the classifier", found, names)
    for part, (*_, spoken) in trials.items():
        score(f"{part}, mean of {FOLDS} classifiers", tried[part], spoken)
    write(args.output, known, [f"{p.parent.name}/{p.stem}" for p in paths], found)


if __name__ == "__main__":
    main()
