"""What config/models.toml and config/commands.toml say: words, shapes and the decoder's settings.

`ZERDA_CONFIG` names another folder of the two, as `words.py` makes one for the programs that it starts. Beside them it has
recipe.toml: the language, how long a training stream is, labels that begin or end alike, and how much speech is held out.
"""

import json
import os
import re
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("ZERDA_CONFIG") or REPOSITORY / "config")
MODELS_TOML = FOLDER / "models.toml"
MODELS = tomllib.loads(MODELS_TOML.read_text(encoding="utf-8"))
DECODER = tomllib.loads((FOLDER / "commands.toml").read_text(encoding="utf-8"))["decoder"]
RECIPE = tomllib.loads((FOLDER / "recipe.toml").read_text(encoding="utf-8")) if (FOLDER / "recipe.toml").is_file() else {}
LANGUAGE = RECIPE.get("language", "en")
FRAMES = RECIPE.get("frames", 320)  # committed frames of a training stream
# Halves of two of these joined would say one of them.
ALIKE = [set(pair) for pair in RECIPE.get("alike", [["no", "go"]])]

COMMANDS = MODELS["words"]["commands"]
# They are no part of the figures on ten classes.
FROM_TEXT = MODELS["words"]["from_text"]
WAKE = MODELS["words"]["wake"]
WORDS = COMMANDS + FROM_TEXT + WAKE
LABELS = WORDS + ["_unknown_", "_silence_"]
UNKNOWN = LABELS.index("_unknown_")
SILENCE = LABELS.index("_silence_")


# Japanese and Chinese characters, between which no spaces tell words apart.
UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def says_a_label(text: str, labels: list[str] = WORDS) -> bool:
    """Says whether a label, which may be of several words, stands in a text of words between spaces, if its script has any."""
    closed = text.replace(" ", "")
    return any(label.replace(" ", "") in closed if UNSPACED.search(label) else f" {label} " in f" {text} " for label in labels)


@dataclass(frozen=True)
class FrontEnd:
    sample_rate: int
    window: int
    hop: int
    fft: int
    mels: int
    fmin: float
    fmax: float
    level_decay: float
    level_floor: float
    level_frames: int
    range: float

    def json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Profile:
    name: str
    layers: int
    heads: int
    hidden: int
    feed_forward: int
    kernel: int
    chunk: int
    cached: int
    step: int


def load(profile: str) -> tuple[FrontEnd, Profile]:
    profiles = MODELS["profiles"]
    if profile not in profiles:
        raise SystemExit(f"{MODELS_TOML}: no profile `{profile}`; there are {', '.join(profiles)}")
    return FrontEnd(**MODELS["front_end"]), Profile(name=profile, **profiles[profile])
