"""The model card: what the model was made of, how, and how well it does."""

import os
import platform
from datetime import date
from pathlib import Path

from config import LABELS, WAKE
from corpus import CHOOSING, TRAINED, audio_under, held_out, wake_clips
from quantize import LEVELS
from synth import HELD_OUT_VARIANTS

# By folder name; what is not listed here is for the person who trains to fill in.
LICENCES = {
    "speech_commands": "Google Speech Commands, P. Warden / Google, CC BY 4.0",
    "noise": "Speech Commands' background recordings, CC BY 4.0; ESC-10, K. Piczak, CC BY 3.0",
    "fr/train": "a French reading of Baudelaire's Les Fleurs du Mal, LibriVox, public domain",
    "sentences": "coffee-machine orders, Picovoice speech-to-intent-benchmark, Apache-2.0",
    "librispeech/train": "LibriSpeech test-clean, half of its speakers, V. Panayotov et al., CC BY 4.0",
    "music": "made by `music.py`, fluidsynth with FluidR3 GM, MIT",
}


def named(folder: Path) -> str:
    """A folder's name, with its parent's where it says nothing by itself."""
    return "/".join(folder.parts[-2:]) if folder.name == "train" else folder.name


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def table(score) -> str:
    """Confusion: a row for each label spoken, a column for each answer."""
    lines = ["| spoken | " + " | ".join(LABELS) + " | right |", "|---" * (len(LABELS) + 2) + "|"]
    for i, (label, row) in enumerate(zip(LABELS, score.confusion)):
        cells = " | ".join(str(n) if n else "" for n in row)
        lines.append(f"| {label} | {cells} | {100 * row[i] / max(1, row.sum()):.1f} % |")
    return "\n".join(lines)


def write_card(path: Path, args, profile, corpus, seconds: float, scores: dict):
    kinds = {}
    for kind, name, _, version in corpus.entries:
        if version == 0:
            kinds[kind] = kinds.get(kind, 0) + 1
    wake = len([f for word in WAKE for f in wake_clips(args.wake_clips, word, TRAINED)]) if args.wake_recorded else 0
    folders = [("Speech Commands, partition `train`", args.data.name, kinds["command"] - wake + kinds.get("word", 0))]
    for what, given in (("noise", args.noise), ("speech without commands", args.speech)):
        folders += [(f"{what}, `{named(f)}`", named(f), len(audio_under(f)) - len(held_out(audio_under(f)))) for f in given]
    data = "\n".join(f"| {what} | {count} | {LICENCES.get(name, 'see its source')} |" for what, name, count in folders)
    if args.lessons:
        data += f"\n| a teacher's answers, `{args.lessons.name}` | | classifiers on the encoder of Moonshine tiny, Moonshine AI, MIT: no part of it is contained |"
    accuracy = "\n".join(
        f"| {name} | {s.clips} | {s.cold:.2f} % | {s.after_speech:.2f} % | {s.rounded.cold:.2f} % | {s.rounded.after_speech:.2f} % | {s.differing:.2f} % |"
        for name, s in scores.items()
    )
    # Recordings long enough to have a name; the short clips are told by the rule alone.
    lost = ", ".join(f"`{f.stem}`" for folder in (*args.noise, *args.speech) for f in held_out(audio_under(folder))
                     if f.parent == folder and folder.name in ("noise", "train"))
    path.write_text(f"""# {profile.name}

Spoken commands, streaming: {", ".join(LABELS)}.
A Conformer of {profile.layers} layers, {profile.heads} heads, hidden {profile.hidden}, feed-forward {profile.feed_forward}, kernel {profile.kernel}; chunk {profile.chunk}, cached {profile.cached}, step {profile.step}
(`config/models.toml`). `{profile.name}.onnx` is one step: weights in float32, and behind each activation the range that it has
in INT8, as a QuantizeLinear and a DequantizeLinear. `zerda compile` makes the INT8 image of it; without those pairs
it is the float network.

Trained on {date.today()} by

    python models/train/train.py {" ".join(f"--{k.replace('_', '-')} {v}".rstrip() for k, v in shown(args))}

in {seconds / 60:.0f} minutes on {processor()}, {os.cpu_count()} cores ({args.device}), shared with other work; Python {platform.python_version()}, the
versions of `models/train/requirements.txt`. The last stage, quantizing ({args.steps[3]} batches), is quantization-aware: BatchNorm is
folded, the ranges of activations are set to those of least square error on 20 batches and held, and the weights learn, under
the rounding of INT8 of weights and of activations, to answer as they did in float, also where a stream begins shortly before a word. The weights of linears take {2 * LEVELS + 1} values, which an Ethos-U reads compressed.

## Data

| what | clips | licence and source |
|---|---|---|
{data}
| synthetic voices: words of ours | {kinds["synth_command"]} | made by the recipe (espeak-ng, flite, festival, and Kokoro-82M, weights Apache-2.0, are tools here: nothing of them is contained) |
| synthetic voices: near misses | {kinds.get("near", 0)} | same |
| synthetic voices: other words, sentences | {kinds["synth_word"] + kinds.get("synth_speech", 0)} | same |
| recordings of {" and ".join(WAKE)}: every fourth, from number {TRAINED} on | {wake} | Picovoice wake-word-benchmark, Apache-2.0 |

Speakers of Speech Commands lie in one partition each. Chosen on `val`, not on `test`.
Held out of training: every fifth file of each sorted folder of noise and speech (used as validation's silence
and as the speech before a word), the espeak-ng variants {", ".join(HELD_OUT_VARIANTS)} (`models/samples` are spoken by them),
and the recorded clips of `on` and `off`: these are learnt from synthetic voices alone. Of the recordings of wake words every fourth, from
number {CHOOSING} on, chooses, the other two quarters are test; their speakers are not named and may stand in more than one part. Of the long recordings that leaves out {lost}.

## Accuracy

Top-1 over the eight commands, `_unknown_` and `_silence_`; an answer of another label is wrong. Streaming, as the decoder answers: the label of the highest posterior, averaged over five
frames; silence below 0.5. By the recipe, `measured`: in float32, and rounded to INT8 within float32. "After speech":
1.2 s of held-out speech, at its own level, spliced before the clip, whose first 200 ms then do not count.
`val`'s silence is held-out noise at -90 to -8 dBFS.

| partition | clips | float, cold start | after speech | rounded, cold start | after speech | cold starts answered differently |
|---|---|---|---|---|---|---|
{accuracy}

INT8 on the device's arithmetic: see `zerda eval`.

### Confusion on `test`, float32, cold start

{table(scores["test"])}

## Limits

English; rooms, microphones and distances are those of Speech Commands.
A command is found in running speech too where it is really spoken ("go" in a story is a detection).
""")


def shown(args):
    """The command line's options as given, folders by their last two parts."""
    for name, value in vars(args).items():
        if value in (None, False):
            continue
        if name in ("data", "noise", "speech", "start", "lessons", "text", "wake_clips", "own"):
            for folder in value if isinstance(value, list) else [value]:
                yield name, "/".join(folder.parts[-2:])
        elif value is True:
            yield name, ""
        elif name == "steps":
            yield name, " ".join(map(str, value))
        elif name in ("work", "output"):
            yield name, "DIR"
        else:
            yield name, value
