"""Runs and times LiteRT and onnxruntime on the shipped step, one thread each: bench.py FOLDER STEPS [ZERDA KERNELS...].

FOLDER holds step.tflite, what the firmware gave to it (input_N.i8: input N, step after step), float.onnx, int8.onnx and
features.f32, a chunk for each step. Into it goes what came out of LiteRT (litert_N.i8) and of onnxruntime in float (logits.f32).
Prints lines WHAT<tab>CONTENT<tab>MICROSECONDS: the median time of a call over STEPS of them, or the processor's time in
user mode over the steps of `ZERDA run --kernels KERNELS`.
"""

import itertools
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

ABSENT = -10_000.0  # is added to the scores of absent keys


def say(what, content, microseconds):
    print(f"{what}\t{content}\t{microseconds}")


def timed(call, times):
    start = time.perf_counter_ns()
    result = call()
    times.append((time.perf_counter_ns() - start) / 1000)
    return result


def litert(folder):
    """An interpreter that has run all steps, with each output written."""
    interpreter = Interpreter(str(folder / "step.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    inputs = []
    for number, details in enumerate(interpreter.get_input_details()):
        data = numpy.fromfile(folder / f"input_{number}.i8", numpy.int8)
        inputs.append((details["index"], data.reshape(-1, *details["shape"])))
    outputs = [(details["index"], []) for details in interpreter.get_output_details()]
    for step in range(len(inputs[0][1])):
        for index, data in inputs:
            interpreter.set_tensor(index, data[step])
        interpreter.invoke()
        for index, rows in outputs:
            rows.append(interpreter.get_tensor(index).copy())
    for number, (_, rows) in enumerate(outputs):
        numpy.concatenate(rows).tofile(folder / f"litert_{number}.i8")
    return interpreter


def stream(onnx, features, steps):
    """The logits of each step of a stream, its chunks over and over, and the microseconds of each call."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # not what it optimizes away
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    values = {value.name: numpy.zeros(value.shape, numpy.float32) for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    shape = values["features"].shape
    absent = values["mask"].size - shape[-2]  # the keys of the chunk are there
    chunks = numpy.fromfile(features, numpy.float32).reshape(-1, *shape)
    logits, times = [], []
    for chunk in itertools.islice(itertools.cycle(chunks), max(steps, len(chunks))):
        values["features"] = chunk
        values["mask"][:] = 0
        values["mask"][..., :absent] = ABSENT
        outputs = dict(zip(names, timed(lambda: session.run(None, values), times)))
        logits.append(outputs.pop("logits"))
        values.update((name.removeprefix("next_"), value) for name, value in outputs.items())
        absent = max(0, absent - logits[-1].shape[-2])
    return numpy.concatenate(logits[: len(chunks)]), statistics.median(times)


def user_time(zerda, kernels):
    """Microseconds of a step, in all that `zerda run` does."""
    import resource  # Windows has none

    used = lambda: resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    recordings, before = sorted(Path("models/samples").glob("*.wav")) * 6, used()
    said = subprocess.run([zerda, "run", "--kernels", kernels, *recordings], check=True, capture_output=True, text=True).stdout
    return (used() - before) * 1e6 / int(re.findall(r"(\d+) steps", said)[-1])


def main(folder, steps, *zerda):
    folder, steps, network = Path(folder), int(steps), "the network"
    interpreter, times = litert(folder), []
    for _ in range(steps):
        timed(interpreter.invoke, times)
    say(f"LiteRT {version('ai-edge-litert')}, INT8", network, statistics.median(times))
    for kind, name in (("INT8", "int8"), ("float", "float")):
        logits, median = stream(folder / f"{name}.onnx", folder / "features.f32", steps)
        say(f"onnxruntime {version('onnxruntime')}, {kind}", network, median)
    logits.astype(numpy.float32).tofile(folder / "logits.f32")
    for kernels in zerda[1:]:
        say(f"`zerda run`, {kernels} kernels", "the whole process, its start included", user_time(zerda[0], kernels))


main(*sys.argv[1:])
