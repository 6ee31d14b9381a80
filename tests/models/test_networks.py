"""What holds for both networks of a flow."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from musegen.models.base import Condition, FlowNetwork
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.embedding_transformer import EmbeddingTransformer
from networks import TOKENS, diffusion_transformer, embedding_transformer, inputs

Build = Callable[..., FlowNetwork]


def modulated_transformer(seed: int = 0, **arguments: Any) -> DiffusionTransformer:
    return diffusion_transformer(seed, modulated=True, pool_condition=True, **arguments)


both = pytest.mark.parametrize(
    "build",
    [diffusion_transformer, modulated_transformer, embedding_transformer],
    ids=["diffusion", "modulated", "embedding"],
)
qk_norms = pytest.mark.parametrize("qk_norm", ["none", "layer"])


@both
@qk_norms
def test_prepared_conditions_serve_many_steps(build: Build, qk_norm: str) -> None:
    net = build(qk_norm=qk_norm)
    x, time, condition = inputs(net)
    with torch.no_grad():
        prepared = net.prepare(condition)
        for step in (time, time / 2, time):
            assert torch.equal(net.predict(x, step, prepared), net(x, step, condition))
        output = net(x, time, condition)
        assert output.shape == x.shape
        assert output.std() > 0.1
        assert (net(x, time / 2, condition) - output).abs().max() > 0.01


@both
def test_a_fresh_network_predicts_zero(build: Build) -> None:
    net = type(build())(**build().config["init_args"])
    assert torch.count_nonzero(net(*inputs(net))) == 0


@both
@qk_norms
def test_every_parameter_gets_a_finite_gradient(build: Build, qk_norm: str) -> None:
    net = build(qk_norm=qk_norm)
    net(*inputs(net)).square().mean().backward()
    for name, parameter in net.named_parameters():
        if not parameter.requires_grad:
            assert name.endswith("features.weight"), f"{name} is not trained"
            continue
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
        assert parameter.grad.abs().max() > 0, f"the gradient of {name} is zero"


@both
def test_checkpointing_changes_no_gradient(build: Build) -> None:
    gradients = []
    for checkpointing in (False, True):
        net = build(gradient_checkpointing=checkpointing)
        net(*inputs(net)).square().mean().backward()
        gradients.append([parameter.grad for parameter in net.parameters() if parameter.requires_grad])
    for kept, again in zip(*gradients, strict=True):
        assert torch.equal(kept, again)


@both
def test_checkpointing_keeps_less(build: Build) -> None:
    kept = []
    for checkpointing in (False, True):
        net = build(gradient_checkpointing=checkpointing)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: (s.append(t.numel()), t)[1], lambda t: t):
            net(*inputs(net))
        kept.append(sum(sizes))
    assert kept[1] < 0.6 * kept[0]


@both
def test_what_padding_of_the_text_holds_does_not_matter(build: Build) -> None:
    net = build()
    x, time, condition = inputs(net)
    assert condition.mask is not None
    tokens = torch.where(condition.mask[:, :, None], condition.tokens, torch.full((), 7.0))
    with torch.no_grad():
        output = net(x, time, condition)
        assert torch.equal(net(x, time, replace(condition, tokens=tokens)), output)
        assert (net(x, time, replace(condition, tokens=tokens, mask=None)) - output).abs().max() > 0.01


@pytest.mark.parametrize(
    "net",
    [
        embedding_transformer(),
        embedding_transformer(qk_norm="layer"),
        diffusion_transformer(mask_condition=True),
        diffusion_transformer(mask_condition=True, modulated=True, pool_condition=True),
    ],
    ids=["embedding", "embedding-qk", "diffusion", "diffusion-pooled"],
)
def test_how_much_padding_the_text_has_does_not_matter(net: FlowNetwork) -> None:
    x, time, condition = inputs(net)
    vector = None if condition.vector is None else condition.vector[1:2]
    short = Condition(condition.tokens[1:2, : TOKENS - 2], condition.mask[1:2, : TOKENS - 2], vector)
    with torch.no_grad():
        alone, padded = net(x[1:2], time[1:2], short), net(x, time, condition)[1:2]
    assert alone.std() > 0.1
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=0)


@both
def test_no_text_at_all_gives_numbers(build: Build) -> None:
    net = build()
    x, time, condition = inputs(net)
    with torch.no_grad():
        assert net(x, time, replace(condition, mask=torch.zeros_like(condition.mask))).isfinite().all()


NULLS = {
    "embedding-zero": lambda: embedding_transformer(null="zero"),
    "embedding-learned": lambda: embedding_transformer(null="learned"),
    "diffusion": diffusion_transformer,
    "diffusion-masked": lambda: diffusion_transformer(mask_condition=True),
    "diffusion-pooled": lambda: diffusion_transformer(modulated=True, pool_condition=True),
}


@pytest.mark.parametrize("build", NULLS.values(), ids=NULLS)
def test_null_says_nothing(build: Build) -> None:
    net = build()
    x, time, condition = inputs(net)
    other = inputs(net, seed=2)[2]
    null = net.null(condition)
    assert null.tokens.shape == condition.tokens.shape
    assert null.vector is condition.vector
    assert len(Condition.concatenate([condition, null])) == 2 * len(condition)
    shorter = replace(other, vector=condition.vector, mask=torch.arange(TOKENS).expand_as(condition.mask) < 1)
    with torch.no_grad():
        output = net(x, time, null)
        assert output.std() > 0.1
        assert torch.equal(output, net(x, time, net.null(shorter)))
        assert (output - net(x, time, condition)).abs().max() > 0.01


@both
def test_a_batch_is_its_items(build: Build) -> None:
    net = build()
    x, time, condition = inputs(net)
    with torch.no_grad():
        together = net(x, time, condition)
        for i in range(len(x)):
            alone = net(x[i : i + 1], time[i : i + 1], condition[i : i + 1])
            torch.testing.assert_close(alone, together[i : i + 1], atol=1e-5, rtol=0)


@both
def test_half_precision_stays_near(build: Build) -> None:
    net = build()
    x, time, condition = inputs(net)
    with torch.no_grad():
        exact = net(x, time, condition)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = net(x, time, condition)
        half = net.to(torch.bfloat16)(x, time, condition)
    for output in (mixed, half):
        assert output.dtype == x.dtype
        assert (output - exact).abs().mean() < 0.05 * exact.std()


@both
def test_gradients_flow_under_autocast(build: Build) -> None:
    net = build(gradient_checkpointing=True)
    with torch.autocast("cpu", torch.bfloat16):
        net(*inputs(net)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters() if p.requires_grad)


@both
def test_compiles_as_one_graph(build: Build) -> None:
    torch.compiler.reset()
    net = build()
    x, time, condition = inputs(net)
    with torch.no_grad():
        prepared = torch.compile(net.prepare, backend="eager", fullgraph=True)(condition)
        predict = torch.compile(net.predict, backend="eager", fullgraph=True)
        assert torch.equal(predict(x, time, prepared), net(x, time, condition))
        mask = torch.ones(len(x), x.shape[-1], dtype=torch.bool)
        if isinstance(net, DiffusionTransformer):
            assert torch.equal(predict(x, time, prepared, mask), net(x, time, condition, mask))


@pytest.mark.parametrize("network", [DiffusionTransformer, EmbeddingTransformer])
def test_full_size_runs_without_reading_a_value(network: type[FlowNetwork]) -> None:
    # nothing can be read on the meta device: a host synchronisation would raise
    with torch.device("meta"):
        net = network()
        vector = torch.zeros(2, net.vector_dim) if net.vector_dim else None
        condition = Condition(torch.zeros(2, 130, net.condition_dim), torch.ones(2, 130, dtype=torch.bool), vector)
        x = torch.zeros(2, *net.shape)
        mask = torch.ones(2, net.shape[1], dtype=torch.bool) if len(net.shape) == 2 else None
        assert net(x, torch.zeros(2), condition, mask).shape == x.shape


@both
def test_a_recipe_builds_the_same_network(build: Build) -> None:
    net = build()
    recipe = json.loads(json.dumps(net.config))
    assert recipe["class_path"] == f"{type(net).__module__}.{type(net).__name__}"
    again = type(net)(**recipe["init_args"])
    again.load_state_dict(net.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(again(*inputs(net)), net(*inputs(net)))


@both
def test_a_condition_that_does_not_fit_is_named(build: Build) -> None:
    net = build()
    condition = inputs(net)[2]
    width = net.condition_dim
    with pytest.raises(ValueError, match=rf"expected condition tokens \[batch, tokens, {width}\], got \(3, 6, 5\)"):
        net.prepare(replace(condition, tokens=torch.zeros(3, 6, 5)))
    with pytest.raises(ValueError, match=f"expected a global vector of {net.vector_dim} numbers, got 7"):
        net.prepare(replace(condition, vector=torch.zeros(3, 7)))


@both
def test_learns_by_heart(build: Build) -> None:
    torch.manual_seed(0)
    net = type(build())(**build().config["init_args"])
    x, time, condition = inputs(net)
    target = torch.randn_like(x)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = F.mse_loss(net(x, time, condition), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(float(target.square().mean()))
    assert losses[-1] < 0.5 * losses[0]


@both
def test_no_convolution_meets_the_compiler(build: Build) -> None:
    """torch 2.13 compiles a convolution after checkpointed blocks to something else; the slow test below saw it."""
    assert not any(isinstance(module, torch.nn.Conv1d) for module in build().modules())


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("MUSEGEN_FULL_SIZE") != "1", reason="compiles for minutes: set MUSEGEN_FULL_SIZE=1")
@both
def test_compiled_checkpointing_trains_the_same(build: Build) -> None:
    torch.compiler.reset()
    eager, compiled = build(depth=1), build(depth=1, gradient_checkpointing=True)
    given = inputs(eager)
    outputs = eager(*given), torch.compile(compiled)(*given)
    for output in outputs:
        output.square().mean().backward()
    torch.testing.assert_close(*outputs, atol=1e-4, rtol=0)
    for (name, expected), got in zip(eager.named_parameters(), compiled.parameters(), strict=True):
        if expected.requires_grad:
            assert expected.grad is not None
            torch.testing.assert_close(got.grad, expected.grad, atol=1e-4, rtol=1e-3, msg=name)
