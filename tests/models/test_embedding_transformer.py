"""What holds for the embedding transformer alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from musegen.models.embedding_transformer import EmbeddingTransformer
from networks import embedding_transformer, inputs


@pytest.mark.parametrize("text_dim", [384, 768])
@pytest.mark.parametrize("null", ["zero", "learned"])
def test_has_271_million_parameters(text_dim: int, null: Any) -> None:
    with torch.device("meta"):
        net = EmbeddingTransformer(text_dim=text_dim, null=null)
    count = sum(parameter.numel() for parameter in net.parameters())
    print(f"text_dim {text_dim}, null {null}: {count:,} parameters")
    assert abs(count - 271e6) <= 1e6


def influence(net: EmbeddingTransformer) -> torch.Tensor:
    """How much each part of the embedding moves each part of the output, ``[parts in, parts out]``."""
    parts = net.position.shape[0]
    x, time, condition = inputs(net)
    with torch.no_grad():
        prepared = net.prepare(condition)
        before = net.predict(x, time, prepared).unflatten(1, (parts, -1))
        rows = []
        for part in range(parts):
            moved = x.unflatten(1, (parts, -1)).clone()
            moved[:, part] += 1.0
            after = net.predict(moved.flatten(1), time, prepared).unflatten(1, (parts, -1))
            rows.append((after - before).abs().amax(dim=(0, 2)))
    return torch.stack(rows)


def test_parts_of_the_embedding_speak_to_each_other_through_self_attention() -> None:
    net = embedding_transformer()
    assert influence(net).min() > 0.01
    with torch.no_grad():
        for block in net.blocks:
            block.self_attn.to_out.weight.zero_()
    apart = influence(net)
    assert apart.diagonal().min() > 0.01
    assert (apart - apart.diagonal().diag()).max() == 0


def test_attention_over_several_tokens_depends_on_what_they_hold() -> None:
    """Over a single token the weights of attention are 1 and queries have no effect; over several they have one."""
    for tokens, matters in ((1, False), (4, True)):
        net = embedding_transformer(embedding_tokens=tokens)
        given = inputs(net)
        with torch.no_grad():
            before = net(*given)
            for block in net.blocks:
                queries = block.self_attn.to_qkv.weight[: block.self_attn.heads * block.self_attn.head_dim]
                queries.mul_(-2.0)
            change = float((net(*given) - before).abs().max())
        assert (change > 0.01) is matters, f"{tokens} tokens: queries changed the output by {change}"


def test_parts_know_their_place() -> None:
    net = embedding_transformer()
    x, time, condition = inputs(net)
    turned = x.unflatten(1, (4, -1)).flip(1).flatten(1)
    with torch.no_grad():
        back = net(turned, time, condition).unflatten(1, (4, -1)).flip(1).flatten(1)
        assert (back - net(x, time, condition)).abs().max() > 0.01


def test_the_learned_null_learns() -> None:
    net = embedding_transformer(null="learned")
    x, time, condition = inputs(net)
    net(x, time, net.null(condition)).square().mean().backward()
    assert net.null_token is not None
    assert net.null_token.grad is not None
    assert net.null_token.grad.isfinite().all()
    assert net.null_token.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embedding_tokens": 5}, "embedding_tokens: expected a divisor of embedding_dim 64, got 5"),
        ({"null": "none"}, "null: expected 'zero' or 'learned', got 'none'"),
        ({"heads": 7}, "heads: expected a divisor of dim 64, got 7"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embedding_transformer(**arguments)


def test_an_embedding_has_no_padding() -> None:
    net = embedding_transformer()
    with pytest.raises(ValueError, match="expected no mask"):
        net(*inputs(net), torch.ones(3, 64, dtype=torch.bool))
