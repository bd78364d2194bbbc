"""Weights of an exported model, to train on from: BatchNorm, folded away in it, is put back as the identity.

Labels are matched by name; one that the exported model has not begins as its `_unknown_`, less likely.
"""

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

from config import FrontEnd, Profile
from model import Attention, BatchNorm, Conformer

NEW_LABEL = -3.0  # added to the logit of a label that is new


@torch.no_grad()
def from_onnx(path: Path, profile: Profile, front: FrontEnd, labels: list[str]) -> Conformer:
    """A network in float that computes what the exported one does; BatchNorm's statistics are to be set by `centre`."""
    exported = onnx.load(path)
    found = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in exported.graph.initializer}
    properties = {p.key: p.value for p in exported.metadata_props}
    known = properties.get("zerda.labels", "").split(",")
    if "_unknown_" not in known:
        raise SystemExit(f"{path}: expected an ONNX with `zerda.labels`, as export.py writes it")
    model = Conformer(profile, front, len(labels))

    def copy(part, name, factor=1.0):
        part.weight.copy_(found[f"{name}.weight"].view_as(part.weight) * factor)
        part.bias.copy_(found[f"{name}.bias"] * factor)

    try:
        copy(model.input, "input")
        for i, layer in enumerate(model.layers):
            for side in ("before", "after"):
                block = getattr(layer, side)
                copy(block.up, f"{side}.{i}.up")
                copy(block.down, f"{side}.{i}.down", 2.0)
            attention, convolution = layer.attention, layer.convolution
            for name in ("key", "value", "out"):
                copy(getattr(attention, name), f"attention.{i}.{name}")
            copy(attention.query, f"attention.{i}.query", (profile.hidden // profile.heads) ** 0.5)
            attention.distance.copy_(distances(attention, found[f"attention.{i}.bias"]))
            for name in ("value", "gate", "out"):
                copy(getattr(convolution, name), f"convolution.{i}.{name}")
            convolution.depthwise.weight.copy_(found[f"convolution.{i}.depthwise.weight"])
            convolution.norm_out.bias.copy_(found[f"convolution.{i}.depthwise.bias"])
        weight, bias = found["head.weight"], found["head.bias"]
        for row, label in enumerate(labels):
            old = known.index(label if label in known else "_unknown_")
            model.head.weight[row], model.head.bias[row] = weight[old], bias[old] + (0.0 if label in known else NEW_LABEL)
    except (KeyError, RuntimeError) as error:
        raise SystemExit(f"{path}: not weights of profile `{profile.name}`: {error}") from None
    return model


@torch.no_grad()
def averaged(paths: list[Path], profile: Profile, front: FrontEnd, labels: list[str]) -> Conformer:
    """A network whose weights are the mean of those of some exported ones; of trainings that began alike it is better than each
    (Wortsman et al. 2022, "Model soups")."""
    first, *others = (from_onnx(path, profile, front, labels) for path in paths)
    for mean, *more in zip(first.parameters(), *(other.parameters() for other in others)):
        mean.add_(sum(more)).div_(len(paths))
    return first


def distances(attention: Attention, bias: torch.Tensor) -> torch.Tensor:
    """The table [heads, distances] of biases [heads, queries, keys]; distances that none has are as the nearest."""
    apart, table = attention.reach(bias.shape[1], 1)[0], torch.zeros_like(attention.distance)
    table[:, apart.flatten()] = bias.flatten(1)
    low, high = apart.min(), apart.max()
    table[:, :low], table[:, high + 1 :] = table[:, low, None], table[:, high, None]
    return table


@torch.no_grad()
def centre(model: Conformer, batches):
    """Sets BatchNorm's statistics to those of its input, and weight and bias so that it changes nothing."""
    norms, seen = [m for m in model.modules() if isinstance(m, BatchNorm)], {}

    def see(norm, inputs):
        rows = inputs[0].reshape(-1, inputs[0].shape[-1])
        seen.setdefault(norm, []).append((rows.mean(0), rows.square().mean(0)))

    hooks = [norm.register_forward_pre_hook(see) for norm in norms]
    model.eval()
    for features in batches:
        model(features)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, square = (torch.stack(part).mean(0) for part in zip(*seen[norm]))
        variance = (square - mean.square()).clamp(min=1e-6)
        # It was the identity but for a bias, whose rounding error of 1e-5 of variance is dropped.
        norm.bias.add_(mean)
        norm.mean.copy_(mean), norm.variance.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + 1e-5))
    return model
