"""The voices of each engine, and to which split each belongs.

A mixture of two Kokoro voices is a speaker that does not exist; both of them are of its split. The voices for tests
speak in tests and samples only.
"""

import numpy as np

from config import LANGUAGE
from synth import ACCENTS, HELD_OUT_VARIANTS, VARIANTS

SPLITS = ["train", "val", "test"]
# Names begin with the accent (American, British, then others') and the sex.
KOKORO = {
    "train": ["af_alloy", "af_aoede", "af_bella", "af_heart", "af_jessica", "af_nicole", "af_river", "af_sarah", "af_sky",
              "am_adam", "am_echo", "am_fenrir", "am_michael", "am_onyx", "am_puck", "am_santa", "bf_emma", "bf_isabella",
              "bm_daniel", "bm_george"],
    "val": ["af_nova", "am_liam", "bf_lily", "bm_fable"],
    "test": ["af_kore", "am_eric", "bf_alice", "bm_lewis"],
}
# Speakers of other languages, who have an accent in English.
KOKORO_ACCENTS = {
    "train": ["ef_dora", "em_alex", "ff_siwis", "hf_alpha", "hm_omega", "if_sara", "im_nicola", "pf_dora", "pm_alex"],
    "val": ["hf_beta"],
    "test": ["hm_psi"],
}
# In another language its own speakers speak, of whom there are few, and all these with their accent.
NATIVE = {
    "es": {"train": ["ef_dora", "em_alex"], "val": [], "test": ["em_santa"]},
    "fr": {"train": ["ff_siwis"], "val": [], "test": []},
    "hi": {"train": ["hf_alpha", "hm_omega"], "val": ["hf_beta"], "test": ["hm_psi"]},
    "it": {"train": ["if_sara"], "val": [], "test": ["im_nicola"]},
    "pt": {"train": ["pf_dora", "pm_alex"], "val": [], "test": ["pm_santa"]},
    "ja": {"train": ["jf_alpha", "jf_gongitsune", "jm_kumo"], "val": ["jf_nezumi"], "test": ["jf_tebukuro"]},
    "zh": {"train": ["zf_xiaobei", "zf_xiaoni", "zm_yunjian", "zm_yunxi", "zm_yunxia"], "val": ["zf_xiaoyi"], "test": ["zf_xiaoxiao", "zm_yunyang"]},
}
ENGLISH = KOKORO


def natives(language: str) -> set[str]:
    """Names Kokoro's voices of the language, in all splits; of English where it has none of the language."""
    return {name for names in NATIVE.get(language, ENGLISH).values() for name in names}


if LANGUAGE in NATIVE:
    KOKORO_ACCENTS = {split: [name for name in KOKORO[split] + KOKORO_ACCENTS[split] if name not in natives(LANGUAGE)] for split in SPLITS}
    KOKORO = NATIVE[LANGUAGE]
# Fewer are mixed with the others in every case.
FEW = 4
ESPEAK_VAL = ["m7", "f4", "Gene", "linda", "klatt3"]
ESPEAK = {"train": [v for v in VARIANTS if v not in ESPEAK_VAL], "val": ESPEAK_VAL, "test": HELD_OUT_VARIANTS}
FLITE = {"train": ["kal", "kal16", "rms", "slt"], "val": ["awb"], "test": []}
FESTIVAL = {"train": ["cmu_us_slt_arctic_hts"], "val": [], "test": []}
# Shares of the utterances.
ENGINES = {"kokoro": 0.78, "espeak": 0.12, "flite": 0.08, "festival": 0.02}
if LANGUAGE != "en":
    ENGINES = {"kokoro": 0.8, "espeak": 0.2} if LANGUAGE in NATIVE else {"espeak": 1.0}


def draw(random: np.random.Generator, engine: str, split: str) -> str:
    """A voice of the engine: a name, for espeak-ng `name/pitch`, for a mixture `a*share+b*share`."""
    if engine == "espeak":
        accent, variant = random.choice(ACCENTS), random.choice(ESPEAK[split])
        return (f"{accent}+{variant}" if variant else str(accent)) + f"/{random.integers(15, 86)}"
    if engine == "flite":
        return f"{random.choice(FLITE[split])}/{random.integers(85, 240)}"
    if engine == "festival":
        return str(random.choice(FESTIVAL[split]))
    kind = random.random()
    if kind < 0.08 or not KOKORO[split]:
        return str(random.choice(KOKORO_ACCENTS[split]))
    if kind < 0.45:
        return str(random.choice(KOKORO[split]))
    others = KOKORO[split] + (KOKORO_ACCENTS[split] if len(KOKORO[split]) < FEW or random.random() < 0.3 else [])
    first, second = random.choice(others, 2, replace=False)
    share = round(float(random.uniform(0.25, 0.75)), 2)
    return f"{first}*{share:.2f}+{second}*{1 - share:.2f}"


def engine_of(random: np.random.Generator, split: str) -> str:
    has = {"kokoro": True, "espeak": True, "flite": bool(FLITE[split]), "festival": bool(FESTIVAL[split])}
    names = [name for name in ENGINES if has[name]]
    shares = np.array([ENGINES[name] for name in names])
    return str(random.choice(names, p=shares / shares.sum()))


def parsed(voice: str) -> list[tuple[str, float]]:
    """The names and shares of a Kokoro voice or mixture."""
    if "*" not in voice:
        return [(voice, 1.0)]
    return [(name, float(share)) for name, share in (part.split("*") for part in voice.split("+"))]


def accent(voice: str) -> str:
    """`us` or `gb`, whose phonemes the Kokoro voice says, the larger share's in a mixture; or the language."""
    if LANGUAGE != "en":
        return LANGUAGE
    return "gb" if max(parsed(voice), key=lambda part: part[1])[0].startswith("b") else "us"
