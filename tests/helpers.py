"""What several tests use."""

from __future__ import annotations

import importlib
import os

import pytest
import torch
from torch import nn


def randomise(module: nn.Module, seed: int = 0, scale: float = 1.0) -> nn.Module:
    """Give every parameter random values, zero-initialised ones too: a network that outputs 0 hides any bug.

    Matrices keep the variance of what passes through; vectors scatter around 1 where they were ones, else around 0.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(module.named_parameters(), key=lambda item: item[0]):
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                fan_in = max(1, parameter[0].numel())
                parameter.copy_(scale * noise / fan_in**0.5)
            else:
                parameter.copy_((1.0 if bool((parameter == 1).all()) else 0.0) + 0.1 * scale * noise)
    return module


def require(package: str) -> object:
    """Import an optional package, or skip; where MUSEGEN_REQUIRE_ALL is set, a missing one is a failure."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        if os.environ.get("MUSEGEN_REQUIRE_ALL") == "1":
            pytest.fail(f"{package} is missing and MUSEGEN_REQUIRE_ALL is set: {error}")
        pytest.skip(f"{package} is not installed")
