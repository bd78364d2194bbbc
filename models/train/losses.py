"""What the network is taught by: the decision that the decoder would take, the frames of a word's end, phonemes, and, once it is rounded, its own answers."""

import numpy as np
import torch

from config import DECODER, SILENCE, UNKNOWN, WAKE, WORDS
from streams import REWARD

SMOOTHING = DECODER["smoothing"]
ENDING = 10  # frames at a word's end that must each answer
SOUNDS_LATE = 12  # frames after a word's end in which its phonemes may still be told
# Frames of a stream that begins shortly before a word, and of those the fewest and most before it; the device's voice activity gate
# (firmware/src/quiet.rs) starts the network 40 frames before it opens, which is up to 25 frames after the word begins.
COLD, EARLY = 140, (5, 36)


def smoothed(posteriors):
    """Mean over the last frames as the decoder takes it; before the stream they count as 0. [B, T, classes]."""
    total = torch.cumsum(posteriors, dim=1)
    return (total - torch.nn.functional.pad(total, (0, 0, SMOOTHING, 0))[:, : total.shape[1]]) / SMOOTHING


def decision_loss(logits, items, silent, target, false_wakes=1.0, false_words=1.0):
    """Cross-entropy of what the decoder would answer, item by item; `target` has the labels' shares, [n, labels].

    A word's own posterior must peak between its middle and 60 ms after its end; no other
    command's may, anywhere in the item, nor may `_unknown_` unless others talk in it. Where nobody
    speaks, every frame must say silence.
    """
    logits = logits.float()
    posteriors = smoothed(torch.softmax(logits, dim=-1))[items[:, 0]]
    label, begin, end, middle, reward, talk = items[:, 1:7].T
    frame = torch.arange(logits.shape[1], device=logits.device)[None, :]
    within = (frame >= begin[:, None]) & (frame < end[:, None])
    peak = lambda window: (posteriors * window[..., None]).amax(1)
    reached = peak((frame >= middle[:, None]) & (frame < reward[:, None]))
    highest = peak(within).clamp(max=0.999)
    words = label != SILENCE
    hit = -torch.log(reached.gather(1, label[:, None])[:, 0].clamp(min=1e-4)) * words
    hit *= target.gather(1, label[:, None])[:, 0]
    others = 1.0 - target
    others[:, SILENCE] = 0.0
    others[:, UNKNOWN] *= talk == 0
    wake = [WORDS.index(word) for word in WAKE]
    rest = [word for word in range(len(WORDS)) if word not in wake]
    others[:, rest] *= ((talk < 2) * torch.where(label == UNKNOWN, false_words, 1.0))[:, None]
    others[:, wake] *= false_wakes
    false = -(torch.log1p(-highest) * others).sum(1)
    quiet = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), torch.full((logits.shape[0] * logits.shape[1],), SILENCE, device=logits.device), reduction="none"
    )
    quiet = (quiet * silent.flatten()).sum() / silent.sum().clamp(min=1.0)
    # A peak alone teaches one frame of a word at a time; those before it ends answer too, which learns faster.
    return hit.mean() + false.mean() + 0.3 * (quiet + answer_loss(logits, items, target))


def answer_loss(logits, items, target):
    """Cross-entropy of the frames that end an item's word, [B, T, classes]; target [n, classes]."""
    reward = items[:, 5]
    frame = torch.arange(logits.shape[1], device=logits.device)[None, :]
    ending = (frame >= reward[:, None] - ENDING) & (frame < reward[:, None]) & is_word(items)[:, None]
    answers = torch.log_softmax(logits.float(), dim=-1)[items[:, 0]]
    return -((answers * target[:, None]).sum(-1) * ending).sum() / ending.sum().clamp(min=1)


def sound_loss(logits, items, phonemes):
    """CTC (Graves et al. 2006) of the phonemes of each item whose text is known, over its own frames; [B, T, sounds + 1].

    The same sounds are in recorded and in synthetic speech, which the encoder is to hear alike.
    """
    said = phonemes[items[:, -1].cpu()]
    lengths = (said > 0).sum(1)
    first, last = word_frames(items)
    first = (first - 2).clamp(min=0)
    frames = (last + SOUNDS_LATE).clamp(max=logits.shape[1]) - first
    # A word cut short by an augmentation may have too few frames for its sounds.
    known = (items[:, -1] >= 0) & (lengths > 0) & (items[:, 4] > items[:, 2]) & (frames > 2 * lengths)
    if not known.any():
        return logits.sum() * 0.0
    first, frames, said, lengths, stream = first[known], frames[known], said[known], lengths[known], items[known, 0]
    at = (first[:, None] + torch.arange(int(frames.max()))).clamp(max=logits.shape[1] - 1)
    own = torch.log_softmax(logits.float()[stream[:, None], at], dim=-1)
    each = torch.nn.functional.ctc_loss(own.transpose(0, 1), said.long(), frames, lengths, reduction="none", zero_infinity=True)
    return (each / lengths).mean()


def is_word(items):
    """Which items have a word's beginning and end: silence and running speech have none."""
    return (items[:, 1] != SILENCE) & (items[:, 4] != items[:, 2])


def word_frames(items):
    """First and last frame of each item's word."""
    middle, reward = items[:, 4], items[:, 5]
    last = reward - REWARD - 1
    return (2 * middle - last).clamp(min=0), last


def kept_answers(teacher, student, features, items, step, random):
    """Kullback-Leibler divergence of the student's posteriors, a frame, from those of the teacher, which has heard all of each stream; features
    [B, T, mels], items as of the composer.

    The student hears all of it, too; and it hears it from shortly before a word on, as where the device's network rests until somebody
    speaks. What it answers from the word on is to be the same. Streams begin with a step.
    """
    with torch.no_grad():
        taught = teacher(features)
    whole = student(features)
    kept = divergence(taught, whole).mean()
    starts = cold_starts(items, whole.shape[1], step, random)
    if len(starts) == 0:
        return kept
    stream, start, word = torch.from_numpy(starts).to(features.device).T
    ahead, frames = features.shape[1] - whole.shape[1], COLD // step * step
    part = lambda of, count: of[stream[:, None], start[:, None] + torch.arange(count, device=of.device)]
    cold = divergence(part(taught, frames), student(part(features, frames + ahead)))
    since = torch.arange(frames, device=word.device)[None] >= word[:, None]
    return kept + (cold * since).sum() / since.sum()


def cold_starts(items, frames, step, random):
    """Where streams may begin again, one in each stream at most: its number, the first frame, and the word's first, counted from there; [n, 3].

    No word is said between the two, and none is cut.
    """
    first, last = word_frames(items)
    rows = torch.stack([items[:, 0], first, last], 1)[is_word(items)].tolist()
    found = []
    for stream in sorted({row[0] for row in rows}):
        ends, free = 0, []
        for _, first, last in (row for row in rows if row[0] == stream):
            if first - ends >= EARLY[0] + 2 * step and first <= frames - COLD:
                free.append((first, ends))
            ends = last
        if not free:
            continue
        first, ends = free[random.integers(len(free))]
        start = max(first - int(random.integers(*EARLY)), ends + 2)
        start = -(-start // step) * step
        found.append((stream, start, first - start))
    return np.array(found, np.int64).reshape(-1, 3)


def divergence(taught, learnt):
    taught, learnt = (torch.log_softmax(logits.float(), dim=-1) for logits in (taught, learnt))
    return (taught.exp() * (taught - learnt)).sum(-1)
