"""Listens to what was made and drops what is not heard as its word: python -m speech.heard, in models/train.

The recogniser is Moonshine tiny (Moonshine AI; its English models are under the MIT licence), which writes English
down: `moonshine_voice/assets/tiny-en` in version 0.0.49 of the PyPI package moonshine-voice. A label must be heard
as it or as what sounds like it; another word, as anything but a label.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
from tqdm import tqdm

from config import LANGUAGE
from features import read_audio

from .engines import RATE
from .manifest import lines, text, write
from .phonemes import ACCENTS, bare, distance, phonemes
from .plan import LABELS, UNKNOWN

LAYERS, HEADS, WIDTH = 6, 8, 36  # of the decoder's cache, which stays empty
BEGIN, END = 1, 2
BEFORE = 3200  # zeros before and after a clip, samples
LONGEST = 10  # tokens
# The recogniser hears people's clips of it right in 6 of 14 cases (else "ah", "oh", "or"), so it has no say but for another label.
FAINT = "off"


class Moonshine:
    """Writes down a short clip."""

    def __init__(self, folder: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        load = lambda name: onnxruntime.InferenceSession(folder / name, options)
        self.encoder, self.decoder = load("encoder_model.ort"), load("decoder_model_merged.ort")
        self.tokens = read_tokens((folder / "tokenizer.bin").read_bytes())
        empty = np.zeros((1, HEADS, 0, WIDTH), np.float32)
        kinds = [(side, part) for side in ("decoder", "encoder") for part in ("key", "value")]
        self.past = {f"past_key_values.{i}.{side}.{part}": empty for i in range(LAYERS) for side, part in kinds}

    def __call__(self, clip: np.ndarray) -> str:
        """What is said in the clip (PCM), in lower case without punctuation."""
        pcm = np.pad(clip * (0.5 / max(np.abs(clip).max(), 1.0)), BEFORE).astype(np.float32)[None]
        hidden = self.encoder.run(None, {"input_values": pcm, "attention_mask": np.ones(pcm.shape, np.int64)})[0]
        inputs = {"encoder_hidden_states": hidden, "encoder_attention_mask": np.ones(hidden.shape[:2], np.int64),
                  "use_cache_branch": np.array([False])}
        said = [BEGIN]
        # All of it each time, without a cache: the texts are a few tokens long.
        while said[-1] != END and len(said) <= LONGEST:
            logits = self.decoder.run(["logits"], inputs | self.past | {"input_ids": np.array([said], np.int64)})[0]
            said.append(int(logits[0, -1].argmax()))
        return plain(b"".join(self.tokens[t] for t in said if t > END).decode("utf-8", "ignore"))


def read_tokens(data: bytes) -> list[bytes]:
    """The tokenizer's pieces, each after its length in a byte, or in two where the first has its high bit set."""
    tokens, at = [], 0
    while at < len(data):
        size, at = data[at], at + 1
        if size >= 128:
            size, at = size - 128 + 128 * data[at], at + 1
        tokens.append(data[at : at + size])
        at += size
    return tokens


def plain(written: str) -> str:
    kept = "".join(c for c in written.replace("▁", " ").lower() if c.isalpha() or c in "' ")
    return " ".join(kept.split())


class Judge:
    """Says whether what was written down is the word that was to be said."""

    def __init__(self):
        self.sounds = {}
        self.labels = {label: self.spoken(label) for label in LABELS}

    def spoken(self, said: str) -> set[str]:
        if said not in self.sounds:
            self.sounds[said] = {bare(phonemes([said], accent)[0]) if said else "" for accent in ACCENTS}
        return self.sounds[said]

    def far(self, heard: str, label: str) -> float:
        return min(distance(a, b) for a in self.spoken(heard) for b in self.labels[label])

    def kept(self, item: dict, heard: str) -> bool:
        label = item["label"]
        if label != UNKNOWN:
            if f" {label} " in f" {heard} ":
                return True
            if label == FAINT:
                return not any(self.far(heard, other) < 0.5 for other in LABELS if other != label)
            nearest = min(self.far(heard, other) for other in LABELS)
            own, length = self.far(heard, label), min(map(len, self.labels[label]))
            return own <= nearest and own <= max(0.5, 0.25 * length)
        # A recogniser guesses the likelier words: what it makes of several words or of half a one is no proof.
        return item["kind"] in ("pair", "part") or not any(self.far(heard, other) < 0.5 for other in LABELS)


def listen(folder: Path, recogniser: Moonshine):
    """Adds to `heard.jsonl` what is new in the manifest; sentences are not asked about."""
    path, judge = folder / "heard.jsonl", Judge()
    before = lines(path)
    write(path, before)
    known, manifest = {(line["n"], line["item"]) for line in before}, lines(folder / "manifest.jsonl")
    with open(path, "a", encoding="utf-8") as file:
        for line in tqdm([line for line in manifest if line["file"]], desc="listening", unit="clip", smoothing=0.0, mininterval=10.0):
            asked = [(i, item) for i, item in enumerate(line["items"]) if item["kind"] != "running" and (line["n"], i) not in known]
            pcm = read_audio(folder / line["file"], RATE) if asked else None
            for number, item in asked:
                heard = recogniser(pcm[item["from_ms"] * RATE // 1000 : item["to_ms"] * RATE // 1000])
                file.write(text([{"n": line["n"], "item": number, "heard": heard, "kept": judge.kept(item, heard)}]))


def report(folder: Path):
    """Prints how many clips were dropped, by word and engine."""
    of = {line["n"]: line for line in lines(folder / "manifest.jsonl")}
    asked, dropped = Counter(), Counter()
    for line in lines(folder / "heard.jsonl"):
        utterance = of[line["n"]]
        item = utterance["items"][line["item"]]
        key = (item["label"] if item["label"] != UNKNOWN else item["kind"], utterance["engine"])
        asked[key] += 1
        dropped[key] += not line["kept"]
    engines = sorted({engine for _, engine in asked})
    print(f"{'dropped of':12}" + "".join(f"{engine:>16}" for engine in engines))
    for word in [*LABELS, *sorted({word for word, _ in asked} - set(LABELS))]:
        cells = [f"{dropped[word, engine]} of {asked[word, engine]}" for engine in engines]
        print(f"{word:12}" + "".join(f"{cell:>16}" for cell in cells))


def main():
    parser = argparse.ArgumentParser(prog="python -m speech.heard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what `python -m speech` made; it may still be at it")
    parser.add_argument("--recogniser", type=Path, required=True, help="the folder tiny-en of moonshine-voice")
    args = parser.parse_args()
    if LANGUAGE != "en":
        raise SystemExit(f"{args.folder}: the recogniser writes down English only, and this is `{LANGUAGE}`; go without")
    if not (args.recogniser / "tokenizer.bin").is_file():
        raise SystemExit(f"{args.recogniser}: no tokenizer.bin; the folder is moonshine_voice/assets/tiny-en of PyPI's moonshine-voice 0.0.49")
    if not (args.folder / "manifest.jsonl").is_file():
        raise SystemExit(f"{args.folder}: no manifest.jsonl; `python -m speech` writes it")
    listen(args.folder, Moonshine(args.recogniser))
    report(args.folder)


if __name__ == "__main__":
    main()
