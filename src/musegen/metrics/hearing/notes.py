"""Which notes sound in a clip, by basic-pitch's small network, through onnxruntime."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from musegen.metrics.embedders.base import cut
from musegen.metrics.hearing.base import Feature, Heard, Sound

RATE, WINDOW, LOWEST = 22050, 43844, 21
SOUNDS = 0.5
"""Probability above which a note sounds."""

NOTES = "StatefulPartitionedCall:1"


class Notes(Feature):
    """How long each pitch class sounds.

    "A lightweight instrument-agnostic model for polyphonic note transcription and multipitch estimation", 2022,
    https://arxiv.org/abs/2203.09893. Only its weights are needed (``pip install --no-deps basic-pitch==0.4.0``), and
    onnxruntime.
    """

    def hear(self, sound: Sound) -> Heard:
        """``classes [12]``: note frames of each pitch class, C first; zeros for silence."""
        mono = sound.mono(RATE)
        if float(mono.abs().max()) < 1e-4:
            return {"classes": np.zeros(12)}
        windows = cut(torch.nn.functional.pad(mono, (0, max(0, WINDOW - len(mono)))), WINDOW)
        classes = np.zeros(12)
        for window in windows.numpy():
            (sounding,) = transcriber().run([NOTES], {transcriber().get_inputs()[0].name: window[None, :, None]})
            for place, frames in enumerate((sounding[0] > SOUNDS).sum(0)):
                classes[(LOWEST + place) % 12] += frames
        return {"classes": classes}


@cache
def transcriber() -> Any:
    """The network.

    Raises:
        ImportError: without the package's weights, or onnxruntime.
    """
    found = importlib.util.find_spec("basic_pitch")
    if found is None or not found.submodule_search_locations:
        raise ImportError("notes are heard by basic-pitch's weights: pip install --no-deps basic-pitch==0.4.0")
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError:
        raise ImportError("notes are heard through onnxruntime: pip install 'musegen[eval]'") from None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # clips are heard side by side
    folder = Path(next(iter(found.submodule_search_locations)))
    return runtime.InferenceSession(str(folder / "saved_models" / "icassp_2022" / "nmp.onnx"), options)
