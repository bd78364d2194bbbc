"""Makes the shipped weights from nothing: speech from text, music, and four trainings, each from the mean of some before it.

    python models/train/cycles.py --work DIR --voices target/kokoro-js-1.2.1.tgz --data speech_commands --noise noise \
        --speech librispeech/train --wake-clips wake_words --wake-recorded

What it does not know it hands to train.py. Running the same command again continues where it was stopped. DIR/shipped holds
the ONNX, its card and test vectors in the end.
"""

import argparse
import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

TRAIN = Path(__file__).resolve().parent
PROFILE = "shrunk"
# Name, the trainings whose mean each begins with, and batches of its stages. Each gains in noise and talk on the one before;
# a mean is better than what it is of, and is quantized anew.
CYCLES = [
    ("first", [], (10000, 8000, 2000, 200)),
    ("second", ["first"], (0, 7500, 2300, 500)),
    ("third", ["first", "second"], (0, 6000, 3000, 500)),
    ("shipped", ["first", "third", "third"], (0, 0, 0, 500)),
]


def run(*command, cwd: Path | None = None):
    """Runs a program of this folder, or ends with what it ended with."""
    command = [sys.executable, *map(str, command)]
    print(f"{datetime.now():%H:%M} {shlex.join(command)}", flush=True)
    code = subprocess.run(command, cwd=cwd).returncode
    if code:
        sys.exit(code)


def made(work: Path, args, rest: list[str]):
    """Everything that is not there yet, in order."""
    spoken, music = work / "spoken", work / "music"
    if not (work / "spoken.done").exists():
        run("-m", "speech", spoken, "--voices", args.voices, *(["--sentences", args.sentences] if args.sentences else []), cwd=TRAIN)
        if args.recogniser:
            run("-m", "speech.heard", spoken, "--recogniser", args.recogniser, cwd=TRAIN)
        run(TRAIN / "music.py", "--output", music)
        (work / "spoken.done").touch()
    for number, (name, begins, steps) in enumerate(CYCLES, 1):
        if (work / name / f"{PROFILE}.onnx").is_file():
            continue
        print(f"training {number} of {len(CYCLES)}, {name}", flush=True)
        starts = [word for before in begins for word in ("--start", work / before / f"{PROFILE}.onnx")]
        last = name == CYCLES[-1][0]
        run(TRAIN / "train.py", "--work", work, "--output", work / name, "--text", spoken, "--noise", music, *starts, "--steps", *steps,
            *([] if last else ["--onnx-only"]), *rest)
        (work / f"{PROFILE}.checkpoint").replace(work / f"{name}.checkpoint")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where all of it goes; some GB")
    parser.add_argument("--voices", type=Path, required=True, help="by `npm pack kokoro-js@1.2.1`")
    parser.add_argument("--recogniser", type=Path, help="the folder tiny-en of moonshine-voice: what it does not hear as its word is dropped")
    parser.add_argument("--sentences", type=Path, help="transcripts of which sentences are spoken too")
    args, rest = parser.parse_known_args()
    for key, value in vars(args).items():
        setattr(args, key, value and value.resolve())
    args.work.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    made(args.work, args, rest)
    print(f"{args.work / CYCLES[-1][0]}: made; this session took {(time.monotonic() - begun) / 60.0:.0f} minutes")


if __name__ == "__main__":
    main()
