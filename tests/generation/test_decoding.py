"""Every way of decoding makes the same sound; chunks follow from the device and the codec alone."""

from __future__ import annotations

import logging

import pytest
import torch

import tiny
from musegen.generation.decoding import BUDGET, CHUNK_FRAMES, Decoder, DecoderChoice, choose_decoder, chunk_for
from musegen.models.oobleck import OobleckAutoencoder

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def latents(frames: int = tiny.FRAMES) -> torch.Tensor:
    return torch.randn(1, tiny.CHANNELS, frames, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("chunk", [3, 7, 24, 100])
@pytest.mark.parametrize("layout", ["plain", "fast"])
def test_chunks_and_layouts_make_the_same_sound(layout: str, chunk: int) -> None:
    vae = tiny.vae().eval().requires_grad_(False).fold_weight_norm()
    decode = Decoder(vae, choose_decoder(layout, vae, CPU, torch.float32, chunk))
    with torch.inference_mode():
        expected = vae.decode(latents())
        found = decode(latents())
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_plain_is_bit_for_bit_what_the_codec_decodes_in_chunks() -> None:
    vae = tiny.vae().eval().requires_grad_(False).fold_weight_norm()
    with torch.inference_mode():
        found = Decoder(vae, choose_decoder("auto", vae, CPU, torch.float32))(latents(300))
        assert torch.equal(found, vae.decode_chunked(latents(300), CHUNK_FRAMES))


def test_half_precision_that_overflows_is_decoded_in_float32(caplog: pytest.LogCaptureFixture) -> None:
    vae = tiny.vae().eval().requires_grad_(False).fold_weight_norm()
    decode = Decoder(vae, DecoderChoice("fast", "", "float16", 128))
    with torch.inference_mode(), caplog.at_level(logging.WARNING):
        loud = 1e5 * latents()
        found = decode(loud)
        assert found.isfinite().all()
        assert torch.equal(found, vae.decode_chunked(loud, 128))
    assert [record.message for record in caplog.records] == ["decoder: float16 overflows: decoding in float32"]


def test_what_a_cpu_cannot_do_falls_back_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    vae = tiny.vae()
    for wanted, settled in (("plain graph", "plain"), ("fast graph", "fast"), ("kernels graph", "fast")):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            chosen = choose_decoder(wanted, vae, CPU, torch.bfloat16)
        assert str(chosen) == settled
        assert chosen.dtype == "float32"
        assert len(caplog.records) == 1
        assert caplog.records[0].message.endswith(f"{settled} instead of {wanted}")
    assert str(choose_decoder("auto", vae, CPU, torch.float32)) == "plain"


@pytest.mark.parametrize("wrong", ["quick", "fast quick", "", 3])
def test_unknown_ways_are_one_line(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^decoder: expected .*, got "):
        choose_decoder(wrong, tiny.vae(), CPU, torch.float32)


def test_a_chunk_on_a_gpu_is_what_the_budget_holds() -> None:
    with torch.device("meta"):
        full = OobleckAutoencoder()
    assert chunk_for(full, GPU, torch.float16, "snakes") == 256
    assert chunk_for(full, GPU, torch.float16, "snakes", memory=80e9) == 256
    assert chunk_for(full, GPU, torch.float16, "snakes", memory=4e9) == 128
    assert chunk_for(full, GPU, torch.float32, "snakes") == 128
    assert chunk_for(full, GPU, torch.float16, "fast") == 128
    assert chunk_for(tiny.vae(), GPU, torch.float16, "snakes") == 1024
    assert chunk_for(full, CPU, torch.float16, "snakes") == CHUNK_FRAMES
    assert BUDGET < 1e9


def test_a_graph_changes_no_bits_and_a_compiler_does() -> None:
    plain, graph, compiled = (DecoderChoice("fast", run, "float16", 256) for run in ("", "graph", "compiled"))
    assert plain.arithmetic() == graph.arithmetic() != compiled.arithmetic()
