"""espeak-ng voices: commands, and other words to be told from them."""

import io
import subprocess

import numpy as np
import soundfile

from config import LANGUAGE, WORDS
from features import resample
from speech import reading

ACCENTS = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029", "en-us-nyc"]
if LANGUAGE != "en":
    ACCENTS = {"es": ["es", "es-419"], "fr": ["fr-fr", "fr-be", "fr-ch"], "pt": ["pt-br", "pt"], "zh": [reading.READERS["zh"].voice]}.get(LANGUAGE, [LANGUAGE])
VARIANTS = ["", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "Alex", "Andy", "Denis", "Diogo",
            "Gene", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Mike", "adam", "anika", "aunty", "belinda", "benjamin",
            "boris", "caleb", "david", "ed", "edward", "grandma", "grandpa", "john", "linda", "max", "pablo", "paul",
            "quincy", "rob", "robert", "sandro", "shelby", "steph", "travis", "victor", "zac", "klatt", "klatt3"]
# Kept for models/samples: never in the training mix.
HELD_OUT_VARIANTS = ["f5", "m8", "Annie", "Alicia", "Michael", "steph2", "miguel", "Andrea"]

# The Speech Commands words beside ours, then words that sound
# like a command or begin or end as one, then plain ones.
OTHERS = """tree house bird dog wow marvin sheila two three four six seven nine forward backward follow learn visual
bed cat happy one five eight zero
yet yesterday less guess chess mess dress west test best nose note node north nobody known snow slow low toe row
cup pup but hub us upon upper supper puppy cut gun duck dawn town dime done noun crown brown doubt around sound
lift laugh leave let loft love lesson lend ref raft light ride rice rat rate ripe fright bright wide wine white
stock shop top step stuff star stay store start stab drop stomp goat gold gap got ghost goal gore cold coat girl
table window water music kitchen garden morning evening summer winter people paper money number answer question
open close play pause next back hello please thank sorry maybe never always today tomorrow camera
coffee sugar orange apple banana chicken river mountain yellow purple silver monday friday october twenty thirty
hundred thousand doctor teacher sister brother father mother picture battery engine machine record volume
channel message weather traffic station hospital temperature alarm""".split()


def speak(text: str, voice: str, rate: int, words_per_minute: int = 160, pitch: int = 50) -> np.ndarray:
    """The text in an espeak-ng voice such as `en-us+f2`, as float32 samples of 16-bit value."""
    command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdout", reading.letters(text, voice)]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    # A streamed WAV carries no length, so the header's is set to what came.
    wav = wav[:4] + (len(wav) - 8).to_bytes(4, "little") + wav[8:40] + (len(wav) - 44).to_bytes(4, "little") + wav[44:]
    samples, file_rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    samples = resample(samples * 32768.0, rate / file_rate)
    return np.clip(np.round(samples), -32768, 32767).astype(np.float32)


def training_mix(seed: int, a_command: int, a_word: int) -> list[tuple[str, str, int, int]]:
    """(word, voice, words a minute, pitch): `a_command` voices of each command, `a_word` of each other word."""
    random = np.random.default_rng(seed)
    mix = []
    others = reading.some_words(LANGUAGE, len(OTHERS)) if LANGUAGE in reading.READERS else OTHERS
    for words, count in ((WORDS, a_command), ([word for word in others if word not in WORDS], a_word)):
        for word in words:
            for _ in range(count):
                accent, variant = random.choice(ACCENTS), random.choice(VARIANTS)
                voice = f"{accent}+{variant}" if variant else str(accent)
                mix.append((word, voice, int(random.integers(90, 220)), int(random.integers(15, 86))))
    return mix
