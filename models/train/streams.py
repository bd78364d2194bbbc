"""Composes training streams out of the corpus: items back to back, each with its own label.

Every second of a stream is supervised; the first item meets empty caches and the later
ones caches full of other speech and noise. All of it happens on mel power.
"""

from dataclasses import dataclass, replace

import numpy as np

from augment import Rooms, Voices, stretch
from config import ALIKE, FROM_TEXT, SILENCE, UNKNOWN, WAKE, WORDS, FrontEnd
from corpus import Corpus
from features import normalise


@dataclass(frozen=True)
class Mix:
    """Shares of the items; of the streams, those with noise over all of them, with other people
    talking under all of them, in a room, and with masks; level spread, dB."""

    kinds: dict
    noisy: float
    talk: float
    rooms: float
    masked: float
    spread: float


HARD = Mix({"command": 0.54, "unknown": 0.36, "silence": 0.1}, noisy=0.55, talk=0.32, rooms=0.4, masked=0.5, spread=18.0)
# Nearer to what people record; the last stage, lest the model doubts every clear word.
PLAIN = Mix({"command": 0.6, "unknown": 0.3, "silence": 0.1}, noisy=0.4, talk=0.27, rooms=0.25, masked=0.25, spread=14.0)

# Shares of the unknown items.
UNKNOWNS = {"word": 0.29, "synth": 0.12, "near": 0.12, "spliced": 0.05, "half": 0.05, "speech": 0.37}
# Where most labels were never recorded, voices that are synthetic must not tell a label: they say other things as often.
OF_TEXT = {"command": 0.4, "unknown": 0.5, "silence": 0.1}
UNKNOWNS_OF_TEXT = {"word": 0.14, "synth": 0.2, "near": 0.24, "spliced": 0.05, "half": 0.05, "speech": 0.32}
# Of the items of a word: its label is drawn, some so much oftener than others, then one of its clips, by synthetic voices so often where there are recorded ones.
SYNTH_WORD = 0.06
SYNTH_WAKE = 0.5
SHARES = {**dict.fromkeys(WAKE, 1.3), **dict.fromkeys(FROM_TEXT, 0.9)}
# Recorded clips, in all their versions, from which on these shares hold; where there are fewer, they are drawn less often.
ENOUGH = 250
# dBFS of a word, root mean square.
LEVELS = (-58, -5)
# Of the streams: those with clicks, and how many at most. They last 10 to 40 ms, at -25 to 0 dBFS.
CLICKS, MOST_CLICKS = 0.15, 3
# Of the crops of speech, those in which commands are said, but no wake word.
SPOKEN = 0.2
# Of the crops of speech, those around what `mining.py` found, once there is such.
HARD_CROPS = 0.15
# dB of a stream's noise below its quietest word.
NOISE = (-5, 28)
# Standard deviation of the logarithm of a word's duration, and its bounds.
TEMPO, SLOWEST, FASTEST = 0.13, 1.35, 0.75

# After a word's end: frames in which its detection still counts (60 ms), frames until another
# label may be expected to have fallen, and until silence is due.
REWARD, RELEASE, SILENT = 7, 12, 20


@dataclass
class Item:
    label: int
    power: np.ndarray  # [frames, mels]
    first: int  # frame of the word's first hop
    last: int
    # Long-form speech: no word to find the middle of, every frame may answer.
    anywhere: bool = False
    # Half a word: no command, and nothing else for certain.
    doubtful: bool = False
    # Commands are said in it too: only wake words are not.
    spoken: bool = False
    # Entry of the corpus that it is, whole; -1: of several, or no word.
    entry: int = -1


def drawn(random, folders: list[np.ndarray]) -> int:
    """An entry of any folder, whichever holds more."""
    return random.choice(folders[random.integers(len(folders))])


class Composer:
    def __init__(self, corpus: Corpus, front: FrontEnd, frames: int, ahead: int, mix: Mix = HARD, hard=()):
        self.mix, self.hard = mix, hard
        self.corpus, self.front, self.frames, self.ahead = corpus, front, frames, ahead
        self.recorded = [corpus.where("command", word) for word in WORDS]
        self.synthetic = [corpus.where("synth_command", word) for word in WORDS]
        self.labels = [label for label in range(len(WORDS)) if len(self.recorded[label]) + len(self.synthetic[label])]
        self.unknowns = UNKNOWNS
        if 2 * sum(len(self.recorded[label]) == 0 for label in self.labels) > len(self.labels):
            self.mix, self.unknowns = replace(mix, kinds=OF_TEXT), UNKNOWNS_OF_TEXT
        share = np.array([SHARES.get(WORDS[label], 1.0) for label in self.labels])
        self.label_share = share / share.sum()
        self.words = [corpus.where("word", word) for word in corpus.names("word")]
        # Words of a handful of clips get a fifth of the share of the full ones: six times their number.
        share = np.array([1.0 if len(rows) > 300 else 0.1 for rows in self.words])
        self.word_share = share / share.sum()
        self.synth_words, self.near = corpus.where("synth_word"), corpus.where("near")
        self.speech = [corpus.where(kind, folder) for kind in ("speech", "synth_speech") for folder in corpus.names(kind)]
        self.spoken = [corpus.where("spoken", folder) for folder in corpus.names("spoken")]
        self.noise = [corpus.where("noise", folder) for folder in corpus.names("noise")]
        self.voices, self.rooms = Voices(front), Rooms(front)

    def frames_at(self, decibels):
        """Total mel power of a frame at that level, dBFS: the window's energy times the filters' unit sum."""
        amplitude = 32768.0 * 10.0 ** (decibels / 20.0)
        window_energy = 0.375 * self.front.window
        return amplitude**2 * window_energy * self.front.fft / 2

    def word(self, label: int, entry) -> Item:
        return Item(label, *self.corpus.row(entry), entry=int(entry))

    def noise_of(self, random, frames: int) -> np.ndarray:
        """Recorded or synthetic noise, [frames, mels], mean total power 1 (recorded: over the whole file)."""
        if random.random() < 0.65 and self.noise:
            power, _, _ = self.corpus.row(drawn(random, self.noise))
            start = random.integers(0, len(power))
            power = np.take(power, np.arange(start, start + frames), axis=0, mode="wrap")
            mean = power.sum(1).mean()
            # A silent crop of a file of separate sounds is no noise at all.
            if mean > 1.0:
                return power / mean
        mels = np.arange(self.front.mels) / self.front.mels
        # White noise's power grows with the filters' width, about e^2.5 from first to last.
        tilt = np.exp(2.5 * mels + random.uniform(-8.0, 2.0) * mels + random.uniform(0, 1.0) * np.cos(np.pi * random.uniform(0.5, 4) * mels))
        # A filter's power over one frame: chi-square, of more degrees the wider the filter.
        degrees = 1.5 + 10.0 * mels**1.5
        power = tilt * random.gamma(degrees, 1.0 / degrees, (frames, self.front.mels))
        if random.random() < 0.3:
            power *= np.exp(random.uniform(0, 1.5) * np.sin(np.arange(frames) * random.uniform(0.02, 0.6)))[:, None]
        return power / power.sum(1).mean()

    def item(self, random) -> Item:
        kind = random.choice(list(self.mix.kinds), p=list(self.mix.kinds.values()))
        if kind == "silence":
            frames = int(random.integers(60, 130))
            power = self.noise_of(random, frames) * self.frames_at(random.uniform(-93, -5))
            return Item(SILENCE, power, 0, frames - 1)
        if kind == "command":
            label = int(random.choice(self.labels, p=self.label_share))
            return self.voiced(random, self.word(label, self.clip(random, label)))
        return self.voiced(random, self.unknown(random))

    def clip(self, random, label: int) -> int:
        """An entry of that word."""
        recorded, synthetic = self.recorded[label], self.synthetic[label]
        share = max(SYNTH_WAKE if WORDS[label] in WAKE else SYNTH_WORD, 1.0 - (len(recorded) / ENOUGH) ** 0.5)
        if len(recorded) == 0 or len(synthetic) and random.random() < share:
            return random.choice(synthetic)
        return random.choice(recorded)

    def voiced(self, random, item: Item) -> Item:
        """The same by another voice, at another pace."""
        factor = float(np.clip(np.exp(random.normal(0.0, TEMPO)), FASTEST, SLOWEST))
        power = stretch(self.voices(random, item.power), factor)
        last = min(round((item.last + 1) * factor) - 1, len(power) - 1)
        return replace(item, power=power, first=min(round(item.first * factor), last), last=last)

    def speech_of(self, random, frames: int, folders=None) -> np.ndarray:
        """A crop of a recording of speech, without commands unless folders say otherwise, at most [frames, mels]."""
        folders = folders or self.speech
        power, _, _ = self.corpus.row(drawn(random, folders))
        frames = min(len(power), frames)
        start = random.integers(0, len(power) - frames + 1)
        return power[start : start + frames]

    def hard_crop(self, random, frames: int) -> tuple[np.ndarray, bool]:
        """A crop around a place that `mining.py` found, and whether other words of ours may be in it."""
        entry, frame = self.hard[random.integers(len(self.hard))]
        power, _, _ = self.corpus.row(entry)
        start = int(np.clip(frame - random.integers(40, frames), 0, max(len(power) - frames, 0)))
        return power[start : start + frames], self.corpus.entries[entry][0] == "spoken"

    def talk_of(self, random, frames: int) -> np.ndarray:
        """One to three people talking on and on, [frames, mels], mean total power 1."""
        talk = np.zeros((frames, self.front.mels), np.float32)
        for _ in range(random.choice(3, p=(0.6, 0.25, 0.15)) + 1):
            done, level = 0, np.exp(random.normal(0.0, 0.7))
            while done < frames:
                if self.speech and random.random() < 0.6:
                    power = self.speech_of(random, frames - done)
                else:
                    power = self.corpus.row(self.other_word(random))[0][: frames - done]
                power = self.voices(random, power)
                talk[done : done + len(power)] += power * (level / max(power.sum(1).mean(), 1.0))
                done += len(power)
        return talk / max(talk.sum(1).mean(), 1e-9)

    def other_word(self, random) -> int:
        """An entry of a recorded word that is none of ours; of a synthetic one, if none was recorded."""
        rows = self.words[random.choice(len(self.words), p=self.word_share)] if self.words else self.synth_words
        return random.choice(rows)

    def unknown(self, random) -> Item:
        kind = random.choice(list(self.unknowns), p=list(self.unknowns.values()))
        if kind == "word" or kind == "speech" and not self.speech:
            return self.word(UNKNOWN, self.other_word(random))
        if kind in ("synth", "near"):
            rows = self.near if kind == "near" and len(self.near) else self.synth_words
            return self.word(UNKNOWN, random.choice(rows))
        if kind == "speech":
            frames = int(random.integers(60, 250))
            if len(self.hard) and random.random() < HARD_CROPS:
                power, spoken = self.hard_crop(random, frames)
            else:
                spoken = bool(self.spoken) and random.random() < SPOKEN
                power = self.speech_of(random, frames, self.spoken if spoken else None)
                if random.random() < 0.15:
                    power = power[::-1]
            if random.random() < 0.2:
                power = power / max(power.sum(1).mean(), 1.0) + self.talk_of(random, len(power)) * 10.0 ** random.uniform(-1.5, 0.0)
            return Item(UNKNOWN, power, 0, len(power) - 1, anywhere=True, spoken=spoken)
        one, other = random.choice(self.labels, 2, replace=len(self.labels) < 2)
        power, first, last = self.corpus.row(self.clip(random, one))
        if kind == "half":
            # The wake words' endings are no words either: "commuter", "travis".
            if WORDS[one] in WAKE and random.random() < 0.5:
                joint = first + round((last - first) * random.uniform(0.4, 0.6))
                return Item(UNKNOWN, power[joint:], 0, last - joint, doubtful=True)
            joint = max(first + round((last - first) * random.uniform(0.2, 0.45)), 1)
            return Item(SILENCE, power[:joint], min(first, joint - 1), joint - 1, doubtful=True)
        if random.random() < 0.4 or one == other or {WORDS[one], WORDS[other]} in ALIKE:
            return Item(UNKNOWN, power[::-1], len(power) - 1 - last, len(power) - 1 - first)
        rest, rest_first, rest_last = self.corpus.row(self.clip(random, other))
        joint, rest_joint = (first + last + 1) // 2, (rest_first + rest_last + 1) // 2
        rest = rest[rest_joint:] * (power[first : last + 1].sum(1).mean() / max(rest[rest_first : rest_last + 1].sum(1).mean(), 1.0))
        return Item(UNKNOWN, np.concatenate([power[:joint], rest]), first, joint + rest_last - rest_joint)

    def colour(self, random) -> np.ndarray:
        """A random smooth microphone and room response, [mels], as a factor on power."""
        mels = np.arange(self.front.mels) / self.front.mels - 0.5
        return np.exp(random.normal(0, 1.2) * mels + random.normal(0, 0.4) * np.cos(2 * np.pi * (mels * random.uniform(0.5, 2) + random.random())))

    def stream(self, seed):
        """Features [frames + ahead, mels]; items [n, 7]; weight of silence's cross-entropy, [frames].

        Columns of the items: label, begin, end, middle, end of the reward, what else may be heard in it (1: other
        words, which are to be no command; 2: all but wake words), and the corpus's entry or -1.
        """
        random = np.random.default_rng(seed)
        total = self.frames + self.ahead
        power = np.zeros((total, self.front.mels))
        silent = np.ones(self.frames, np.float32)
        level = quietest = random.uniform(*LEVELS)
        talk = random.random() < self.mix.talk
        # People who talk at once are about as loud; or else most words would drown, or none meet any talk.
        spread = self.mix.spread / 3 if talk else self.mix.spread
        items = []
        # `free`: where the next item's answer may begin; `clear`: where its word may.
        position, free, clear = int(random.integers(-12, 16)), 0, 0
        while position < self.frames - 30:
            item = self.item(random)
            frames = len(item.power)
            said = item.label != SILENCE or item.doubtful
            if said and not item.anywhere:
                # The word itself is never cut, nor does it touch the one before; speech may break off right before it.
                position = max(position, clear - item.first)
                if position + item.last + REWARD >= self.frames:
                    break
            else:
                position = max(position, free, 0)
            if said:
                own = item.power[item.first : item.last + 1].sum(1).mean()
                decibels = np.clip(level + random.uniform(-spread, spread), *LEVELS)
                quietest = min(quietest, decibels)
                item.power = item.power * (self.frames_at(decibels) / max(own, 1.0))
            start, stop = max(position, 0), min(position + frames, total)
            power[start:stop] += item.power[start - position : stop - position] * self.colour(random)
            first, last = position + item.first, min(position + item.last, self.frames - 1)
            begin = max(start, free)
            if not said:
                items.append((item.label, begin, min(stop, self.frames), 0, 0, int(talk), -1))
            else:
                middle = begin if item.anywhere else (first + last) // 2
                # Speech cut off is over at once; a word may still be decided a little after its end.
                late, free, clear = (1, last + 6, last + 3) if item.anywhere else (REWARD + 1, last + RELEASE, last + 20)
                items.append((item.label, begin, min(stop, self.frames), middle, min(last + late, self.frames), 2 if item.spoken else int(talk or item.doubtful), item.entry))
                silent[max(first - 3, 0) : (free if item.anywhere else last + SILENT)] = 0.0
            position = position + frames + int(random.integers(-15, 25))
        # An item's negatives last until the next one begins.
        items = [(*item[:2], max(item[1] + 1, items[i + 1][1] if i + 1 < len(items) else self.frames), *item[3:]) for i, item in enumerate(items)]
        if talk:
            silent[:] = 0.0
            power += self.talk_of(random, total) * self.colour(random) * self.frames_at(quietest - random.uniform(2, 25))
        if random.random() < self.mix.rooms:
            power = self.rooms(random, power)
        if random.random() < self.mix.noisy:
            noise = self.noise_of(random, total) * self.colour(random)
            power += noise * self.frames_at(quietest - random.uniform(*NOISE))
        if random.random() < CLICKS:
            for _ in range(random.integers(1, MOST_CLICKS + 1)):
                start = random.integers(0, total - 8)
                # A window of 25 ms sees it for two frames more.
                click = power[start : start + random.integers(3, 7)]
                click += self.colour(random) / self.front.mels * self.frames_at(random.uniform(-25, 0))
        features = normalise(power, self.front)
        return self.mask(random, features), np.array(items, np.int64).reshape(-1, 7), silent

    def mask(self, random, features):
        """SpecAugment: bands and stretches at the bottom of the range."""
        if random.random() < self.mix.masked:
            for _ in range(random.integers(0, 3)):
                low = random.integers(0, self.front.mels - 6)
                features[:, low : low + random.integers(1, 6)] = -self.front.range
            for _ in range(random.integers(0, 6)):
                start = random.integers(0, len(features) - 10)
                features[start : start + random.integers(1, 8)] = -self.front.range
        return features

    def batch(self, seed: tuple, streams: int):
        """Features [B, frames + ahead, mels], items [n, 8] led by their stream's number, silent [B, frames]."""
        made = [self.stream((*seed, i)) for i in range(streams)]
        items = np.concatenate([np.insert(items, 0, i, axis=1) for i, (_, items, _) in enumerate(made)])
        return np.stack([m[0] for m in made]), items, np.stack([m[2] for m in made])
