"""Compare kernels with torch's own operations; run by test_kernels in a process where Triton interprets."""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from torch.nn import functional as F

DTYPES = {torch.float32: 1e-5, torch.float16: 4e-3}


def close(found: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    error = float((found.double() - expected.double()).norm() / expected.double().norm())
    assert found.shape == expected.shape
    assert error < DTYPES[dtype], error


def small_attention() -> None:
    from musegen.kernels.small_attention import fits, small_attention

    for dtype in DTYPES:
        for asking, asked, masked in ((8, 8, False), (5, 37, True), (1, 1, False)):
            queries = torch.randn(2, asking, 3, 16, dtype=dtype).transpose(1, 2)
            keys, values = torch.randn(2, 2, 3, asked, 16, dtype=dtype)
            mask = (torch.arange(asked) < torch.tensor([[3], [asked]]))[:, None, None] if masked else None
            assert fits(queries, keys)
            expected = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
            close(small_attention(queries, keys, values, mask), expected.transpose(1, 2).flatten(2), dtype)


def norm_linear() -> None:
    from musegen.kernels.skinny import norm_linear

    for dtype in DTYPES:
        for gelu in (False, True):
            x, gamma = torch.randn(5, 64) + 1, torch.randn(64, dtype=dtype)
            weight, bias = torch.randn(72, 64, dtype=dtype) / 8, torch.randn(72, dtype=dtype) if gelu else None
            normed = F.layer_norm(x, (64,), gamma.float(), None, 1e-5).to(dtype)
            expected = F.linear(normed.float(), weight.float(), None if bias is None else bias.float())
            close(norm_linear(x, gamma, 1e-5, weight, bias, gelu), F.gelu(expected) if gelu else expected, dtype)


def linear_add() -> None:
    from musegen.kernels.skinny import linear_add

    for dtype in DTYPES:
        for given in (7, 3):
            y, weight, bias = (torch.randn(*shape, dtype=dtype) for shape in ((given, 96), (40, 96), (40,)))
            residual, other = torch.randn(7, 40), torch.randn(40, dtype=dtype)
            expected = residual + bias.float()
            expected[:given] += y.float() @ weight.float().t()
            expected[given:] += other.float()
            close(linear_add(y, weight, bias, residual, other), expected, dtype)


def residual_unit() -> None:
    from musegen.models.fast_decoder import FastDecoder, OneKernel
    from musegen.models.oobleck import OobleckAutoencoder

    codec = OobleckAutoencoder(channels=16, multiples=(1, 2), strides=(2, 4), latent_channels=4)
    for parameter in codec.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    latents = torch.randn(2, 4, 9)
    with torch.no_grad():
        expected = codec.decode(latents)
        for dtype in DTYPES:
            decoder = FastDecoder(codec, dtype, kernels=True)
            assert sum(isinstance(module, OneKernel) for module in decoder.modules()) == 6
            close(decoder(latents), expected, dtype)
            for kernels in (False, True):
                close(FastDecoder(codec, dtype, kernels, one_pass=True)(latents), expected, dtype)


def snake() -> None:
    from musegen.nn import snake as room

    for dtype in DTYPES:
        for channels_last in (False, True):
            module = room.SnakeBeta(20)
            for parameter in module.parameters():
                parameter.data.normal_()
            x, gradient = torch.randn(2, 3, 20, 150, dtype=dtype)
            if channels_last:
                x = x.transpose(1, 2).contiguous().transpose(1, 2)
            found = {}
            for room.ONE_KERNEL in (False, True):
                leaf = x.detach().requires_grad_()
                out = module(leaf)
                assert out.dtype == dtype
                assert out.stride() == x.stride()
                found[room.ONE_KERNEL] = [out, *torch.autograd.grad(out, [leaf, module.alpha, module.beta], gradient)]
            for ours, theirs in zip(found[True], found[False], strict=True):
                assert ours.dtype == theirs.dtype
                close(ours, theirs, dtype)


def block() -> None:
    from musegen.models.base import Condition
    from musegen.models.embedding_transformer import EmbeddingTransformer
    from musegen.nn.attention import CrossAttention, SelfAttention
    from musegen.nn.block import Block

    for null in ("zero", "learned"):
        network = EmbeddingTransformer(64, 2, 4, 32, 4, 24, null)  # type: ignore[arg-type]
        for parameter in network.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
        told = Condition(torch.randn(2, 5, 24), torch.arange(5) < torch.tensor([[5], [2]]))
        x, time = torch.randn(4, 32), torch.rand(4)
        with torch.inference_mode():
            expected = network.predict(x, time, network.prepare_with_null(told))
            for module in network.modules():
                if isinstance(module, SelfAttention | CrossAttention):
                    module.fast = True
            close(network.predict(x, time, network.prepare_with_null(told)), expected, torch.float32)
            for module in network.modules():
                if isinstance(module, Block):
                    module.few_rows = True
            close(network.predict(x, time, network.prepare_with_null(told)), expected, torch.float32)


if __name__ == "__main__":
    torch.manual_seed(0)
    globals()[sys.argv[1]]()
