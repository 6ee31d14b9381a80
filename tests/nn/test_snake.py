from __future__ import annotations

import torch

from musegen.nn.snake import SnakeBeta


def plain(x: torch.Tensor, alpha: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    alpha, beta = alpha.exp()[:, None], beta.exp()[:, None]
    return x + (1 / (beta + 1e-9)) * torch.sin(x * alpha) ** 2


def snake(channels: int, dtype: torch.dtype = torch.float32) -> SnakeBeta:
    module = SnakeBeta(channels).to(dtype)
    with torch.no_grad():
        module.alpha.copy_(torch.linspace(-2, 2, channels))
        module.beta.copy_(torch.linspace(1, -3, channels))
    return module


def test_it_is_the_plain_formula_bit_for_bit():
    module, x = snake(6), torch.randn(2, 6, 100)
    assert torch.equal(module(x), plain(x, module.alpha, module.beta))


def test_a_new_one_is_x_plus_the_squared_sine():
    x = torch.randn(1, 3, 50)
    torch.testing.assert_close(SnakeBeta(3)(x), x + x.sin().square())


def test_gradients_are_those_of_numerical_differentiation():
    module = snake(3, torch.double)
    x = torch.randn(2, 3, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, a, b: type(module).forward(_with(module, a, b), x), _inputs(x, module))


def _inputs(x: torch.Tensor, module: SnakeBeta) -> tuple[torch.Tensor, ...]:
    return x, module.alpha.detach().requires_grad_(), module.beta.detach().requires_grad_()


def _with(module: SnakeBeta, alpha: torch.Tensor, beta: torch.Tensor) -> SnakeBeta:
    changed = SnakeBeta(len(alpha))
    del changed.alpha, changed.beta
    changed.alpha, changed.beta = alpha, beta  # type: ignore[assignment]
    return changed


def test_half_precision_computes_in_float32():
    module, x = snake(6), torch.randn(2, 6, 100).bfloat16()
    assert module(x).dtype == torch.bfloat16
    assert torch.equal(module(x), plain(x.float(), module.alpha, module.beta).bfloat16())


def test_the_input_is_left_as_it_was():
    x = torch.randn(1, 6, 20)
    copy = x.clone()
    snake(6)(x)
    assert torch.equal(x, copy)
