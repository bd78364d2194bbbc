"""The float ONNX of one streaming step: caches in, caches out, every BatchNorm folded away."""

from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from torch import nn

from config import LABELS, FrontEnd, Profile
from model import Attention, BatchNorm, Conformer, Convolution, FeedForward

OPSET = 17


def folded(norm: BatchNorm, linear: nn.Linear, factor: float = 1.0) -> nn.Linear:
    """`factor * linear(norm(x))` as one linear."""
    scale, shift = norm.scale_and_shift()
    result = nn.Linear(linear.in_features, linear.out_features)
    result.weight.data = linear.weight * scale * factor
    result.bias.data = (linear.weight @ shift + linear.bias) * factor
    return result


class FeedForwardStep(nn.Module):
    def __init__(self, trained: FeedForward):
        super().__init__()
        self.up = folded(trained.norm, trained.up)
        self.down = nn.Linear(trained.down.in_features, trained.down.out_features)
        self.down.weight.data, self.down.bias.data = 0.5 * trained.down.weight, 0.5 * trained.down.bias

    def forward(self, x):
        return x + self.down(F.hardswish(self.up(x)))


class AttentionStep(nn.Module):
    def __init__(self, trained: Attention, queries: int):
        super().__init__()
        self.heads, self.queries, self.sliced = trained.heads, queries, queries < trained.profile.chunk
        width = trained.query.in_features // trained.heads
        self.query = folded(trained.norm, trained.query, width**-0.5)
        self.key, self.value = folded(trained.norm, trained.key), folded(trained.norm, trained.value)
        self.out = trained.out
        self.register_buffer("bias", trained.bias(queries).detach().clone())

    def forward(self, x, mask, keys, values):
        keys = torch.cat([keys, self.key(x)])
        values = torch.cat([values, self.value(x)])
        if self.sliced:
            x = x[: self.queries]
        split = lambda t: t.reshape(t.shape[0], self.heads, -1).transpose(0, 1)
        scores = split(self.query(x)) @ split(keys).transpose(1, 2) + self.bias + mask
        context = torch.softmax(scores, dim=-1) @ split(values)
        return x + self.out(context.transpose(0, 1).reshape(self.queries, -1)), keys, values


class ConvolutionStep(nn.Module):
    def __init__(self, trained: Convolution):
        super().__init__()
        self.value, self.gate = folded(trained.norm, trained.value), folded(trained.norm, trained.gate)
        scale, shift = trained.norm_out.scale_and_shift()
        hidden = trained.out.in_features
        self.depthwise = nn.Conv1d(hidden, hidden, trained.profile.kernel, groups=hidden)
        self.depthwise.weight.data = trained.depthwise.weight * scale[:, None, None]
        self.depthwise.bias.data = shift
        self.out = trained.out

    def forward(self, x, cached):
        window = torch.cat([cached, self.value(x) * F.hardsigmoid(self.gate(x))])
        y = self.depthwise(window.t().unsqueeze(0)).squeeze(0).t()
        return x + self.out(F.hardswish(y)), window


class Step(nn.Module):
    """Inputs features [C, mels], mask [1, L+C], then keys, values [L, H] and conv [kernel-1, H] of each layer."""

    def __init__(self, trained: Conformer):
        super().__init__()
        trained = trained.cpu().eval()
        self.profile = trained.profile
        self.input = folded(trained.norm_in, trained.input)
        self.before = nn.ModuleList(FeedForwardStep(layer.before) for layer in trained.layers)
        self.attention = nn.ModuleList(AttentionStep(layer.attention, layer.queries) for layer in trained.layers)
        self.convolution = nn.ModuleList(ConvolutionStep(layer.convolution) for layer in trained.layers)
        self.after = nn.ModuleList(FeedForwardStep(layer.after) for layer in trained.layers)
        self.head = folded(trained.norm, trained.head)

    def forward(self, features, mask, *caches):
        shape, x, following = self.profile, self.input(features), []
        for i, (before, attention, convolution, after) in enumerate(
            zip(self.before, self.attention, self.convolution, self.after)
        ):
            keys, values, conv = caches[3 * i : 3 * i + 3]
            x, keys, values = attention(before(x), mask, keys, values)
            x, conv = convolution(x, conv)
            x = after(x)
            # Only the committed rows move on.
            following += [keys[shape.step : shape.step + shape.cached], values[shape.step : shape.step + shape.cached],
                          conv[shape.step : shape.step + shape.kernel - 1]]
        return self.head(x), *following

    def empty(self):
        """The caches before a stream."""
        shape = self.profile
        rows = [shape.cached, shape.cached, shape.kernel - 1] * shape.layers
        return [torch.zeros(r, shape.hidden) for r in rows]

    def mask(self, call: int):
        """Additive: absent keys are always the oldest."""
        shape, mask = self.profile, torch.zeros(1, self.profile.cached + self.profile.chunk)
        mask[0, : max(0, shape.cached - call * shape.step)] = -10000.0
        return mask

    @torch.no_grad()
    def stream(self, features, step=None):
        """Logits [NS, classes] of features [NS + C-S, mels], call by call; `step` stands in for this module's own."""
        shape, caches, logits = self.profile, self.empty(), []
        for n in range((len(features) - shape.chunk) // shape.step + 1):
            chunk = features[n * shape.step : n * shape.step + shape.chunk]
            out, *caches = (step or self)(chunk, self.mask(n), *caches)
            logits.append(out)
        return torch.cat(logits)


def write_onnx(trained: Conformer, front: FrontEnd, path: Path) -> Step:
    step = Step(trained)
    shape = step.profile
    caches = [f"{name}_{i}" for i in range(shape.layers) for name in ("keys", "values", "conv")]
    torch.onnx.export(
        step, (torch.zeros(shape.chunk, front.mels), step.mask(0), *step.empty()), str(path), dynamo=False,
        input_names=["features", "mask", *caches], output_names=["logits", *(f"next_{c}" for c in caches)],
        opset_version=OPSET,
    )
    model = onnx.load(path)
    onnx.helper.set_model_props(
        model, {"zerda.labels": ",".join(LABELS), "zerda.profile": shape.name, "zerda.front_end": front.json()}
    )
    # The exporter's notes of where each operator came from hold paths of this machine.
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return step
