"""Words of a person's own: what they asked for, what it may take, and what came of it. `words.py` runs it all."""
