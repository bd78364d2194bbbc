"""What came of it, as text and as a page: misses and false alarms of each word, words that are taken for each other, and what to do."""

import html
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from speech.voices import natives

from .asked import Asked, Checked, Pair
from .folder import speaker, spoken_by

# Fewer samples tell nothing of one voice or word: none missed of them is below 14 % with 95 % confidence.
LEAST = 20
MISSED, CONFUSED = 0.15, 0.05  # shares from which on something is to be done
SHIPPED_HEARD = "recordings of it were among the other words that the shipped weights, from which this began, were trained on"


def columns(text: str) -> int:
    """Counts the columns that a text takes in a terminal, where Japanese and Chinese characters are twice as wide and accents take none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@dataclass
class Table:
    """`head` names the columns; a row has a text for each."""

    title: str
    head: list[str]
    rows: list[list[str]]
    note: str = ""


@dataclass
class Report:
    title: str
    facts: list[str]
    tables: list[Table] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = [self.title, "", *self.facts]
        for table in self.tables:
            widths = [max(columns(row[i]) for row in [table.head, *table.rows]) for i in range(len(table.head))]
            rows = ["  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(row, widths)).rstrip() for row in [table.head, *table.rows]]
            lines += ["", table.title, *(f"  {row}" for row in rows), *([f"  {table.note}"] if table.note else [])]
        return "\n".join([*lines, "", "What to do", *(f"- {line}" for line in self.advice)]) + "\n"

    def page(self) -> str:
        cells = lambda kind, row: "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in row)
        tables = "".join(
            f"<h2>{html.escape(table.title)}</h2><table><tr>{cells('th', table.head)}</tr>"
            + "".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows) + f"</table><p>{html.escape(table.note)}</p>"
            for table in self.tables)
        listed = lambda lines: "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"
        return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(self.title)}</title>'
                "<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}"
                "td,th{border:1px solid #999;padding:.2em .6em;text-align:left}</style>"
                f"<h1>{html.escape(self.title)}</h1>{listed(self.facts)}{tables}<h2>What to do</h2>{listed(self.advice)}</html>\n")


def share(misses: int, words: int) -> str:
    """A share in percent with its counts; of too few it says so."""
    if not words:
        return "-"
    return f"{100.0 * misses / words:.1f} % ({misses} of {words}{', too few' if words < LEAST else ''})"


def point(told: dict, wanted: bool = False) -> dict:
    """At the image's thresholds, or at those for the false alarms that are wanted, or the fewest that there are."""
    return told["operating_points"][-1 if wanted else 0]


@dataclass(frozen=True)
class Judged:
    """What `zerda eval --stream --json` says of some words: `of` "recordings" that were not trained on, or "synthetic voices"."""

    of: str
    words: list[str]
    told: dict

    @property
    def conditions(self) -> list[str]:
        """Clean first, then over what the words were heard."""
        return [condition["condition"].split(",")[0] for condition in point(self.told)["conditions"]]


def missed(told: dict, word: str, condition: int, wanted: bool = False) -> tuple[int, int]:
    """Misses and words of one label in one condition, of which the first is clean."""
    of = point(told, wanted)["conditions"][condition]["commands"].get(word, {})
    return of.get("misses", 0), of.get("words", 0)


def alarms(told: dict, word: str) -> str:
    """False alarms an hour of a word that counts at any time, or of a wake word."""
    found, hours = point(told), told["negatives"]["hours"]
    wakes = found.get("false_wakes")
    count = wakes["by_word"].get(word, {}).get("count", 0) if wakes else found["false_alarms"]["by_command"].get(word, 0)
    return f"{count / hours:.2f} ({count})" if hours else "-"


def words_table(judged: Judged, note: str) -> Table:
    told, conditions = judged.told, judged.conditions
    rows = [[word, *(share(*missed(told, word, i)) for i in range(len(conditions))), alarms(told, word), f"{point(told)['thresholds'].get(word, 0):.2f}"]
            for word in judged.words if missed(told, word, 0)[1]]
    title = "People: recordings that were not trained on" if judged.of == "recordings" else "Synthetic voices that were held out"
    hours = told["negatives"]["hours"]
    return Table(title, ["word", *(f"missed {name}" for name in conditions), "false alarms an hour", "threshold"], rows, f"{note} {hours:.2f} h without the words.")


def taken(told: dict, one: str, other: str) -> tuple[int, int]:
    """How often one of two words was answered with the other, in all conditions together, and the words said."""
    count, words = 0, 0
    for condition in point(told)["conditions"]:
        for said, heard in ((one, other), (other, one)):
            of = condition["commands"].get(said, {})
            count, words = count + of.get("answered", {}).get(heard, 0), words + of.get("words", 0)
    return count, words


def confusions(asked: Asked, judged: list[Judged], alike: list[Pair]) -> list[tuple[float, str]]:
    """Pairs that were taken for each other, or sound so; the worst first, each as a sentence. Recordings tell, where there are some."""
    near, found = {frozenset((pair.one, pair.other)): pair for pair in alike}, []
    for i, one in enumerate(asked.words):
        for other in asked.words[:i]:
            counted = [taken(each.told, one, other) for each in judged if one in each.words and other in each.words]
            count, words = next((of for of in counted if of[1]), (0, 0))
            pair = near.get(frozenset((one, other)))
            if not words or not pair and count < CONFUSED * words:
                continue
            why = "" if not pair else f" {'contain each other' if pair.within else 'differ by one sound'}:"
            found.append((count / words, f"`{other}` and `{one}`{why} {100.0 * count / words:.0f} % taken for each other ({count} of {words})"))
    return sorted(found, reverse=True)


def by(title: str, who: Callable[[str], str], judged: list[Judged], folder: Path) -> Table:
    """Misses of held-out voices, clean, by what `who` says of a clip's file name; `folder` has the clips, a folder a label."""
    said = Counter(who(path.name) for path in folder.rglob("*.wav"))
    lost = Counter(who(Path(clip).name) for each in judged for clip in point(each.told)["conditions"][0]["missed"])
    rows = [[voice, share(lost[voice], count)] for voice, count in sorted(said.items())]
    return Table(f"{title}, held out, clean", ["voice", "missed"], rows, f"Fewer than {LEAST} samples tell little.")


def kept_table(asked: Asked, before: dict, after: dict) -> Table:
    rows = []
    for word in asked.keep:
        if missed(after, word, 0)[1]:
            rows.append([word, *(share(*missed(of, word, condition, wanted=True)) for condition in (0, 1) for of in (before, after))])
    return Table("Kept words, shipped model and this one", ["word", "clean, shipped", "clean, now", "10 dB, shipped", "10 dB, now"], rows,
                 "Each at thresholds for as many false alarms an hour, or for the fewest that any give.")


def advice(asked: Asked, judged: list[Judged], confused: list, has_speech: bool, heard_before: list[str]) -> list[str]:
    told = []
    for word in asked.new:
        for each in judged:
            misses, words = missed(each.told, word, 0) if word in each.words else (0, 0)
            if words:
                # Recordings come first, and tell more than voices.
                if misses / words > MISSED:
                    told.append(f"`{word}`: {100.0 * misses / words:.0f} % of {each.of} missed: add recordings of people ([recordings] in words.toml; twenty help much), give "
                                "more `hours`, or choose a word of more syllables")
                break
        if word not in asked.recordings:
            told.append(f"`{word}` was judged by synthetic voices alone, which are heard better than people are: record 20 people or more saying it before it ships")
    told += [f"{line}: choose another word in place of one of them" for of, line in confused if of > CONFUSED]
    if not has_speech:
        told.append("no recorded speech was given (--speech, --noise): false alarms are known from synthetic sentences alone, and more are to be expected; "
                    "some hours of LibriSpeech or of your own rooms make it surer")
    told += [f"`{word}`: {SHIPPED_HEARD}" for word in heard_before]
    return told or ["Flash it and try it: zerda run and zerda flash take the image."]


def together(asked: Asked, known: Checked, facts: list[str], judged: list[Judged], clips: Path, kept: tuple[dict, dict] | None, has_speech: bool,
             heard_before: list[str]) -> Report:
    """`judged` has recordings before synthetic voices, whose clips are in `clips`; `kept` is said of kept words by the shipped model and this one."""
    report = Report(f"Your own words: {', '.join(asked.new)}", facts + known.warnings)
    note = "False alarms in" if has_speech else "False alarms in other words, near misses and sentences by synthetic voices, which are harder than most speech, and few:"
    report.tables += [words_table(each, note) for each in judged]
    if kept:
        report.tables.append(kept_table(asked, *kept))
    confused = confusions(asked, judged, known.alike)
    if confused:
        report.tables.append(Table("Too much alike", ["words"], [[line] for _, line in confused]))
    synthetic, own = [each for each in judged if each.of != "recordings"], natives(asked.language)
    report.tables.append(by(f"By voices, language `{asked.language}`", lambda file: spoken_by(file, own), synthetic, clips))
    report.tables.append(by("By voice", speaker, synthetic, clips))
    report.advice = advice(asked, judged, confused, has_speech, heard_before)
    return report
