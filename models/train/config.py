"""What config/models.toml says, and the labels that every model of Zerda has."""

import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

COMMANDS = ["yes", "no", "up", "down", "left", "right", "stop", "go"]
# Hardly any recorded clips: learnt from synthetic speech alone, and no part of the figures on ten classes.
FROM_TEXT = ["on", "off"]
WAKE = ["computer", "jarvis"]
WORDS = COMMANDS + FROM_TEXT + WAKE
LABELS = WORDS + ["_unknown_", "_silence_"]
UNKNOWN = LABELS.index("_unknown_")
SILENCE = LABELS.index("_silence_")


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
    path = REPOSITORY / "config" / "models.toml"
    with open(path, "rb") as file:
        config = tomllib.load(file)
    if profile not in config["profiles"]:
        known = ", ".join(config["profiles"])
        raise SystemExit(f"{path}: no profile `{profile}`; there are {known}")
    return FrontEnd(**config["front_end"]), Profile(name=profile, **config["profiles"][profile])
