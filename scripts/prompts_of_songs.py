"""Captions of held-out songs with what is true of them, as a file of prompts for sampling and evaluation.

python scripts/prompts_of_songs.py data/prompts/held_out_songs.jsonl --split val
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from musegen.data.sources.rendered import Rendered
from musegen.files import write_whole

KEPT = ("tempo", "mode", "metre", "genre", "family", "style", "instruments", "lead", "ensemble", "mood")


def main() -> None:
    """Write the full caption of each song, the musical key among its facts as ``tonality``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--split", default="val", help="val or unseen")
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    source = Rendered(given.songs, given.seed, given.seconds, given.split)
    lines = []
    for number in range(given.songs):
        facts = source.facts(number)
        if facts is not None:
            kept = {"tonality": facts["key"], **{name: facts[name] for name in KEPT}}
            lines.append(json.dumps({"caption": facts["captions"][0], "key": source.key(number), **kept}))
    write_whole({given.file: ("\n".join(lines) + "\n").encode()})


if __name__ == "__main__":
    main()
