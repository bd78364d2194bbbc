"""What config/models.toml and config/commands.toml say: words, shapes and the decoder's settings."""

import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS_TOML = REPOSITORY / "config" / "models.toml"
MODELS = tomllib.loads(MODELS_TOML.read_text())
DECODER = tomllib.loads((REPOSITORY / "config" / "commands.toml").read_text())["decoder"]

COMMANDS = MODELS["words"]["commands"]
# They are no part of the figures on ten classes.
FROM_TEXT = MODELS["words"]["from_text"]
WAKE = MODELS["words"]["wake"]
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
    profiles = MODELS["profiles"]
    if profile not in profiles:
        raise SystemExit(f"{MODELS_TOML}: no profile `{profile}`; there are {', '.join(profiles)}")
    return FrontEnd(**MODELS["front_end"]), Profile(name=profile, **profiles[profile])
