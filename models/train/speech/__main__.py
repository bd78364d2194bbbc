"""Makes speech from text: `python -m speech`, in models/train; see README.md beside this."""

from .make import main

main()
