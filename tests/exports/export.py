"""Small streaming Conformers as PyTorch's exporters write them: python tests/exports/export.py [NAME ...]

Writes tests/data/exports/NAME.onnx for each variant of variants.py, or those named: what `zerda
compile` must take or, with `unsupported` in the name, refuse with a message. Weights are random.
Each file is held against its module in onnxruntime, over a stream that fills the caches; beside it
NAME.f32 holds the module's logits of that stream, [NS, classes], little-endian (for features see `stream`).
Needs models/train/requirements.txt, and onnxscript==0.7.2 and onnxruntime==1.31.1 besides.
"""

import json
import logging
import re
import sys
import tomllib
import warnings
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import nn

import conformer
from conformer import Conformer, Unbatched
from fake_quantize import Activation, fake_quantize
from variants import VARIANTS, Variant

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "tests" / "data" / "exports"
COMMANDS = """yes no up down left right stop go on off zero one two three four five six seven eight nine backward bed
    bird cat dog follow forward happy house learn marvin sheila tree visual wow""".split()


def randomize(model: Conformer):
    """Values stay of order one, and no scale, shift or statistic is zero or one."""
    norms = (nn.BatchNorm1d, nn.LayerNorm, nn.RMSNorm, conformer.LayerNorm, conformer.RMSNorm)
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            nn.init.normal_(module.weight, std=0.7 * module.weight[0].numel() ** -0.5)
        if isinstance(module, norms):
            nn.init.uniform_(module.weight, 0.6, 1.4)
        if isinstance(module, (nn.Linear, nn.Conv1d, *norms)) and getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, std=0.3)
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    # Features are between -10 and 0.
    if model.v.input == "batch":
        model.norm_in.running_mean -= 5.0
        model.norm_in.running_var *= 8.0
    if model.v.input == "none":
        model.input.weight.data *= 0.3
        model.input.bias.data += 5.0 * model.input.weight.sum(1)


def stream(model: Conformer, run) -> list:
    """Inputs and outputs of each `run(features, mask, *caches)`, for L / S (rounded up) + 2 calls: the caches fill."""
    chunk, cached, step = model.v.stream
    steps, batch = -(-cached // step) + 2, [1] * (model.v.batch == "outside")
    # Of no meaning, but from -10 to 0 and easily had in another language; element i, frame by frame.
    i = torch.arange((chunk + step * (steps - 1)) * model.v.mels)
    features = (-10.0 * ((31 * i * i + 7919 * i) % 10007).double() / 10007).float().reshape(-1, model.v.mels)
    caches, calls = [torch.zeros(shape) for shape in model.caches().values()], []
    for n in range(steps):
        # Absent keys are always the oldest.
        mask = torch.zeros(1, cached + chunk)
        mask[0, : max(0, cached - n * step)] = -10000.0
        inputs = (features[n * step :][:chunk].reshape(*batch, chunk, -1), mask, *caches)
        outputs = run(*inputs)
        caches = outputs[1:]
        calls.append((inputs, outputs))
    return calls


def write(v: Variant, step: nn.Module, inputs: tuple, caches: list, path: Path):
    exporter, opset = re.match(r"(script|dynamo)(\d+)-", v.name).groups()
    two = v.files == 2
    options = {"dynamo": True, "external_data": two, "verbose": False} if exporter == "dynamo" else {"dynamo": False}
    if v.front == "dynamic":
        options["dynamic_axes"] = {"features": {0: "frames"}}
    torch.onnx.export(
        step, inputs, str(path), opset_version=int(opset), input_names=["features", "mask", *caches],
        output_names=["logits", *(f"next_{cache}" for cache in caches)], **options,
    )
    model = onnx.load(path, load_external_data=False)
    # The exporters' notes of where each operator came from hold paths of this machine.
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    config = tomllib.loads((REPOSITORY / "config" / "models.toml").read_text())
    others = ["_unknown_", "_silence_"][-(v.classes - 1) :]
    labels = COMMANDS[: v.classes - len(others)] + others
    front_end = json.dumps(config["front_end"] | {"mels": v.mels})
    onnx.helper.set_model_props(model, {"zerda.labels": ",".join(labels), "zerda.front_end": front_end})
    onnx.save(model, path)
    onnx.checker.check_model(path, full_check=True)


def difference(model: Conformer, expected: list, path: Path) -> float:
    """Largest between the module's outputs and onnxruntime's, each with its own caches."""
    options = onnxruntime.SessionOptions()
    # With integers in place of fake quantization it would round otherwise.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options)
    # An input that the graph does not read may be left out of it.
    names = ["features", "mask", *model.caches()]
    run = lambda *inputs: [torch.tensor(output) for output in session.run(
        None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})]
    outputs = [pair for (_, ours), (_, theirs) in zip(expected, stream(model, run), strict=True)
               for pair in zip(ours, theirs, strict=True)]
    for ours, theirs in outputs:
        assert ours.shape == theirs.shape, f"{list(theirs.shape)} of onnxruntime, {list(ours.shape)} of torch"
    return max((ours - theirs).abs().max().item() for ours, theirs in outputs)


@torch.no_grad()
def export(v: Variant):
    torch.manual_seed(0)
    model = Conformer(v).eval()
    randomize(model)
    step = Unbatched(model).eval() if v.batch == "inside" else model
    if v.fake != "none":
        fake_quantize(model, v.fake)
        stream(model, step)
        for module in model.modules():
            if isinstance(module, Activation):
                module.observing = False
    calls = stream(model, step)
    logits = torch.stack([outputs[0] for _, outputs in calls])
    assert 0.2 < logits.std() < 4.0, f"{v.name}: logits spread by {logits.std():.2f}"
    path = FOLDER / f"{v.name}.onnx"
    write(v, step, calls[0][0], list(model.caches()), path)
    apart = difference(model, calls, path)
    assert apart < 1e-4, f"{v.name}: onnxruntime differs from torch by {apart}"
    if "unsupported" not in v.name:
        path.with_suffix(".f32").write_bytes(logits.numpy().astype("<f4").tobytes())
    print(f"{v.name}: {path.stat().st_size} bytes, onnxruntime differs from torch by {apart:.0e}", flush=True)


def main(names):
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    FOLDER.mkdir(parents=True, exist_ok=True)
    known = {v.name: v for v in VARIANTS}
    for name in names or known:
        if name not in known:
            sys.exit(f"no variant `{name}`; there are {' '.join(known)}")
        export(known[name])


main(sys.argv[1:])
