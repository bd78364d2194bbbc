"""The streaming Conformer, over whole streams (training) and one step at a time (export).

Call n sees frames [nS, nS+C): the first S are committed, the others are look-ahead and are
computed again in call n+1. A query sees at most L committed frames before nS and the call's
own C. Training lays all calls of a stream side by side, look-ahead copies included, so that
its rows are the very rows that the device computes.
"""

import torch
import torch.nn.functional as F
from torch import nn

from config import FrontEnd, Profile
from quantize import GATE, PROBABILITY, HardSwish, Linear, MaskedScores, Quantize, Table, Weights

ABSENT = -10000.0
# Of 1, 2, 4 and 8 the quickest: a batch takes a quarter less time than with 1, of pre-training and of training.
SIDE_BY_SIDE = 4


class BatchNorm(nn.Module):
    """Over the last axis. Once its statistics are final it goes into the linears that follow, or the depthwise before."""

    def __init__(self, hidden: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("mean", torch.zeros(hidden))
        self.register_buffer("variance", torch.ones(hidden))
        # Share of a batch's statistics in the running ones.
        self.momentum = 0.02

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        y = F.batch_norm(rows, self.mean, self.variance, self.weight, self.bias, self.training, self.momentum)
        return y.view_as(x)

    def scale_and_shift(self):
        scale = self.weight / torch.sqrt(self.variance + 1e-5)
        return scale, self.bias - self.mean * scale

    @torch.no_grad()
    def fold_into(self, *linears: Linear) -> nn.Module:
        """What is left in its own place."""
        scale, shift = self.scale_and_shift()
        for linear in linears:
            linear.bias += linear.weight @ shift
            linear.weight *= scale
        return nn.Identity()


class FeedForward(nn.Module):
    def __init__(self, profile: Profile, dropout: float):
        super().__init__()
        self.norm = BatchNorm(profile.hidden)
        self.up, self.swish = Linear(profile.hidden, profile.feed_forward), HardSwish()
        self.down, self.quantize_down = Linear(profile.feed_forward, profile.hidden), Quantize()
        self.quantize_sum = Quantize()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        h = self.dropout(self.down(self.swish(self.up(self.norm(x)))))
        return self.quantize_sum(x + self.quantize_down(0.5 * h))

    def fold(self):
        self.norm = self.norm.fold_into(self.up)


class Windows(torch.autograd.Function):
    """`rows` before each call. As `unfold`, whose own backward took a fifth of a training step."""

    @staticmethod
    def forward(ctx, past, before: int, step: int):
        ctx.step = step
        return past.unfold(1, before, step).transpose(2, 3).contiguous()

    @staticmethod
    def backward(ctx, grad):
        batch, calls, before, hidden = grad.shape
        blocks = -(-before // ctx.step)
        past = grad.new_zeros(batch, calls + blocks - 1, ctx.step, hidden)
        for i in range(blocks):
            part = grad[:, :, i * ctx.step : (i + 1) * ctx.step]
            past[:, i : i + calls, : part.shape[2]] += part
        return past.flatten(1, 2)[:, : before + (calls - 1) * ctx.step], None, None


def taps_over(window, taps):
    """Sums a channel's rows times its taps: [B, rows + K-1, H] and [H, 1, K] to [B, rows, H]."""
    # As an image of one row, hidden innermost as it lies: half the time of a sum over taps in bfloat16.
    lines = F.conv2d(window.transpose(1, 2)[:, :, None], taps[:, :, None], groups=len(taps))
    return lines[:, :, 0].transpose(1, 2)


class Depthwise(torch.autograd.Function):
    """Computes `taps_over` with a backward of its own: that of `conv2d` took a fifth of a training step, and takes 3.6 times as long."""

    @staticmethod
    def forward(ctx, window, taps):
        ctx.save_for_backward(window, taps)
        return taps_over(window, taps)

    @staticmethod
    def backward(ctx, grad):
        window, taps = (saved.to(grad.dtype) for saved in ctx.saved_tensors)
        rows, kernel = grad.shape[1], taps.shape[2]
        of_window = taps_over(F.pad(grad, (0, 0, kernel - 1, kernel - 1)), taps.flip(-1))
        # A product with ones sums quicker than a sum over so many rows.
        ones = grad.new_ones(1, len(grad) * rows)
        of_taps = [ones @ (window[:, k : k + rows] * grad).reshape(-1, grad.shape[2]) for k in range(kernel)]
        return of_window, torch.stack(of_taps, dim=-1).transpose(0, 1)


def committed(x, rows: int, before: int):
    """Rows the caches hold before each call, [B, N, before, H], from [B, N, C, H]; zeros before the stream."""
    batch, calls, _, hidden = x.shape
    own = x[:, :, :rows].reshape(batch, calls * rows, hidden)
    past = F.pad(own, (0, 0, before, 0))
    return Windows.apply(past[:, : before + (calls - 1) * rows], before, rows)


class Attention(nn.Module):
    def __init__(self, profile: Profile, dropout: float):
        super().__init__()
        self.profile = profile
        hidden, self.heads = profile.hidden, profile.heads
        self.norm = BatchNorm(hidden)
        self.query, self.key, self.value, self.out = (Linear(hidden, hidden) for _ in range(4))
        self.quantize_query, self.quantize_key, self.quantize_value = (Quantize() for _ in range(3))
        self.distance = nn.Parameter(torch.zeros(self.heads, profile.cached + 2 * profile.chunk - 1))
        self.quantize_table, self.quantize_scores, self.mask_scores = Table(), Quantize(), MaskedScores()
        self.quantize_probability, self.quantize_context = Quantize(PROBABILITY), Quantize()
        self.quantize_out, self.quantize_sum = Quantize(), Quantize()
        self.dropout = nn.Dropout(dropout)

    def reach(self, queries: int, calls: int):
        """Of calls side by side, from frame nS on: queries by call, and keys, those of committed frames from nS-L on, then
        each call's look-ahead. How many frames apart, as an index of `distance`, and whether the query's own call
        sees the key, [calls * queries, L + calls * C]."""
        step, chunk, cached = self.profile.step, self.profile.chunk, self.profile.cached
        call, row = (torch.arange(calls * queries)[:, None] // queries), (torch.arange(calls * queries)[:, None] % queries)
        past, ahead = torch.arange(cached + calls * step) - cached, torch.arange(calls * (chunk - step))
        owner = ahead // max(chunk - step, 1)
        seen = torch.cat([(past >= call * step - cached) & (past < call * step + step), owner == call], dim=1)
        key = torch.cat([past, owner * step + step + ahead % max(chunk - step, 1)])
        return torch.where(seen, call * step + row - key, 0) + chunk - 1, seen

    def bias(self, queries: int):
        """[heads, queries, L+C] of one call."""
        return self.distance[:, self.reach(queries, 1)[0].to(self.distance.device)]

    def forward(self, x, queries: int):
        shape, (batch, calls, chunk, hidden) = self.profile, x.shape
        width, normed = hidden // self.heads, self.norm(x)
        q = self.quantize_query(self.query(normed[:, :, :queries]) * width**-0.5)
        # Calls have most keys in common: side by side they copy fewer of them.
        group = SIDE_BY_SIDE if calls % SIDE_BY_SIDE == 0 else 1
        # [B, heads, N, rows, width] before the windows are cut, which then need no other layout.
        split = lambda t: t.reshape(batch, calls, -1, self.heads, width).permute(0, 3, 1, 2, 4)

        def windows(kv):
            kv = split(kv).flatten(0, 1)
            own, ahead = (part.reshape(len(kv), calls // group, -1, width) for part in (kv[:, :, : shape.step], kv[:, :, shape.step :]))
            return torch.cat([committed(own, own.shape[2], shape.cached), own, ahead], dim=2).unflatten(0, (batch, self.heads))

        q, k, v = split(q), windows(self.quantize_key(self.key(normed))), windows(self.quantize_value(self.value(normed)))
        apart, seen = self.reach(queries, group)
        # In the type of the products: the largest tensors of all, and in bfloat16 half as large.
        table = self.quantize_table(self.distance[:, apart.to(x.device)])[:, None].to(q.dtype)
        scores = self.quantize_scores(q.reshape(*k.shape[:3], -1, width) @ k.transpose(-1, -2)) + table
        first = torch.arange(calls // group)[:, None, None] * group * shape.step
        absent = (torch.arange(seen.shape[1]) < shape.cached - first) | ~seen
        scores = self.mask_scores(scores, absent.to(x.device, q.dtype) * ABSENT)
        context = self.quantize_context(self.quantize_probability(torch.softmax(scores, dim=-1)) @ v)
        out = self.dropout(self.out(context.permute(0, 2, 3, 1, 4).reshape(batch, calls, queries, hidden)))
        return self.quantize_sum(x[:, :, :queries] + self.quantize_out(out))

    def fold(self):
        self.norm = self.norm.fold_into(self.query, self.key, self.value)


class Convolution(nn.Module):
    def __init__(self, profile: Profile, dropout: float):
        super().__init__()
        self.profile = profile
        hidden = profile.hidden
        self.norm = BatchNorm(hidden)
        self.value, self.gate, self.out = (Linear(hidden, hidden) for _ in range(3))
        self.quantize_value, self.quantize_gate, self.quantize_product = Quantize(), Quantize(GATE), Quantize()
        self.depthwise = nn.Conv1d(hidden, hidden, profile.kernel, groups=hidden, bias=False)
        self.rounding, self.norm_out, self.swish = Weights(), BatchNorm(hidden), HardSwish()
        self.quantize_out, self.quantize_sum = Quantize(), Quantize()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        normed = self.norm(x)
        gate = self.quantize_gate(F.hardsigmoid(self.gate(normed)))
        h = self.quantize_product(self.quantize_value(self.value(normed)) * gate)
        window = torch.cat([committed(h, self.profile.step, self.profile.kernel - 1), h], dim=2)
        y = Depthwise.apply(window.flatten(0, 1), self.rounding(self.depthwise.weight)).reshape(x.shape)
        if self.depthwise.bias is not None:
            y = y + self.depthwise.bias
        out = self.dropout(self.out(self.swish(self.norm_out(y))))
        return self.quantize_sum(x + self.quantize_out(out))

    def fold(self):
        self.norm = self.norm.fold_into(self.value, self.gate)
        scale, shift = self.norm_out.scale_and_shift()
        self.depthwise.weight.data *= scale[:, None, None]
        self.depthwise.bias, self.norm_out = nn.Parameter(shift.detach()), nn.Identity()


class Layer(nn.Module):
    def __init__(self, profile: Profile, dropout: float, last: bool):
        super().__init__()
        self.before = FeedForward(profile, dropout)
        self.attention = Attention(profile, dropout)
        self.convolution = Convolution(profile, dropout)
        self.after = FeedForward(profile, dropout)
        # The last layer's look-ahead rows serve as keys and values only.
        self.queries = profile.step if last else profile.chunk

    def forward(self, x):
        return self.after(self.convolution(self.attention(self.before(x), self.queries)))


class Conformer(nn.Module):
    def __init__(self, profile: Profile, front: FrontEnd, classes: int, dropout: float = 0.0):
        super().__init__()
        self.profile = profile
        self.quantize_features = Quantize((front.range / 255.0, 127))
        self.norm_in = BatchNorm(front.mels)
        self.input, self.quantize_input = Linear(front.mels, profile.hidden), Quantize()
        self.layers = nn.ModuleList(Layer(profile, dropout, i == profile.layers - 1) for i in range(profile.layers))
        self.norm = BatchNorm(profile.hidden)
        self.head, self.quantize_head = Linear(profile.hidden, classes), Quantize()

    def forward(self, features):
        """Features [B, NS + C-S, mels] of whole streams to logits [B, NS, classes] of their committed frames."""
        return self.answer(self.heard(features))

    def heard(self, features):
        """What the head reads, [B, NS, hidden]."""
        x = self.quantize_features(features).unfold(1, self.profile.chunk, self.profile.step).transpose(2, 3)
        x = self.quantize_input(self.input(self.norm_in(x)))
        for layer in self.layers:
            x = layer(x)
        return self.norm(x).flatten(1, 2)

    def answer(self, heard):
        return self.quantize_head(self.head(heard))

    @property
    def folded(self) -> bool:
        return isinstance(self.norm, nn.Identity)

    def fold(self) -> "Conformer":
        """The same function without BatchNorm, which is what the device computes and what is rounded."""
        if not self.folded:
            self.norm_in, self.norm = self.norm_in.fold_into(self.input), self.norm.fold_into(self.head)
            for layer in self.layers:
                for block in (layer.before, layer.attention, layer.convolution, layer.after):
                    block.fold()
        return self
