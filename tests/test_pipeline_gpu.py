"""On a GPU: graphs launch what running as written does, compilers and half precision stay near, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tiny
from musegen.fingerprint import compare
from musegen.generation.clip import Clip

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]

PROMPTS = ["a slow sad piano ballad", "fast drums", "a waltz"]


def clips(prompts: list[str] = PROMPTS, overlap: bool = True, **arguments: Any) -> list[Clip]:
    made = tiny.pipeline(**({"device": "cuda"} | arguments))
    made.chain.overlap = overlap
    return made.generate(prompts, [5, 6])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_graphs_and_decoding_behind_change_no_bits(dtype: str) -> None:
    written = clips(execution="eager", decoder="fast", overlap=False, dtype=dtype)
    graphs = clips(execution="graph", decoder="fast graph", dtype=dtype)
    for one, other in zip(written, graphs, strict=True):
        assert compare(one.fingerprint, other.fingerprint) == {}
        assert torch.equal(one.audio, other.audio)


@pytest.mark.parametrize("execution", ["auto", "compiled"])
def test_neighbours_do_not_matter(execution: str) -> None:
    many, alone = (clips(prompts, execution=execution) for prompts in (PROMPTS, PROMPTS[1:2]))
    assert [torch.equal(one.audio, other.audio) for one, other in zip(alone, many[2:4], strict=True)] == [True, True]


@pytest.mark.parametrize(
    "arguments",
    [
        {"execution": "compiled"},
        {"execution": "compiled_whole"},
        {"decoder": "fast compiled"},
        {"decoder": "snakes graph"},
        {"decoder": "kernels graph"},
    ],
)
def test_every_way_stays_near(arguments: dict[str, Any]) -> None:
    plain = clips(execution="eager", decoder="plain", dtype="float32")
    for one, other in zip(plain, clips(dtype="float32", **arguments), strict=True):
        assert (one.audio - other.audio).norm() < 1e-2 * one.audio.norm()


def test_the_default_decoder_is_near_float32() -> None:
    latents = torch.stack([clip.latents for clip in clips() if clip.latents is not None])
    default, plain = tiny.pipeline(device="cuda"), tiny.pipeline(device="cuda", decoder="plain")
    assert str(default.chain.decoder.choice) == "snakes graph"
    assert default.chain.vae_identity["dtype"] == "float16"
    expected = plain.decode(latents)
    assert (default.decode(latents) - expected).norm() < 1e-2 * expected.norm()
