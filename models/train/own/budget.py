"""How much is spoken and how long is trained, so that all of it is over in the time that a person gives."""

from dataclasses import dataclass

from config import FRAMES
from speech.plan import OF_RECORDED, OF_TEXT, OF_WAKE, OTHERS, SENTENCES

# Measured on two cores of a server's AMD EPYC: words that Kokoro speaks an hour, mostly in lists; batches a second without look-ahead,
# with it, and under the rounding of INT8 (estimated: 0.9 were measured when each stream was heard once, by one network); clips whose
# features are made in a second. All but the last two scale with the cores.
SPOKEN, PRE, EXACT, QUANTIZE, FEATURES = 16000, 4.0, 2.7, 0.5, 180
CORES = 2
# Minutes: of a label to plan its near misses; of compiling, tuning and judging; of mining and validating between the stages.
PLANNED, JUDGED, BETWEEN = 0.3, 8.0, 4.0
# Of the minutes that are left: for speech; of those for training: for the stages before quantizing.
SPEECH, STAGES = 0.4, (0.25, 0.5, 0.25)
QUANTIZED = (200, 800)  # batches, fewest and most
FEWEST_MINUTES, FEWEST_AMOUNT, MOST_AMOUNT = 12.0, 0.15, 2.0
# Recorded clips have three versions; espeak-ng says each label and each of some two hundred other words so often.
VERSIONS, SYNTHETIC, PLAIN = 3, 220, 200 * 16
# Words of a sentence; other words that fill lists up, for each item that is listed; words of a near miss.
SENTENCE, FILLERS, NEAR_MISS = 9.7, 0.15, 1.15
# Speech that is held out, as shares of what is trained on: more than of the shipped model, which recordings choose and judge.
HELD_OUT = {"val": 0.12, "test": 0.12}


class TooShort(Exception):
    """A time in which nothing can be learnt; the text says how long it takes."""


@dataclass(frozen=True)
class Budget:
    """`amount` of `python -m speech`, `steps` of `train.py`, and what each stage takes, in minutes."""

    amount: float
    steps: tuple[int, int, int, int]
    minutes: dict[str, float]

    @property
    def all_minutes(self) -> float:
        return sum(self.minutes.values())


def spoken(wake: list[str], text: list[str], recorded: list[str], held_out: dict = HELD_OUT) -> tuple[int, int]:
    """Words and items that `python -m speech` plans of these labels at amount 1, all splits together."""
    items, words = 0.0, 0.0
    for labels, (said, near, _) in ((wake, OF_WAKE), (text, OF_TEXT), (recorded, OF_RECORDED)):
        for label in labels:
            items += said + near
            words += said * len(label.split(" ")) + near * max(NEAR_MISS, len(label.split(" ")))
    others = OTHERS + FILLERS * (items + OTHERS)
    splits = 1.0 + sum(held_out.values())
    return round((words + others + SENTENCE * SENTENCES) * splits), round((items + others + SENTENCES) * splits)


def planned(labels: int, words: int, items: int, recorded: int, hours: float, cores: int, frames: int = FRAMES) -> Budget:
    """`words` are spoken, in `items`, at amount 1; `recorded` clips are there besides; `frames` of a training stream."""
    speed = cores / CORES
    learning = speed * FRAMES / frames
    features = lambda amount: (items * amount + recorded * VERSIONS + labels * SYNTHETIC + PLAIN) / (FEATURES * speed) / 60.0
    plan = PLANNED * labels
    rest = hours * 60.0 - plan - JUDGED - BETWEEN - features(1.0)
    if rest < FEWEST_MINUTES / speed:
        needed = plan + JUDGED + BETWEEN + features(1.0) + 2.5 * FEWEST_MINUTES / speed
        raise TooShort(f"{hours:g} hours are too few for {labels} words on {cores} cores: at least {needed / 60.0:.1f}")
    amount = min(max(SPEECH * rest * SPOKEN / 60.0 * speed / words, FEWEST_AMOUNT), MOST_AMOUNT)
    speech = words * amount / (SPOKEN / 60.0 * speed)
    training = max(rest - speech, FEWEST_MINUTES / speed)
    quantize = int(min(max(0.12 * training * 60.0 * QUANTIZE * learning, QUANTIZED[0]), QUANTIZED[1]))
    float_s = max(training * 60.0 - quantize / (QUANTIZE * learning), 60.0)
    rates = (PRE * learning, EXACT * learning, EXACT * learning)
    steps = (*(max(50, round(share * float_s * rate / 50.0) * 50) for share, rate in zip(STAGES, rates)), quantize)
    trained = sum(step / rate for step, rate in zip(steps, (*rates, QUANTIZE * learning))) / 60.0
    return Budget(round(amount, 2), steps, {"plan and speech": plan + speech, "training": features(amount) + trained + BETWEEN, "judging": JUDGED})


def clock(minutes: float) -> str:
    """A time as a person says it: 45 min, 2 h 10 min."""
    whole = round(minutes)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60:02} min"


class Progress:
    """Says how far it is, and corrects what is left by what was measured: a slower machine, or one with other work."""

    def __init__(self, budget: Budget):
        self.left, self.planned, self.taken = dict(budget.minutes), 0.0, 0.0

    def done(self, stage: str, minutes: float, anew: bool = True):
        """`anew`: it was run from its beginning, so that its time tells how fast this machine is."""
        planned = self.left.pop(stage)
        if anew:
            self.planned, self.taken = self.planned + planned, self.taken + minutes

    @property
    def pace(self) -> float:
        return self.taken / self.planned if self.planned else 1.0

    @property
    def minutes_left(self) -> float:
        return self.pace * sum(self.left.values())
