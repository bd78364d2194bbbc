"""Runs models in TFLite Micro's reference interpreter: tflm.py CASES RESULTS.

CASES, u32 little-endian numbers, a blob is its length and its bytes:
  number of cases; for each the model (blob), its outputs, the runs; for each run its inputs (blobs).
RESULTS: for each run of each case its outputs (blobs).
"""

import struct
import sys

import numpy
from tflite_micro.python.tflite_micro import runtime


def main(cases, results):
    with open(cases, "rb") as source, open(results, "wb") as sink:
        number = lambda: struct.unpack("<I", source.read(4))[0]
        blob = lambda: source.read(number())
        for case in range(number()):
            model, inputs, outputs, runs = blob(), number(), number(), number()
            try:
                interpreter = runtime.Interpreter.from_bytes(
                    model, arena_size=2 * len(model) + (4 << 20)
                )
                for _ in range(runs):
                    # TFLite Micro may have reused the memory of an input: fill them all, each time.
                    for index in range(inputs):
                        details = interpreter.get_input_details(index)
                        data = numpy.frombuffer(blob(), details["dtype"])
                        interpreter.set_input(data.reshape(details["shape"]), index)
                    interpreter.invoke()
                    for index in range(outputs):
                        data = interpreter.get_output(index).tobytes()
                        sink.write(struct.pack("<I", len(data)) + data)
            except Exception as error:
                sys.exit(f"case {case} of TFLite Micro: {error}")


main(*sys.argv[1:])
