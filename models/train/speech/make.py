"""Speaks a plan's utterances, one process a core, and writes clips and their manifest; a later run goes on where it stopped."""

import argparse
import multiprocessing
import os
import subprocess
import time
from pathlib import Path

import numpy as np

from . import channel
from .engines import RATE, Engines, NothingSaid, network
from .manifest import lines, text, write
from .plan import Planner, stretches, usual_words

engines: Engines | None = None


def begin(voices: Path):
    global engines
    engines = Engines(voices)


def made(task: tuple[dict, Path]) -> dict:
    """Speaks one utterance; what comes out depends on nothing but itself. Returns its line of the manifest."""
    try:
        return spoken(*task)
    except (NothingSaid, subprocess.CalledProcessError) as error:
        return {"file": None, "n": task[0]["n"], "split": task[0]["split"], "error": str(error), "items": []}


def spoken(utterance: dict, folder: Path) -> dict:
    random = np.random.default_rng([utterance["seed"], 7, utterance["n"]])
    pcm, spans = engines.say(utterance, random)
    samples, level = channel.recorded(pcm, random)
    file = f"{utterance['n'] // 1000:03}/{utterance['n']:06}.{'opus' if utterance['opus'] else 'flac'}"
    channel.write(folder / file, samples, utterance["opus"])
    ms = lambda sample: round(sample * 1000 / RATE)
    items, length = [], ms(len(pcm))
    for number, (item, found) in enumerate(zip(utterance["items"], spans)):
        first, last = ms(found[0][0]), ms(found[-1][1])
        # The piece of the clip in which nothing else is said.
        cut = ms((spans[number - 1][-1][1] + found[0][0]) / 2) if number else 0
        until = ms((found[-1][1] + spans[number + 1][0][0]) / 2) if number + 1 < len(spans) else length
        line = {"text": item["text"], "kind": item["kind"], "label": item["label"], "near": item["near"],
                "first_ms": first, "last_ms": last, "from_ms": cut, "to_ms": until}
        words = item["text"].split(" ")
        if len(found) == len(words) > 1:
            line["words"] = [[word, ms(a), ms(b)] for word, (a, b) in zip(words, found)]
        items.append(line)
    about = {key: utterance[key] for key in ("n", "split", "kind", "engine", "voice", "speed", "seed", "opus")}
    return {"file": file, **about, "level_dbfs": round(level, 1), "ms": length, "items": items}


def planned(args) -> list[dict]:
    """The folder's plan: the one that is there, or a new one."""
    path, options = args.folder / "plan.jsonl", {"amount": args.amount, "seed": args.seed}
    plan = lines(path)
    if plan:
        if plan[0] != options:
            raise SystemExit(f"{path}: made with {plan[0]}, not {options}; choose another folder")
        return plan[1:]
    if not args.words.is_file():
        raise SystemExit(f"{args.words}: no such file; Debian's wamerican-small has one, or name yours by --words")
    print("plan: near misses and phonemes, a minute or two", flush=True)
    sentences = stretches(args.sentences) if args.sentences else []
    plan = Planner(usual_words(args.words), sentences, args.seed).plan(args.amount)
    args.folder.mkdir(parents=True, exist_ok=True)
    write(path, [options, *plan])
    return plan


def run(plan: list[dict], folder: Path, voices: Path, processes: int):
    manifest = folder / "manifest.jsonl"
    done = lines(manifest)
    # A line that was cut off goes, or the next would join it.
    if manifest.is_file():
        write(manifest, done)
    ready = {line["n"] for line in done}
    left = [u for u in plan if u["n"] not in ready]
    for number in {u["n"] // 1000 for u in left}:
        (folder / f"{number:03}").mkdir(parents=True, exist_ok=True)
    print(f"{len(plan)} utterances, {len(ready)} made before, {len(left)} to make with {processes} process(es)", flush=True)
    started = told = time.monotonic()
    words = 0
    count = lambda utterance: sum(len(item["text"].split(" ")) for item in utterance["items"])
    words_left = sum(count(u) for u in left)
    if any(u["engine"] == "kokoro" for u in left):
        network()  # it joins its parts at first use, which processes would do at the same time
    with multiprocessing.get_context("spawn").Pool(processes, begin, (voices,)) as pool, open(manifest, "a", encoding="utf-8") as file:
        for number, line in enumerate(pool.imap_unordered(made, ((u, folder) for u in left)), 1):
            file.write(text([line]))
            file.flush()
            words += count(line)
            now = time.monotonic()
            if now - told > 30 or number == len(left):
                told, rate = now, words / (now - started)
                print(f"{len(ready) + number} of {len(plan)} utterances, {rate * 3600:.0f} words an hour, "
                      f"{(words_left - words) / rate / 60:.0f} min left", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="python -m speech", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the clips go; what it already holds is not made again")
    parser.add_argument("--voices", type=Path, required=True, help="kokoro-js-1.2.1.tgz, by `npm pack kokoro-js@1.2.1`")
    parser.add_argument("--sentences", type=Path, help="transcripts to speak, such as librispeech/train.txt")
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/american-english-small"), help="a word a line")
    parser.add_argument("--amount", type=float, default=1.0, help="1: 900 of each wake word for training")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="one a core")
    args = parser.parse_args()
    if args.sentences and not args.sentences.is_file():
        raise SystemExit(f"{args.sentences}: no such file")
    os.environ["OMP_NUM_THREADS"] = "1"
    run(planned(args), args.folder, args.voices, args.processes)
