"""python -m unittest discover models/train"""

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import soundfile

import words
from config import LABELS, REPOSITORY, load
from corpus import Corpus
from own import budget, folder, report
from own.asked import Asked, BadWords, Checked, Pair, check, halves, pairs, read
from own.recordings import Unusable, checked, shared_out
from speech.clips import Clip
from speech.manifest import write
from streams import Composer
from synth import speak

FRONT, _ = load("shrunk")
espeak = unittest.skipUnless(shutil.which("espeak-ng"), "espeak-ng is not installed")


class Folder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.dir = Path(temporary.name)

    def asked(self, text: str) -> Asked:
        path = self.dir / "words.toml"
        path.write_text(text, encoding="utf-8")
        return read(path)

    def refused(self, text: str) -> str:
        with self.assertRaises(BadWords) as raised:
            check(self.asked(text), FRONT)
        return str(raised.exception)

    def config(self, asked: Asked, known: Checked, recorded: bool, program: str) -> str:
        """What a program prints that is started with the settings of the folder."""
        folder.write(self.dir / "config", folder.settings(asked, known, recorded))
        environment = {**os.environ, "ZERDA_CONFIG": str(self.dir / "config"), "PYTHONPATH": str(Path(words.__file__).parent)}
        return subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True).stdout


class WordsToml(Folder):
    def test_the_example_in_the_help_can_be_read(self):
        example = words.__doc__.split("may be left out:")[1].split("Running the same")[0].replace("\n    ", "\n")
        asked = self.asked(example)
        self.assertEqual((asked.wake, asked.commands, asked.keep), (["alexa"], ["stop", "lights on", "lights off"], ["stop"]))
        self.assertEqual(asked.recordings, {"alexa": self.dir / "recordings" / "alexa"})
        self.assertEqual((asked.new, asked.learn, asked.hours), (["lights on", "lights off", "alexa"], 20, 2.0))

    def test_a_word_of_the_shipped_model_keeps_what_it_knows_wherever_it_is_listed(self):
        asked = self.asked('wake = ["computer", "alexa"]\ncommands = ["go"]\nkeep = ["jarvis", "yes"]')
        self.assertEqual((asked.wake, asked.commands), (["jarvis", "computer", "alexa"], ["yes", "go"]))
        self.assertEqual(asked.keep, ["yes", "go", "computer", "jarvis"])
        # As it sounds in another language it is new.
        self.assertEqual(self.asked('language = "de"\ncommands = ["stop"]').keep, [])

    def test_what_cannot_be_had_is_one_line_that_names_it(self):
        many = json.dumps([f"word {chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(63)])
        for text, expected in (("", "no new word"), ('wake = ["alexa", "alexa"]', "`alexa` stands there twice"), ('wake = ["Alexa"]', "`Alexa`: expected words in small"),
                               ('commands = ["a,b"]', "`a,b`"), ('commands = ["route 66"]', "as they are said"), (f"commands = {many}", "63 words; an image holds 62"),
                               (f"wake = {json.dumps(json.loads(many)[:9])}", "9 wake words; an image holds 8"), ('keep = ["alexa"]', "no word of the shipped model"),
                               ('wake = ["alexa"]\nhours = 0.1', "`hours` is 0.1; expected 0.5"), ('wake = "alexa"', "expected a list of texts"), ('wakes = []', "unknown key `wakes`"),
                               ("wake = [", "no TOML"), ('language = "yue"\nwake = ["開燈"]', "reading front end"), ('language = "es"\nkeep = ["go"]\nwake = ["hola"]', "are English"),
                               ('wake = ["alexa"]\n[recordings]\nalex = "a"', "`alex`"), (f'wake = ["{"la" * 33}"]', "66 bytes")):
            with self.assertRaises(BadWords, msg=text) as raised:
                self.asked(text)
            self.assertIn(expected, str(raised.exception))
            self.assertNotIn("\n", str(raised.exception))

    def test_bad_use_ends_with_exit_code_2_one_line_and_nothing_written(self):
        (self.dir / "words.toml").write_text('wake = ["alexa", "alexa"]')
        argv = ["words.py", "--words", str(self.dir / "words.toml"), "--work", str(self.dir / "work")]
        errors = io.StringIO()
        with mock.patch.object(sys, "argv", argv), contextlib.redirect_stderr(errors):
            self.assertEqual(words.main(), 2)
        self.assertRegex(errors.getvalue(), r"^words\.py: .*`alexa` stands there twice.*\n$")
        self.assertFalse((self.dir / "work").exists())


@espeak
class Sounding(Folder):
    def test_a_word_that_espeak_cannot_say_is_refused(self):
        for word in ("你好", "xkqz"):
            self.assertIn(f"`{word}`: espeak-ng does not read it", self.refused(f'wake = ["{word}"]'))
        self.assertIn("no such voice", self.refused('language = "xx"\nwake = ["hola"]'))

    def test_a_phrase_longer_than_the_caches_hold_is_refused(self):
        self.assertIn("3 s at most", self.refused('commands = ["please turn on all of the lights in the kitchen and the hall"]'))

    def test_words_that_sound_the_same_are_refused_and_those_that_nearly_do_are_warned_of(self):
        self.assertIn("sound the same", self.refused('commands = ["write"]\nkeep = ["right"]'))
        known = check(self.asked('commands = ["light", "stop", "stop music"]\nkeep = ["right"]'), FRONT)
        self.assertTrue(any("`right` and `light` differ by one sound" in line for line in known.warnings), known.warnings)
        self.assertTrue(any("all of `stop` is said in `stop music`" in line for line in known.warnings), known.warnings)

    def test_a_short_syllable_is_warned_of_with_the_false_alarms_to_expect(self):
        warned = check(self.asked('commands = ["pat", "alexa"]'), FRONT).warnings
        self.assertEqual(len(warned), 1)
        self.assertRegex(warned[0], "`pat` is one short syllable: expect about 6 false alarms an hour")

    def test_a_language_without_kokoro_is_said_to_be_weaker(self):
        self.assertIn("espeak-ng alone", check(self.asked('language = "de"\ncommands = ["licht an"]'), FRONT).warnings[0])
        self.assertIn("3 of the voices", check(self.asked('language = "es"\ncommands = ["apaga la luz"]'), FRONT).warnings[0])


class Alike(unittest.TestCase):
    def test_one_sound_apart_is_alike_and_two_are_not(self):
        # light lIt, right ɹIt: l and ɹ are of one kind; alexa is far from both.
        found = pairs({"light": ["lIt"], "right": ["ɹIt"], "alexa": ["əlɛksə"]})
        self.assertEqual([(pair.one, pair.other, pair.far) for pair in found], [("light", "right", 0.5)])

    def test_halves_of_words_that_begin_or_end_alike_say_one_of_them(self):
        said = {"volume up": ["vɑljumʌp"], "volume down": ["vɑljumdWn"], "no": ["nO"], "go": ["ɡO"], "stop": ["stɑp"]}
        self.assertEqual(halves(said), [["volume up", "volume down"], ["no", "go"]])


@espeak
class Recordings(Folder):
    def say(self, name: str, text: str, voice: str):
        pcm = speak(text, voice, FRONT.sample_rate)
        soundfile.write(self.dir / name, np.pad(pcm, 4000).astype(np.int16), FRONT.sample_rate)

    def test_recordings_of_one_word_pass_and_one_of_another_is_named(self):
        for i in range(6):
            self.say(f"{i}.wav", "alexa", f"en-us+m{i + 1}")
        self.assertEqual(len(checked("alexa", self.dir, FRONT)), 6)
        self.say("7.wav", "thirty three thieves", "en-us+m2")
        with self.assertRaisesRegex(Unusable, "7.wav: not like the other recordings of `alexa`"):
            checked("alexa", self.dir, FRONT)

    def test_recordings_of_as_many_words_are_not_alike(self):
        for i, text in enumerate(("alexa", "thirty three thieves", "no", "wonderful weather", "stop")):
            self.say(f"{i}.wav", text, f"en-us+m{i + 1}")
        with self.assertRaisesRegex(Unusable, "not alike|not like"):
            checked("alexa", self.dir, FRONT)

    def test_an_empty_a_silent_or_a_long_recording_is_named(self):
        rate, random = FRONT.sample_rate, np.random.default_rng(1)
        for pcm, problem in ((np.zeros(0), "empty"), (np.zeros(rate), "silent"), (random.normal(0, 3000, rate), "the same sound throughout"), (np.ones(7 * rate), "lasts 7.0 s")):
            soundfile.write(self.dir / "one.wav", pcm.astype(np.int16), rate)
            with self.assertRaisesRegex(Unusable, f"one.wav: .*{problem}"):
                checked("alexa", self.dir, FRONT)
        (self.dir / "one.wav").write_bytes(b"RIFF")
        with self.assertRaisesRegex(Unusable, "no recording that can be read"):
            checked("alexa", self.dir, FRONT)
        with self.assertRaisesRegex(Unusable, "no such folder"):
            checked("alexa", self.dir / "none", FRONT)


class SharedOut(unittest.TestCase):
    def test_as_many_as_asked_for_are_learnt_from_and_the_others_judge(self):
        files = [Path(f"{n:03}.wav") for n in range(50)]
        for learn, count in ((0, 0), (5, 5), (20, 20), (50, 50), (99, 50), (None, 37)):
            learnt, judges = shared_out(files, learn)
            self.assertEqual((len(learnt), sorted(learnt + judges)), (count, files))


class Settings(Folder):
    def test_programs_take_labels_from_the_folder_and_all_else_is_as_shipped(self):
        asked = Asked("en", ["alexa"], ["stop", "on", "lights off"], ["stop", "on"])
        known = Checked([], {}, [], 2.0, [["on", "off"]])
        told = self.config(asked, known, True, "import config as c, json; print(json.dumps([c.COMMANDS, c.FROM_TEXT, c.LABELS, c.FRAMES, [sorted(p) for p in c.ALIKE]]))")
        # 2 s, 1.35 times as slow, and 0.6 s before.
        self.assertEqual(json.loads(told), [["stop"], ["on", "lights off"], ["stop", "on", "lights off", "alexa", "_unknown_", "_silence_"], 330, [["off", "on"]]])
        own, shipped = (tomllib.loads((path / "models.toml").read_text()) for path in (self.dir / "config", REPOSITORY / "config"))
        self.assertEqual((own["front_end"], own["profiles"]), (shipped["front_end"], shipped["profiles"]))
        self.assertEqual(own["words"], {"commands": ["stop"], "from_text": ["on", "lights off"], "wake": ["alexa"]})

    def test_without_recordings_kept_words_are_learnt_from_text(self):
        files = folder.settings(Asked("en", [], ["stop", "lights off"], ["stop"]), Checked([], {}, [], 0.5), False)
        self.assertEqual(tomllib.loads(files["models.toml"])["words"]["from_text"], ["stop", "lights off"])

    @espeak
    def test_phrases_and_other_languages_are_planned_with_their_own_voices(self):
        program = """
import json
from speech.plan import Planner
plan = Planner(["casa", "perro", "lugar", "enchufe", "paga", "luces", "cruz", "ventana", "mesa"], [], 1).plan(0.02)
print(json.dumps([[u["split"], u["engine"], u["voice"], [[i["text"], i["label"], i.get("phonemes")] for i in u["items"]]] for u in plan]))"""
        plan = json.loads(self.config(Asked("es", [], ["apaga la luz"], []), Checked([], {}, [], 1.0), False, program))
        self.assertEqual({engine for _, engine, *_ in plan}, {"kokoro", "espeak"})
        self.assertTrue(all(voice.startswith("es") for _, engine, voice, _ in plan if engine == "espeak"))
        native = {split for split, _, voice, _ in plan if "em_santa" in voice}
        self.assertLessEqual(native, {"test"})
        said = {text: spoken for _, engine, _, items in plan for text, label, spoken in items if engine == "kokoro"}
        self.assertEqual(said["apaga la luz"].replace("ː", ""), "apˈaɣa la lˈuθ")
        # A piece of the phrase is none.
        self.assertTrue(all(label == "_unknown_" for *_, items in plan for text, label, _ in items if text != "apaga la luz"))

    def test_the_loss_is_there_without_wake_words(self):
        program = """
import torch
from config import LABELS
from train import decision_loss
items = torch.tensor([[0, 0, 0, 100, 40, 60, 0, -1]])
print(decision_loss(torch.zeros(1, 100, len(LABELS)), items, torch.zeros(1, 100), torch.eye(len(LABELS))[[0]]).item() > 0)"""
        self.assertEqual(self.config(Asked("en", [], ["alexa"], []), Checked([], {}, [], 1.0), False, program).strip(), "True")


class Streams(unittest.TestCase):
    def test_a_stream_is_composed_of_synthetic_speech_alone_even_of_one_word(self):
        random, kinds = np.random.default_rng(1), ("synth_command", "synth_word", "near", "synth_speech")
        corpus = Corpus.__new__(Corpus)
        corpus.entries = [(kind, "computer", "", 0) for kind in kinds for _ in range(5)]
        corpus.power = np.exp(random.normal(12, 2, (2000, FRONT.mels))).astype(np.float32)
        corpus.rows = np.array([(100 * i, 100, 20, 70) for i in range(20)])
        composer = Composer(corpus, FRONT, 320, 5)
        said = {LABELS[label] for seed in range(30) for label in composer.stream((1, seed))[1][:, 0]}
        self.assertEqual(said, {"computer", "_unknown_", "_silence_"})
        # All that is said is synthetic, and more of it is no label than is one.
        random, spoken = np.random.default_rng(2), {"computer": 0, "_unknown_": 0}
        for _ in range(400):
            label = LABELS[composer.item(random).label]
            if label in spoken:
                spoken[label] += 1
        self.assertGreater(spoken["_unknown_"], spoken["computer"])


class Time(unittest.TestCase):
    SHIPPED = (["computer", "jarvis"], ["on", "off"], ["yes", "no", "up", "down", "left", "right", "stop", "go"])

    def test_the_words_to_speak_are_those_that_the_shipped_plan_had(self):
        # models/experiments.md: 18 755 planned.
        spoken, items = budget.spoken(*self.SHIPPED, {"val": 0.09, "test": 0.045})
        self.assertAlmostEqual(spoken / 18755, 1.0, delta=0.03)
        self.assertLess(items, spoken)

    def test_five_words_take_two_hours_at_most_and_all_of_them(self):
        for recorded in (0, 17000):
            made = budget.planned(5, *budget.spoken(["alexa"], ["lights on", "lights off", "louder", "quieter"], []), recorded, 2.0, 2)
            self.assertTrue(100.0 < made.all_minutes <= 121.0, made)
            self.assertTrue(0.3 < made.amount < 1.0 and min(made.steps[:3]) > 1000, made)

    def test_more_time_or_cores_make_more_and_longer_streams_fewer_batches(self):
        of = lambda hours, cores, frames=320: budget.planned(5, 17000, 12000, 0, hours, cores, frames)
        short, long, wide, slow = of(2.0, 2), of(6.0, 2), of(2.0, 8), of(2.0, 2, 480)
        self.assertTrue(long.amount > 2 * short.amount and long.steps[1] > 2 * short.steps[1])
        self.assertTrue(wide.amount > short.amount and wide.steps[1] > 3 * short.steps[1])
        self.assertLess(slow.steps[1], 0.75 * short.steps[1])
        self.assertAlmostEqual(slow.all_minutes, short.all_minutes, delta=3.0)

    def test_too_little_time_says_how_much_is_needed(self):
        with self.assertRaisesRegex(budget.TooShort, "0.5 hours are too few for 40 words on 2 cores: at least [1-9]"):
            budget.planned(40, 80000, 60000, 0, 0.5, 2)

    def test_what_is_left_is_corrected_by_what_was_measured(self):
        progress = budget.Progress(budget.Budget(1.0, (1, 1, 1, 1), {"a": 10.0, "b": 20.0, "c": 5.0}))
        self.assertEqual(progress.minutes_left, 35.0)
        progress.done("a", 20.0)
        self.assertEqual(progress.minutes_left, 50.0)

    def test_times_are_said_as_people_say_them(self):
        self.assertEqual([budget.clock(minutes) for minutes in (0.6, 59.4, 125.0)], ["1 min", "59 min", "2 h 05 min"])


class Stages(Folder):
    def work(self, asked: Asked) -> words.Work:
        args = argparse.Namespace(work=self.dir / "work", zerda=None, data=None)
        return words.Work(args, asked, Checked([], {}, [], 0.5))

    def test_a_run_goes_on_with_the_stage_that_was_stopped_and_says_when_it_ends(self):
        work, ran = self.work(Asked("en", ["alexa"], [], [])), []
        made = work.begin()
        with mock.patch.multiple(words.Work, speak=lambda *_: ran.append("speak"), train=mock.Mock(side_effect=words.Stop("full")), tune=lambda _: ran.append("tune"),
                                 judge=lambda _: ran.append("judge")):
            with contextlib.redirect_stdout(io.StringIO()) as told, self.assertRaises(words.Stop):
                words.stages(work, made)
            self.assertRegex(told.getvalue(), r"1 of 3, plan and speech: about \d+ min; all of it is over in about [12] h \d\d min, at \d\d:\d\d")
            words.Work.train = lambda *_: ran.append("train")
            again = self.work(Asked("en", ["alexa"], [], []))
            with contextlib.redirect_stdout(io.StringIO()):
                words.stages(again, again.begin())
        self.assertEqual(ran, ["speak", "train", "tune", "judge"])
        self.assertEqual(again.begin(), made)

    def test_a_folder_of_other_words_is_left_alone(self):
        self.work(Asked("en", ["alexa"], [], [])).begin()
        before = (self.dir / "work" / "config" / "models.toml").read_text()
        with self.assertRaisesRegex(words.Stop, "begun with another words file"):
            self.work(Asked("en", ["snowboy"], [], [])).begin()
        self.assertEqual((self.dir / "work" / "config" / "models.toml").read_text(), before)


class Thresholds(unittest.TestCase):
    def test_those_that_few_negatives_made_too_low_are_raised(self):
        before = "[decoder]\nthreshold = 0.1\n\n[thresholds]\njarvis = 0.164  # 2 in 0.2 h\n\"lights off\" = 0.883\n# go = 0.2\n"
        expected = "[decoder]\nthreshold = 0.1\n\n[thresholds]\njarvis = 0.500  # raised from 0.164\n\"lights off\" = 0.883\n# go = 0.2\n"
        self.assertEqual(folder.raised(before, 0.5), expected)


class HeldOut(Folder):
    def test_clips_are_cut_by_label_and_their_names_tell_the_voice(self):
        samples = np.zeros(16000, np.int16)
        samples[4000:8000] = 1000
        (self.dir / "000").mkdir()
        soundfile.write(self.dir / "000" / "000000.flac", samples, 16000)
        item = {"near": None, "first_ms": 250, "last_ms": 500, "from_ms": 200, "to_ms": 600}
        about = {"file": "000/000000.flac", "engine": "kokoro", "voice": "af_kore*0.40+am_eric*0.60"}
        items = [{**item, "text": "lights off", "kind": "label", "label": "lights off"}, {**item, "text": "lights of", "kind": "pair", "label": "_unknown_"}]
        write(self.dir / "manifest.jsonl", [{**about, "n": 0, "split": "test", "items": items}, {**about, "n": 1, "split": "val", "items": items}])
        self.assertEqual(folder.held_out(self.dir, "test", self.dir / "test"), {"lights off": 1, "other": 1})
        [word] = (self.dir / "test" / "words" / "lights off").iterdir()
        pcm, _ = soundfile.read(word, dtype="int16")
        # 0.3 s before, 0.4 s of clip, 0.4 s after; the word 50 ms into the clip.
        self.assertEqual((len(pcm), pcm[5600:9600].min()), (17600, 1000))
        self.assertLess(np.abs(pcm[:5600]).max(), 30)
        self.assertEqual(folder.speaker(word.name), "kokoro, mixtures of these")
        self.assertEqual(len(list((self.dir / "test" / "other").iterdir())), 1)

    def test_a_recording_has_no_voice(self):
        self.assertEqual(folder.speaker("0001-anna.wav"), "recorded")
        clip = Clip(Path("a"), "label", "go", "go", None, 0, 1, 0, 1, "espeak", "en-us+f5/40", [])
        self.assertEqual(folder.speaker(folder.name(clip, 7)), "espeak f5")


def judged(commands: dict, alarms: dict, missed=(), hours=2.0) -> dict:
    """What `zerda eval --stream --json` prints, as far as the report reads it: of each word (words, misses, answered)."""
    told = {word: {"words": n, "misses": m, "answered": answered} for word, (n, m, answered) in commands.items()}
    conditions = [{"condition": f"{name}, near, -10 dBFS", "commands": told, "missed": list(missed)} for name in ("clean", "10 dB")]
    points = [{"name": name, "thresholds": dict.fromkeys(commands, 0.7), "false_alarms": {"by_command": alarms}, "conditions": conditions} for name in ("image", "highest")]
    return {"negatives": {"hours": hours}, "operating_points": points}


class Reports(Folder):
    def setUp(self):
        super().setUp()
        for word in ("light", "right"):
            for n in range(4):
                (self.dir / word).mkdir(exist_ok=True)
                (self.dir / word / f"kokoro.af_kore.{n:05}.wav").touch()
        asked = Asked("en", [], ["right", "light"], ["right"])
        missed = [str(self.dir / "light" / "kokoro.af_kore.00002.wav")]
        synthetic = judged({"light": (100, 20, {"right": 12}), "right": (100, 5, {"light": 6})}, {"light": 3}, missed)
        known = Checked([Pair("light", "right", 0.5, False)], {}, ["`light` and `right` differ by one sound"], 0.5)
        told = [report.Judged("synthetic voices", ["right", "light"], synthetic)]
        self.report = report.together(asked, known, ["the <image>"], told, self.dir, (synthetic, synthetic), False, ["light"])

    def test_it_says_what_each_word_misses_and_how_often_it_is_heard_falsely(self):
        text = self.report.text()
        self.assertRegex(text, r"light +20\.0 % \(20 of 100\) +20\.0 % \(20 of 100\) +1\.50 \(3\) +0\.70")
        self.assertIn("2.00 h without the words", text)
        self.assertRegex(text, "word +missed clean +missed 10 dB +false alarms an hour +threshold")
        self.assertRegex(text, r"Kept words(.|\n)*right +5\.0 % \(5 of 100\)")

    def test_false_wakes_are_those_of_the_word(self):
        told = judged({"alexa": (329, 26, {})}, {}, hours=4.0)
        for point in told["operating_points"]:
            point["false_wakes"] = {"by_word": {"alexa": {"count": 3}}}
        table = report.words_table(report.Judged("recordings", ["alexa"], told), "In")
        self.assertEqual(table.rows, [["alexa", "7.9 % (26 of 329)", "7.9 % (26 of 329)", "0.75 (3)", "0.70"]])

    def test_columns_stand_below_each_other_whatever_the_script(self):
        table = report.Table("words", ["word", "missed"], [["音楽", "1 %"], ["música", "2 %"]])
        self.assertIn("  word    missed\n  音楽    1 %\n  música  2 %\n", report.Report("title", [], [table]).text())

    def test_it_names_words_that_are_taken_for_each_other(self):
        self.assertIn("`right` and `light` differ by one sound: 9 % taken for each other (36 of 400): choose another word", self.report.text())

    def test_the_languages_own_speakers_have_a_figure_apart_from_those_with_an_accent(self):
        self.assertRegex(self.report.text(), r"language `en`, held out, clean\n(.*\n)  the language's own speakers +12\.5 % \(1 of 8, too few\)")
        own = lambda name: folder.spoken_by(f"kokoro.{name}.00001.wav", {"jf_alpha", "jm_kumo"})
        self.assertEqual([own(name) for name in ("jf_alpha+jm_kumo", "jf_alpha+af_kore", "af_kore")],
                         ["the language's own speakers", "mixtures of own and other speakers", "other speakers, with an accent"])
        self.assertEqual(folder.spoken_by("espeak.ja+f2.00001.wav", {"jf_alpha"}), "espeak-ng")

    def test_few_samples_of_a_voice_are_said_to_be_few(self):
        self.assertRegex(self.report.text(), r"kokoro af_kore +12\.5 % \(1 of 8, too few\)")

    def test_it_says_what_to_do_and_what_the_figures_are_worth(self):
        advised = "\n".join(self.report.advice)
        for expected in ("`light`: 20 % of synthetic voices missed: add recordings", "judged by synthetic voices alone", "no recorded speech was given", "shipped weights"):
            self.assertIn(expected, advised)
        self.assertNotIn("`right`: ", advised)

    def test_the_page_holds_the_same_and_what_is_no_markup(self):
        page = self.report.page()
        self.assertIn("the &lt;image&gt;", page)
        self.assertEqual(page.count("<table>"), len(self.report.tables))


if __name__ == "__main__":
    unittest.main()
