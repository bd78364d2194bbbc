"""What the network is taught by: the decision that the decoder would take, the frames of a word's end, and phonemes."""

import torch

from config import DECODER, SILENCE, UNKNOWN, WAKE, WORDS
from streams import REWARD

SMOOTHING = DECODER["smoothing"]
ENDING = 10  # frames at a word's end that must each answer
SOUNDS_LATE = 12  # frames after a word's end in which its phonemes may still be told


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
    label, begin, _, middle, reward = items[:, 1:6].T
    frame = torch.arange(logits.shape[1], device=logits.device)[None, :]
    # Silence and running speech have no such end.
    word = (label != SILENCE) & (middle != begin)
    ending = (frame >= reward[:, None] - ENDING) & (frame < reward[:, None]) & word[:, None]
    answers = torch.log_softmax(logits.float(), dim=-1)[items[:, 0]]
    return -((answers * target[:, None]).sum(-1) * ending).sum() / ending.sum().clamp(min=1)


def sound_loss(logits, items, phonemes):
    """CTC (Graves et al. 2006) of the phonemes of each item whose text is known, over its own frames; [B, T, sounds + 1].

    The same sounds are in recorded and in synthetic speech, which the encoder is to hear alike.
    """
    said = phonemes[items[:, -1].cpu()]
    lengths = (said > 0).sum(1)
    middle, reward = items[:, 4], items[:, 5]
    last = reward - REWARD - 1
    first = (2 * middle - last - 2).clamp(min=0)
    frames = (last + SOUNDS_LATE).clamp(max=logits.shape[1]) - first
    # A word cut short by an augmentation may have too few frames for its sounds.
    known = (items[:, -1] >= 0) & (lengths > 0) & (middle > items[:, 2]) & (frames > 2 * lengths)
    if not known.any():
        return logits.sum() * 0.0
    first, frames, said, lengths, stream = first[known], frames[known], said[known], lengths[known], items[known, 0]
    at = (first[:, None] + torch.arange(int(frames.max()))).clamp(max=logits.shape[1] - 1)
    own = torch.log_softmax(logits.float()[stream[:, None], at], dim=-1)
    each = torch.nn.functional.ctc_loss(own.transpose(0, 1), said.long(), frames, lengths, reduction="none", zero_infinity=True)
    return (each / lengths).mean()
