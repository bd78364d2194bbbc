"""The work folder: settings of its own for the programs that words.py starts, and held-out speech as clips of single words."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import soundfile

from config import COMMANDS, FRAMES, REPOSITORY
from features import read_audio
from speech.clips import Clip, clips

from .asked import Asked, Checked
from .budget import HELD_OUT

RATE = 16000
SLOWEST = 1.35  # as streams.py draws a word out
# Near silence before and after a held-out clip, and its level, root mean square of 16-bit samples: about -80 dBFS.
BEFORE_S, AFTER_S, FLOOR = 0.3, 0.4, 3.0


def stream_frames(longest_s: float) -> int:
    """Frames of a training stream: it must hold the longest word, said as slowly as it is ever heard, and some before it."""
    return max(FRAMES, round(longest_s * SLOWEST * 100.0) + 60)


def settings(asked: Asked, known: Checked, recorded: bool) -> dict[str, str]:
    """The files of the folder of settings; `recorded`: there are recordings of the shipped commands."""
    own = lambda words: json.dumps(words, ensure_ascii=False)
    heard = [word for word in asked.commands if recorded and word in COMMANDS]
    text = [word for word in asked.commands if word not in heard]
    shipped = (REPOSITORY / "config" / "models.toml").read_text(encoding="utf-8")
    start, end = shipped.index("[words]"), shipped.index("\n\n", shipped.index("[words]"))
    words = f"[words]\ncommands = {own(heard)}\nfrom_text = {own(text)}\nwake = {own(asked.wake)}"
    recipe = f"language = {own(asked.language)}\nframes = {stream_frames(known.longest_s)}\nalike = {own(known.halves)}\n"
    recipe += "held_out = { " + ", ".join(f"{split} = {share}" for split, share in HELD_OUT.items()) + " }\n"
    decoder = (REPOSITORY / "config" / "commands.toml").read_text(encoding="utf-8")
    return {"models.toml": shipped[:start] + words + shipped[end:], "recipe.toml": recipe, "commands.toml": decoder}


def write(folder: Path, files: dict[str, str]):
    """Writes each under a name of its own until it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        unfinished = path.with_suffix(".part")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.rename(path)


def raised(settings: str, lowest: float) -> str:
    """commands.toml with no threshold of a word below `lowest`: few negatives let one through that others would not."""
    before, line, after = settings.partition("\n[thresholds]\n")
    higher = lambda found: found[0] if float(found[2]) >= lowest else f"{found[1]}{lowest:.3f}  # raised from {found[2]}"
    return before + line + re.sub(r"(?m)^([^#\n=]+= *)(\d*\.?\d+).*$", higher, after)


def name(clip: Clip, number: int) -> str:
    """A file name that tells who speaks: engine, voice without its pitch or mixture shares, number."""
    voice = "+".join(part.split("*")[0] for part in clip.voice.split("+")) if clip.engine == "kokoro" else clip.voice.split("/")[0]
    return f"{clip.engine}.{voice}.{number:05}.wav"


def speaker(file: str) -> str:
    """The engine and voice of such a name, whatever the accent; mixtures are one, and recordings have none."""
    parts = Path(file).name.split(".")
    if len(parts) != 4 or not parts[2].isdigit():
        return "recorded"
    engine, voice = parts[:2]
    if engine == "kokoro" and "+" in voice:
        return "kokoro, mixtures of these"
    return f"{engine} {voice.split('+')[-1]}"


def spoken_by(file: str, natives: set[str]) -> str:
    """Says whose voice such a name tells: one of the language's own speakers, of others, or of no person."""
    parts = Path(file).name.split(".")
    if parts[0] != "kokoro":
        return {"espeak": "espeak-ng"}.get(parts[0], parts[0])
    own = [voice in natives for voice in parts[1].split("+")]
    return "the language's own speakers" if all(own) else "mixtures of own and other speakers" if any(own) else "other speakers, with an accent"


def held_out(spoken: Path, split: str, folder: Path) -> dict[str, int]:
    """Cuts a split's clips: `words/LABEL/` of the labels, `other/` of all else, each between near silences. The clips by label."""
    made, unfinished = {}, folder.with_name(folder.name + ".part")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    for number, clip in enumerate(clips(spoken, split)):
        into = unfinished / "words" / clip.label if clip.kind == "label" else unfinished / "other"
        into.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([4, number])
        quiet = lambda s: random.normal(0.0, FLOOR, round(s * RATE))
        samples = read_audio(clip.path, RATE)[round(clip.from_ms * RATE / 1000) : round(clip.to_ms * RATE / 1000)]
        pcm = np.concatenate([quiet(BEFORE_S), samples, quiet(AFTER_S)])
        soundfile.write(into / name(clip, number), np.clip(np.round(pcm), -32768, 32767).astype(np.int16), RATE, subtype="PCM_16")
        key = clip.label if clip.kind == "label" else "other"
        made[key] = made.get(key, 0) + 1
    if folder.exists():
        shutil.rmtree(folder)
    if made:
        unfinished.rename(folder)
    return made


def copied(files: list[Path], folder: Path):
    """Copies recordings; of two of one name, from several folders, the second is numbered."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(files):
        shutil.copyfile(path, folder / f"{number:04}-{path.stem}{path.suffix.lower()}")
