"""Speech from text for training: `python -m speech` makes clips, `clips` reads what was made."""
