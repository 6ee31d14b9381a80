"""Write a Stable Audio Open 1.0 of random weights, as stable-audio-tools publishes it: what measuring needs."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from musegen.arguments import call
from musegen.checkpoints import save_model
from musegen.commands.convert import convert
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.seconds import SecondsConditioner
from musegen.conditioning.t5 import T5
from musegen.flow.model import FlowModel
from musegen.flow.paths.cosine import CosinePath
from musegen.models.diffusion_transformer import DiffusionTransformer


def random_stable_audio(out: Path) -> None:
    """Write it: 4.2 GB.

    Args:
        out: folder; the published format goes to OUT/stable-audio-tools, ours to OUT/musegen.
    """
    seconds = {name: SecondsConditioner(name) for name in ("seconds_start", "seconds_total")}
    conditioners = {"prompt": CaptionConditioner(T5()), **seconds}
    conditioning = Conditioning(conditioners, list(conditioners), list(seconds))
    model = FlowModel(DiffusionTransformer(), conditioning, CosinePath())
    save_model(model, out / "musegen", licences=["CC0-1.0"], dtype=torch.float16)
    convert(out / "musegen", out / "stable-audio-tools", to="stable-audio-tools")


if __name__ == "__main__":
    call(random_stable_audio, sys.argv[1:], "random_stable_audio.py")
