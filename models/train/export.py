"""The float ONNX of one streaming step: caches in, caches out, every BatchNorm folded away."""

import copy
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from torch import nn

from config import LABELS, FrontEnd, Profile
from model import Attention, Conformer, Convolution, FeedForward
from quantize import Linear, switch_ranges

OPSET = 17


def scaled(linear: Linear, factor: float) -> Linear:
    result = copy.deepcopy(linear)
    result.weight.data *= factor
    result.bias.data *= factor
    return result


class BlockStep(nn.Module):
    """Of the same parts as the trained block."""

    def __init__(self, trained: nn.Module):
        super().__init__()
        for name, part in trained.named_children():
            self.add_module(name, part)


class FeedForwardStep(BlockStep):
    def __init__(self, trained: FeedForward):
        super().__init__(trained)
        self.down = scaled(trained.down, 0.5)

    def forward(self, x):
        return self.quantize_sum(x + self.quantize_down(self.down(self.swish(self.up(x)))))


class AttentionStep(BlockStep):
    def __init__(self, trained: Attention, queries: int):
        super().__init__(trained)
        self.heads, self.queries, self.sliced = trained.heads, queries, queries < trained.profile.chunk
        width = trained.query.in_features // trained.heads
        self.query = scaled(trained.query, width**-0.5)
        self.register_buffer("bias", trained.bias(queries).detach().clone())

    def forward(self, x, mask, keys, values):
        keys = torch.cat([keys, self.quantize_key(self.key(x))])
        values = torch.cat([values, self.quantize_value(self.value(x))])
        if self.sliced:
            x = x[: self.queries]
        split = lambda t: t.reshape(t.shape[0], self.heads, -1).transpose(0, 1)
        scores = self.quantize_scores(split(self.quantize_query(self.query(x))) @ split(keys).transpose(1, 2))
        scores = self.mask_scores(scores + self.quantize_table(self.bias), mask)
        context = self.quantize_context(self.quantize_probability(torch.softmax(scores, dim=-1)) @ split(values))
        out = self.quantize_out(self.out(context.transpose(0, 1).reshape(self.queries, -1)))
        return self.quantize_sum(x + out), keys, values


class ConvolutionStep(BlockStep):
    def forward(self, x, cached):
        gate = self.quantize_gate(F.hardsigmoid(self.gate(x)))
        window = torch.cat([cached, self.quantize_product(self.quantize_value(self.value(x)) * gate)])
        taps, bias = self.rounding(self.depthwise.weight), self.depthwise.bias
        y = self.swish(F.conv1d(window.t().unsqueeze(0), taps, bias, groups=self.depthwise.groups))
        return self.quantize_sum(x + self.quantize_out(self.out(y.squeeze(0).t()))), window


class Step(BlockStep):
    """Inputs features [C, mels], mask [1, L+C], then keys, values [L, H] and conv [kernel-1, H] of each layer."""

    def __init__(self, trained: Conformer):
        trained = copy.deepcopy(trained).cpu().eval().fold()
        super().__init__(trained)
        self.profile, layers = trained.profile, trained.layers
        del self.layers
        self.before = nn.ModuleList(FeedForwardStep(layer.before) for layer in layers)
        self.attention = nn.ModuleList(AttentionStep(layer.attention, layer.queries) for layer in layers)
        self.convolution = nn.ModuleList(ConvolutionStep(layer.convolution) for layer in layers)
        self.after = nn.ModuleList(FeedForwardStep(layer.after) for layer in layers)

    def forward(self, features, mask, *caches):
        shape, following = self.profile, []
        x = self.quantize_input(self.input(self.quantize_features(features)))
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
        return self.quantize_head(self.head(x)), *following

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
    """Weights in float32; the ranges of activations as a QuantizeLinear and a DequantizeLinear behind each."""
    step = Step(trained)
    switch_ranges(step)
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
    # The exporter makes one constant of equal zero points, and Identities of it.
    same = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Identity"}
    nodes = [node for node in model.graph.node if node.op_type != "Identity"]
    for node in nodes:
        node.input[:] = [same.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    # The exporter's notes of where each operator came from hold paths of this machine.
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return step
