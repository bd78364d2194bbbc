"""Fake quantization: in float, the int8 numbers that the device computes with.

The scheme is that of the TFLite 8-bit quantization spec and of `zerda compile`: weights symmetric per
output channel, activations asymmetric per tensor, value = scale * (q - zero_point) with q in
-128..=127. Rounding passes gradients straight through; saturation stops them. Every module here is
the identity until it is switched on.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# What the device's operators put out whatever the data, as (scale, zero point).
PROBABILITY = (1.0 / 256.0, -128)
GATE = (1.0 / 255.0, -128)

# Distance below a row's maximum at which TFLite's int8 softmax gives exactly 0, and how much further
# the range reaches: a maximum may come lower than any that was seen.
SOFTMAX_ZERO, SOFTMAX_MARGIN = 14.5, 2.5

# Magnitudes of a linear's weights. An Ethos-U reads weights compressed, up to 32 values as places in a table: 31 of them take a
# step's constants from 244 to 170 KiB, and a sixth of its time (host-tools/tflite/docs/npu-formulations.md).
LEVELS = 15

SAMPLES = 50_000  # values that a tensor keeps of a batch to choose its range by
CANDIDATES = 100  # for each end of a range


class Switched(nn.Module):
    on = False


class Weights(Switched):
    """Rows [output channels, ...] with a scale each, largest magnitude / 127, of `levels` magnitudes beside 0."""

    def __init__(self, levels: int = 127):
        super().__init__()
        self.levels = levels

    def forward(self, weights):
        return self.rounded(weights) if self.on else weights

    def rounded(self, weights):
        largest = weights.detach().flatten(1).abs().amax(1).clamp(min=1e-7)
        zero = torch.zeros_like(largest, dtype=torch.int32)
        # First to the levels, then to the int8 nearest to each.
        for levels in sorted({self.levels, 127}):
            weights = torch.fake_quantize_per_channel_affine(weights, largest / levels, zero, 0, -levels, levels)
        return weights


class Linear(nn.Linear):
    """A linear whose weights are rounded."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.rounding = Weights(LEVELS)

    def forward(self, x):
        return F.linear(x, self.rounding(self.weight), self.bias)


class Table(Switched):
    """A constant tensor, in the range of its own values."""

    def forward(self, table):
        if not self.on:
            return table
        scale, zero_point = of_range(table.min().item(), table.max().item())
        return torch.fake_quantize_per_tensor_affine(table, scale, zero_point, -128, 127)


class Quantize(Switched):
    """An activation. Its range is `fixed` (scale, zero point) or chosen by `observe`, then held."""

    def __init__(self, fixed: tuple[float, int] | None = None):
        super().__init__()
        scale, zero_point = fixed or (1.0, 0)
        self.fixed, self.seen = fixed is not None, None
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("zero_point", torch.tensor(zero_point, dtype=torch.int32))

    def forward(self, x):
        if self.seen is not None:
            self.see(x)
        return self.rounded(x)

    def rounded(self, x):
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, -128, 127) if self.on else x

    def see(self, x):
        """Keeps a sample. Zeros are exact in every range and mostly stand for rows before the stream."""
        values = x.flatten()
        values = values[torch.randint(len(values), (SAMPLES,), device=values.device)]
        self.seen.append(values[values != 0.0].cpu())

    def settle(self):
        self.span(*best_range(torch.cat(self.seen).numpy()))

    def span(self, low: float, high: float):
        scale, zero_point = of_range(low, high)
        self.scale.fill_(scale), self.zero_point.fill_(zero_point)


class MaskedScores(Quantize):
    """Attention scores, and the mask on top of them. Absent keys saturate at the range's low end, which
    must therefore lie so far below every row's maximum that softmax makes 0 of it."""

    def forward(self, x, mask):
        if self.seen is not None:
            self.seen.append(x.masked_fill(mask < 0, -torch.inf).amax(-1).aminmax())
        return self.rounded(x) + mask

    def settle(self):
        lowest, highest = zip(*self.seen)
        self.span(min(lowest).item() - SOFTMAX_ZERO - SOFTMAX_MARGIN, max(highest).item())


class HardSwish(nn.Module):
    def __init__(self):
        super().__init__()
        self.input, self.output = Quantize(), Quantize()

    def forward(self, x):
        return self.output(F.hardswish(self.input(x)))


def of_range(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of the int8 quantization of [low, high], widened to hold 0, which is exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / 255.0, 1e-9)
    return scale, int(np.clip(np.round(-128.0 - low / scale), -128, 127))


def best_range(values: np.ndarray) -> tuple[float, float]:
    """The range of least mean square error: a narrower one rounds finer, but clips more."""
    values = np.sort(values.astype(np.float64))
    if len(values) == 0:
        return 0.0, 0.0
    ends = lambda end: end * (1.0 - np.arange(CANDIDATES) / CANDIDATES) if end else np.zeros(1)
    low, high = ends(min(values[0], 0.0))[:, None], ends(max(values[-1], 0.0))[None, :]
    sums = np.stack([np.concatenate([[0.0], np.cumsum(values**power)]) for power in range(3)])
    clipped = lambda end, n, total, squares: squares - 2.0 * end * total + end * end * n
    below = sums[:, np.searchsorted(values, low)]
    above = sums[:, -1, None, None] - sums[:, np.searchsorted(values, high)]
    rounded = sums[0, -1] - below[0] - above[0]
    error = clipped(low, *below) + clipped(high, *above) + rounded * ((high - low) / 255.0) ** 2 / 12.0
    i, j = np.unravel_index(error.argmin(), error.shape)
    return float(low[i, 0]), float(high[0, j])


@torch.no_grad()
def observe(model, batches, kind=Quantize):
    """Chooses the ranges of activations of one kind, or all, by what `batches` of features make of them."""
    quantizers = [m for m in model.modules() if isinstance(m, kind) and not m.fixed]
    for quantizer in quantizers:
        quantizer.seen = []
    for features in batches:
        model(features)
    for quantizer in quantizers:
        quantizer.settle()
        quantizer.seen = None
    for module in model.modules():
        if isinstance(module, HardSwish):
            # TFLite's kernel needs an output scale above 1/128 of the input's.
            module.output.scale.clamp_(min=module.input.scale.item() / 127.0)


def switch(model, on: bool):
    """Fake quantization of weights and activations, all or none."""
    for module in model.modules():
        if isinstance(module, Switched):
            module.on = on


@torch.no_grad()
def round_weights(model):
    """Replaces a linear's weights by what they are rounded to, lest a compiler, which knows nothing of levels, round them elsewhere."""
    for module in model.modules():
        if isinstance(module, Linear):
            module.weight.copy_(module.rounding.rounded(module.weight))


def switch_ranges(model):
    """Of those activations alone whose range is the model's own: what the ONNX carries."""
    for module in model.modules():
        if isinstance(module, Switched):
            module.on = isinstance(module, Quantize) and not module.fixed
