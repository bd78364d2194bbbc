"""Synthesises models/samples: commands and wake words among pauses and other words, in voices held out of training.

    python models/train/samples.py

Beside each WAV a JSON file says which commands were spoken, and when.
"""

import json
import wave

import numpy as np

from config import REPOSITORY, WORDS, load
from features import word_span
from synth import speak

# (voice, words a minute, pitch), then what is said: pause in seconds, text. Level and noise in dBFS.
SAMPLES = {
    "robot": (("en-us+f5", 140, 50), -20, -60,
              [(0.6, "go"), (0.9, "left"), (0.8, "stop"), (0.9, "right"), (0.8, "go"), (0.9, "stop")]),
    "lift": (("en-gb+m8", 140, 45), -30, -58,
             [(0.5, "up"), (0.9, "yes"), (0.8, "hello again"), (0.8, "down"), (0.9, "no"), (0.8, "stop")]),
    "answers": (("en-us+Annie", 140, 50), -12, -45,
                [(0.7, "yes"), (0.8, "no"), (0.6, "thank you"), (0.9, "right"), (0.8, "no"), (0.8, "yes")]),
    "no_commands": (("en-gb+Alicia", 150, 50), -20, -55,
                    [(0.5, "good morning everybody"), (0.8, "seven"), (0.7, "the bird sang in a tree"), (0.8, "marvin"),
                     (0.7, "wonderful weather")]),
    "wake": (("en-us+Michael", 130, 50), -18, -55,
             [(0.6, "yes"), (0.9, "computer"), (0.6, "left"), (0.8, "stop"), (7.0, "go"), (0.9, "jarvis"), (0.5, "up")]),
}


def compose(front, voice, level, noise, said, seed):
    """PCM and the list of commands in it."""
    random, rate = np.random.default_rng(seed), front.sample_rate
    pieces, commands, length = [], [], 0
    for pause, text in [*said, (1.0, None)]:
        pieces.append(np.zeros(round(pause * rate), np.float32))
        length += len(pieces[-1])
        if text is None:
            break
        spoken = speak(text, voice[0], rate, *voice[1:])
        first, last = word_span(spoken, front.hop)
        spoken = spoken[first * front.hop : (last + 1) * front.hop]
        if text in WORDS:
            commands.append({"command": text, "start_ms": length * 1000 // rate, "end_ms": (length + len(spoken)) * 1000 // rate})
        pieces.append(spoken)
        length += len(spoken)
    pcm = np.concatenate(pieces)
    amplitude = lambda decibels: 32768.0 * 10.0 ** (decibels / 20.0)
    pcm *= amplitude(level) / np.sqrt(np.mean(pcm[pcm != 0.0] ** 2))
    pcm += random.normal(0.0, amplitude(noise), len(pcm))
    return np.clip(np.round(pcm), -32768, 32767).astype("<i2"), commands


def main():
    front, _ = load("shrunk")
    folder = REPOSITORY / "models" / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (voice, level, noise, said)) in enumerate(SAMPLES.items()):
        pcm, commands = compose(front, voice, level, noise, said, seed)
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(front.sample_rate)
            file.writeframes(pcm.tobytes())
        about = {"voice": f"espeak-ng {voice[0]}", "level_dbfs": level, "noise_dbfs": noise, "commands": commands}
        (folder / f"{name}.json").write_text(json.dumps(about, indent=1) + "\n")
        print(f"{name}.wav: {len(pcm) / front.sample_rate:.1f} s, {len(commands)} commands")


if __name__ == "__main__":
    main()
