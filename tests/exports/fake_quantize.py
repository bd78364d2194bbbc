"""Quantization as quantization-aware training has it in the float graph."""

import torch
from torch import nn
from torch.nn.utils import parametrize


class Activation(nn.Module):
    """int8 or uint8 with the range of what it is shown while `observing`."""

    def __init__(self, kind: str):
        super().__init__()
        self.low, self.high = {"int8": (-128, 127), "uint8": (0, 255)}[kind]
        self.observing, self.least, self.most = True, 0.0, 0.0
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("zero_point", torch.tensor(0, dtype=torch.int32))

    def forward(self, x):
        if self.observing:
            self.least, self.most = min(self.least, x.min().item()), max(self.most, x.max().item())
            self.scale.fill_((self.most - self.least) / 255)
            self.zero_point.fill_(self.low - round(self.least / self.scale.item()))
            return x
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, self.low, self.high)


class Weight(nn.Module):
    """Symmetric, with a scale for each output channel."""

    def __init__(self, weight):
        super().__init__()
        self.register_buffer("scale", weight.detach().flatten(1).abs().amax(1) / 127)
        self.register_buffer("zero_point", torch.zeros(len(weight), dtype=torch.int32))

    def forward(self, weight):
        return torch.fake_quantize_per_channel_affine(weight, self.scale, self.zero_point, 0, -128, 127)


def fake_quantize(model: nn.Module, kind: str):
    """int8: the outputs of linears and activations. uint8: the inputs of linears, and their weights by channel."""
    for name, child in model.named_children():
        linear = isinstance(child, (nn.Linear, nn.Conv1d))
        if linear and kind == "uint8":
            parametrize.register_parametrization(child, "weight", Weight(child.weight))
            setattr(model, name, nn.Sequential(Activation(kind), child))
        elif kind == "int8" and (linear or isinstance(child, (nn.Hardswish, nn.SiLU))):
            setattr(model, name, nn.Sequential(child, Activation(kind)))
        else:
            fake_quantize(child, kind)
