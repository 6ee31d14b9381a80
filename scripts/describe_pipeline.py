"""What an evaluation has to know of a pipeline and of this machine, a line each: for scripts of the shell."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

from musegen.arguments import call
from musegen.devices import choose_device
from musegen.files import write_whole
from musegen.generation.folder import find_pipeline, read_embedder
from musegen.mistakes import explain, is_mistake


def describe_pipeline(out: Path, model: str = "default", device: str = "auto") -> None:
    """Write its folder; the recipe of what embedded its music; cpu or cuda; whether notes can be heard, yes or no.

    Args:
        out: the file.
        model: folder of a pipeline, or the name of a shipped one.
        device: auto, cpu, cuda …
    """
    folder = find_pipeline(model)
    embedder = read_embedder(folder) or "spectral"
    recipe = embedder if isinstance(embedder, str) else json.dumps(embedder)
    notes = "yes" if find_spec("basic_pitch") and find_spec("onnxruntime") else "no"
    write_whole({out: f"{folder}\n{recipe}\n{choose_device(device).type}\n{notes}\n".encode()})


if __name__ == "__main__":
    try:
        call(describe_pipeline, sys.argv[1:], "describe_pipeline.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"describe_pipeline: {explain(error)}")
