"""The manifest's files: JSON lines, which a run that was cut off leaves whole but for the last line."""

import json
from pathlib import Path


def lines(path: Path) -> list[dict]:
    """What a file of JSON lines holds; a last line that was cut off is none."""
    if not path.is_file():
        return []
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def text(found: list[dict]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found)


def write(path: Path, found: list[dict]):
    """Writes the lines under a name of its own until they are whole."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text(found), encoding="utf-8")
    unfinished.rename(path)


def dropped(folder: Path) -> set[tuple[int, int]]:
    """(utterance, item) of each clip that was not heard as its word."""
    return {(line["n"], line["item"]) for line in lines(folder / "heard.jsonl") if not line["kept"]}
