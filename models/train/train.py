"""Trains one profile and exports it: features, pre-training, training, quantizing, ONNX, model card.

    python models/train/train.py --data SPEECH_COMMANDS --noise DIR --speech DIR --work DIR

Running the same command again continues where it was stopped.
"""

import argparse
import copy
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

# Before torch is loaded. A batch is shared out over the cores once, in `Run.gradients`; threads
# that meet at a barrier in every operator took twice as long on a machine with other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from alarms import trials
from card import write_card
from config import FRAMES, FROM_TEXT, LABELS, REPOSITORY, SILENCE, UNKNOWN, WAKE, load
from corpus import Corpus, Sources
from evaluate import test, validation
from export import write_onnx
from lessons import Lessons
from losses import SMOOTHING, answer_loss, decision_loss, kept_answers, sound_loss
from mining import hardest
from model import BatchNorm, Conformer
from phonemes import SOUNDS
from quantize import MaskedScores, observe, round_weights, switch
from start import averaged, centre
from streams import HARD, PLAIN, Composer
from vectors import write_vectors

SEED = 20261121
# Weight of the cross-entropy to the teacher's words, and the temperature of both.
NAMING, TEMPERATURE = 0.15, 3.0
SOUNDING = 0.15  # weight of the phonemes' loss
# Weight of a wake word heard where none was said, and of another of ours in other speech, at the end of each stage in
# float; before the first it is 1.
FALSE_WAKES, FALSE_WORDS = (3.0, 8.0, 15.0), (1.0, 1.5, 2.0)
# Where training starts from trained weights: its share of the peak rates, and batches in which new heads learn alone.
STARTED, HEADS_ALONE = 0.3, 500
# Added to the trained model's logits: the mix holds more other speech and silence than of any one command, and the
# model's doubt leans that way; recordings of words that it knows from synthetic voices alone are less sure than those. The
# best on val, and on Speech Commands' few training clips of on and off, of -0.5 ... -2.5, -1 ... -3 and 0 ... 4. At a wake word's
# shift its threshold for less than half a false wake an hour comes to 0.6.
PRIOR = {UNKNOWN: -1.5, SILENCE: -2.0, **{LABELS.index(word): 2.0 for word in FROM_TEXT},
         **{LABELS.index(word): -0.75 for word in WAKE}}


class Streams(IterableDataset):
    """Batches from `first` on; batch i is the same in every run."""

    def __init__(self, composer: Composer, stage: int, first: int, batch: int):
        self.composer, self.stage, self.first, self.batch = composer, stage, first, batch

    def __iter__(self):
        step = self.first
        while True:
            yield tuple(torch.from_numpy(a) for a in self.composer.batch((SEED, self.stage, step), self.batch))
            step += 1


def settle(model, batches):
    """Replaces BatchNorm's running statistics by the mean over batches: averaged weights have statistics of their own."""
    norms = [m for m in model.modules() if isinstance(m, BatchNorm)]
    for norm in norms:
        norm.mean.zero_(), norm.variance.zero_()
    model.train()
    with torch.no_grad():
        for count, features in enumerate(batches):
            for norm in norms:
                norm.momentum = 1.0 / (count + 1)
            model(features)
    model.eval()


class Run:
    """One training run: weights, their moving average, optimiser and progress, in one checkpoint."""

    def __init__(self, args, front, profile, corpus):
        torch.manual_seed(SEED)
        self.args, self.front, self.profile = args, front, profile
        self.path = args.work / f"{args.profile}.checkpoint"
        self.average = Conformer(profile, front, len(LABELS)).to(args.device).eval()
        self.lessons, self.namer, self.teacher = None, None, None
        if args.lessons:
            self.lessons = Lessons(corpus, args.lessons)
            # Tells all words apart while the network learns; the device has no use for it.
            self.namer = torch.nn.Linear(profile.hidden, len(self.lessons.words)).to(args.device)
        # Tells phonemes while the network learns, as above.
        self.sounds = torch.nn.Linear(profile.hidden, len(SOUNDS) + 1).to(args.device)
        self.phonemes = torch.from_numpy(np.concatenate([corpus.phonemes, np.zeros_like(corpus.phonemes[:1])]))
        self.new_heads = bool(args.start) and args.start[0].suffix == ".onnx"  # an exported model has none
        self.centred = not self.new_heads
        if self.new_heads:
            self.average = averaged(args.start, profile, front, LABELS).to(args.device).eval()
            self.average.head.bias.data -= self.prior()
        elif args.start:
            # Ranges are chosen anew.
            started = torch.load(args.start[0], map_location=args.device, weights_only=True)
            self.average.load_state_dict(started["average"], strict=False)
            self.sounds.load_state_dict(started["sounds"])
        self.start()
        self.parts = min(os.cpu_count(), args.batch // 8) if args.device == "cpu" else 1
        self.pool = ThreadPoolExecutor(self.parts)
        self.stage, self.step, self.seconds, self.hard = next(i for i, steps in enumerate(args.steps) if steps), 0, 0.0, None
        self.first = self.stage
        if self.path.is_file():
            saved = torch.load(self.path, map_location=args.device, weights_only=True)
            if "norm.weight" not in saved["weights"]:
                self.start(quantizing=True)
                self.teacher.load_state_dict(saved["teacher"])
            self.weights.load_state_dict(saved["weights"])
            self.average.load_state_dict(saved["average"])
            if self.namer:
                self.namer.load_state_dict(saved["namer"])
            self.sounds.load_state_dict(saved["sounds"])
            self.centred = True
            self.optimiser.load_state_dict(saved["optimiser"])
            self.stage, self.step, self.seconds = saved["stage"], saved["step"], saved["seconds"]
            self.hard = saved["hard"]

    def start(self, quantizing=False):
        """Weights as the average has them; the last stage trains those that the device rounds, and rounds them: their teacher is as they were."""
        if quantizing:
            self.teacher = copy.deepcopy(self.average.fold()).requires_grad_(False)
        self.weights = copy.deepcopy(self.average)
        self.learnt = [*self.weights.parameters()]
        if not quantizing:
            self.learnt += [*self.sounds.parameters(), *(self.namer.parameters() if self.namer else [])]
        self.optimiser = torch.optim.AdamW(self.learnt, lr=1e-3, weight_decay=0.02, betas=(0.9, 0.98))
        for model in (self.weights, self.average):
            switch(model, quantizing)

    def quantize(self, loader):
        """Ends the training in float: nothing changes the function after this but rounding and what is learnt under it."""
        self.average.fold().head.bias.data += self.prior()
        observe(self.average, self.features(loader))
        self.start(quantizing=True)

    def prior(self):
        return torch.tensor([PRIOR.get(label, 0.0) for label in range(len(LABELS))], device=self.args.device)

    def save(self):
        state = {"weights": self.weights.state_dict(), "average": self.average.state_dict(),
                 "namer": self.namer and self.namer.state_dict(), "sounds": self.sounds.state_dict(), "optimiser": self.optimiser.state_dict(),
                 "teacher": self.teacher and self.teacher.state_dict(),
                 "hard": self.hard, "stage": self.stage, "step": self.step, "seconds": self.seconds}
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.path)

    def use(self, profile):
        """The same weights under another chunk and step."""
        for model in (self.weights, self.average):
            for module in model.modules():
                if hasattr(module, "profile"):
                    module.profile = replace(module.profile, chunk=profile.chunk, step=profile.step)
            for layer in model.layers:
                layer.queries = profile.chunk
            model.layers[-1].queries = profile.step

    def learn(self, corpus, profile, mix, steps, peak_rate, last_rate, warm_up, label):
        """One stage: `steps` batches, the learning rate up linearly, then down as a cosine."""
        args = self.args
        self.use(profile)
        # What was hard for the weights as the last stage left them; rounding changes it little.
        if self.step == 0 and 0 < self.stage < 3:
            self.hard = torch.from_numpy(hardest(self.average, corpus, self.front, SMOOTHING, args.device))
            self.save()
        hard = () if self.hard is None else self.hard.numpy()
        composer = Composer(corpus, self.front, FRAMES, profile.chunk - profile.step, mix, hard)
        streams = Streams(composer, self.stage, self.step * self.parts, args.batch // self.parts)
        loader = iter(DataLoader(streams, batch_size=None, num_workers=1, prefetch_factor=8))
        if label == "quantizing" and not self.average.folded:
            self.quantize(loader)
        elif not self.centred:
            centre(self.average, self.features(loader))
            self.start()
        self.centred = True
        bar = tqdm(total=steps, initial=self.step, desc=label, unit="batch", smoothing=0.02)
        running, begun = None, time.monotonic()
        while self.step < steps:
            progress = self.step / steps
            rate = last_rate + (peak_rate - last_rate) * 0.5 * (1.0 + math.cos(math.pi * progress))
            for group in self.optimiser.param_groups:
                group["lr"] = rate * min(1.0, (self.step + 1) / warm_up)
            self.weights.train()
            self.false = [np.interp(self.stage + progress, range(4), (1.0, *weights)) for weights in (FALSE_WAKES, FALSE_WORDS)]
            loss = self.gradients([next(loader) for _ in range(self.parts)])
            torch.nn.utils.clip_grad_norm_(self.learnt, 2.0)
            self.optimiser.step()
            self.step += 1
            with torch.no_grad():
                # Where much is still to be learnt, the first weights are soon forgotten.
                decay = min(0.998, self.step / (self.step + 20.0)) if self.stage == 0 or self.teacher else 0.998
                for mean, now in zip(self.average.parameters(), self.weights.parameters()):
                    mean.lerp_(now, 1.0 - decay)
            running = loss if running is None else 0.98 * running + 0.02 * loss
            bar.set_postfix(loss=f"{running:.3f}", refresh=False)
            bar.update()
            if self.step % 100 == 0 or self.step == steps:
                now = time.monotonic()
                self.seconds += now - begun
                begun = now
                self.save()
            if self.step % args.validate == 0 or self.step == steps:
                for score in self.validate(loader, alarms=self.step == steps):
                    tqdm.write(f"{label} {self.step}/{steps} loss {running:.4f} val {score}")
                begun = time.monotonic()
        bar.close()

    def gradients(self, parts) -> float:
        """Sets the gradients to the mean over the parts of a batch, one to a core; the loss."""
        def one(number, part):
            features, items, silent = (t.to(self.args.device) for t in part)
            if self.teacher:
                # In float32: bfloat16 has no more bits than int8.
                random = np.random.default_rng((SEED, self.step, number))
                loss = kept_answers(self.teacher, self.weights, features, items, self.weights.profile.step, random)
                return loss.item(), torch.autograd.grad(loss, self.learnt)
            target = torch.nn.functional.one_hot(items[:, 1], len(LABELS)).float()
            if self.lessons:
                lesson, taught, target = self.lessons.of(items, target)
            with torch.autocast(self.args.device, torch.bfloat16, cache_enabled=False):
                heard = self.weights.heard(features)
                logits = self.weights.answer(heard)
                beside = heard.detach() if self.heads_alone() else heard
                words = self.namer(beside) if self.namer else None
                sounds = self.sounds(beside)
            loss = decision_loss(logits, items, silent, target, *self.false)
            loss = loss + SOUNDING * sound_loss(sounds, items, self.phonemes)
            if words is not None:
                lesson = torch.softmax(lesson[taught] / TEMPERATURE, dim=-1)
                loss = loss + NAMING * TEMPERATURE**2 * answer_loss(words / TEMPERATURE, items[taught], lesson)
            return loss.item(), torch.autograd.grad(loss, self.learnt)

        losses, gradients = zip(*self.pool.map(one, range(len(parts)), parts))
        for parameter, *each in zip(self.learnt, *gradients):
            parameter.grad = sum(each) / len(each)
        return sum(losses) / len(losses)

    def heads_alone(self) -> bool:
        return self.new_heads and self.stage == self.first and self.step < HEADS_ALONE

    def features(self, loader):
        """Of 20 batches, to measure statistics on."""
        return (next(loader)[0].to(self.args.device) for _ in range(20 * self.parts))

    def validate(self, loader, alarms: bool):
        """What `val` says of the average, shifted as it will be; misses against false alarms too, which take longer."""
        if self.average.folded:
            # Their range depends on the lowest maximum of a row, which moves.
            observe(self.average, self.features(loader), MaskedScores)
        else:
            settle(self.average, self.features(loader))
        self.save()
        if not hasattr(self, "trials"):
            self.trials = trials(self.args, self.front)
        judged = copy.deepcopy(self.average)
        if not judged.folded:
            judged.head.bias.data += self.prior()
        return [trial.score(judged, SMOOTHING) for last, trial in self.trials if alarms or not last]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="Speech Commands: train/ val/ test/ folders, or the download; without it nothing is validated, nor is there a card")
    parser.add_argument("--noise", type=Path, action="append", default=[], help="folder of recorded noise; repeatable")
    parser.add_argument("--speech", type=Path, action="append", default=[], help="folder of speech without commands; repeatable")
    parser.add_argument("--text", type=Path, action="append", default=[], help="folder of speech from text, made by `python -m speech`; repeatable")
    parser.add_argument("--wake-clips", type=Path, help="recordings of the wake words, a folder each: a quarter chooses")
    parser.add_argument("--wake-recorded", action="store_true", help="train on another quarter of these recordings too, not on synthetic speech alone")
    parser.add_argument("--own", type=Path, help="a person's own recordings of any of the words, a folder each; all of them are trained on")
    parser.add_argument("--onnx-only", action="store_true", help="writes no model card and no test vectors, and opens no test/")
    parser.add_argument("--work", type=Path, required=True, help="where features and checkpoints are kept")
    parser.add_argument("--output", type=Path, help="folder for ONNX, card and test vectors [default: models/ and tests/data/, which are replaced]")
    parser.add_argument("--start", type=Path, action="append", default=[], help="exported ONNX of the same profile, whose weights a new run begins with; "
                        "repeatable: with their mean; or one checkpoint in float")
    parser.add_argument("--lessons", type=Path, help="what a teacher answers to the training clips, made by teacher.py")
    parser.add_argument("--profile", default="shrunk", help="of config/models.toml")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch", type=int, default=32, help="streams a batch")
    parser.add_argument("--steps", type=int, nargs=4, default=[10000, 8000, 2000, 1500], metavar=("PRE", "EXACT", "REFINE", "QUANTIZE"), help="batches of each stage")
    parser.add_argument("--validate", type=int, default=1000, help="batches between validations")
    args = parser.parse_args()

    front, profile = load(args.profile)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.wake_recorded and not args.wake_clips or args.wake_clips and not args.noise:
        parser.error("--wake-recorded needs --wake-clips, which need --noise to be heard over")
    corpus = Corpus(Sources(args.data, args.noise, args.speech, args.text, args.wake_clips if args.wake_recorded else None, args.own), front, args.work)
    run = Run(args, front, profile, corpus)
    # Without look-ahead every frame is computed once, which halves the cost of the first stage.
    stages = [
        ("pre-training", replace(profile, step=profile.chunk), HARD, args.steps[0], 3e-3, 1e-3, 300),
        ("training", profile, HARD, args.steps[1], 1.5e-3, 1e-5, 100),
        ("refining", profile, PLAIN, args.steps[2], 6e-4, 1e-5, 50),
        ("quantizing", profile, PLAIN, args.steps[3], 2e-4, 4e-6, 50),
    ]
    gently = STARTED if args.start else 1.0  # trained weights are not to be shaken
    while run.stage < len(stages):
        label, shape, mix, steps, peak, last, warm_up = stages[run.stage]
        if steps:
            run.learn(corpus, shape, mix, steps, peak if label == "quantizing" else gently * peak, last, warm_up, label)
        run.stage, run.step = run.stage + 1, 0
        run.save()

    run.use(profile)
    if run.average.folded:
        round_weights(run.average)
    models, vectors = (args.output,) * 2 if args.output else (REPOSITORY / "models", REPOSITORY / "tests" / "data")
    models.mkdir(parents=True, exist_ok=True)
    carded = args.data and not args.onnx_only
    scores = {name: trial(args, front).score(run.average, SMOOTHING) for name, trial in (("val", validation), ("test", test)) if carded}
    write_onnx(run.average, front, models / f"{profile.name}.onnx")
    if not args.onnx_only:
        write_vectors(run.average, front, vectors)
    if carded:
        write_card(models / f"{profile.name}.md", args, profile, corpus, run.seconds, scores)
    for name, score in scores.items():
        print(name, score)


if __name__ == "__main__":
    main()
