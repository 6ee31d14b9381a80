"""Matrices on disk as whole numbers of 8 bits and one scale for each row: half of what float16 takes.

A file of them holds ``NAME`` as int8 and ``NAME.int8_scale`` as float32; read, they are one float32 tensor again. This
is a matter of storage alone: nothing is computed in whole numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from musegen.recipes import shorten

SCALE = ".int8_scale"
LEAST = 4096
"""Numbers of the smallest matrix that is worth it."""
LARGEST = 127


def narrow(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Round each row of a matrix, or of what follows its first axis, to 255 steps around zero.

    Args:
        tensor: floating point, ``[rows, ...]``.

    Returns:
        The numbers of steps, int8 of the same shape, and the size of a step in each row, float32 ``[rows]``.
    """
    rows = tensor.detach().float().flatten(1)
    scale = rows.abs().amax(1) / LARGEST
    steps = (rows / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round().clamp(-LARGEST, LARGEST)
    return steps.to(torch.int8).view_as(tensor), scale


def widen(steps: Tensor, scale: Tensor) -> Tensor:
    """The inverse of `narrow`, but for the rounding; float32."""
    return steps * scale.view(-1, *[1] * (steps.ndim - 1))


def narrow_matrices(state: Mapping[str, Tensor], among: Collection[str]) -> dict[str, Tensor]:
    """Replace the larger matrices of a state dict by their steps and scales.

    Args:
        state: tensors by name.
        among: names of those that may be rounded.
    """
    narrowed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name in among and tensor.is_floating_point() and tensor.ndim > 1 and tensor.numel() >= LEAST:
            narrowed[name], narrowed[name + SCALE] = narrow(tensor)
        else:
            narrowed[name] = tensor
    return narrowed


class WideFile:
    """An open safetensors file whose int8 matrices look like float32 ones.

    Args:
        file: what ``safetensors.safe_open`` gives.
        path: of it, for messages.
    """

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path = file, path
        there = sorted(file.keys())
        self._scaled = {name for name in there if name + SCALE in there}
        self.names = [name for name in there if name.removesuffix(SCALE) not in self._scaled - {name}]

    def shapes(self) -> dict[str, list[int]]:
        """The shapes of all tensors, by name; reads none."""
        return {name: self._file.get_slice(name).get_shape() for name in self.names}

    def tensor(self, name: str) -> Tensor:
        """A tensor, widened where it has a scale; else mapped from the file.

        Raises:
            ValueError: if its scale is not that of its rows.
        """
        tensor: Tensor = self._file.get_tensor(name)
        if name not in self._scaled:
            return tensor
        scale: Tensor = self._file.get_tensor(name + SCALE)
        if tensor.dtype != torch.int8 or tensor.ndim < 2 or scale.shape != tensor.shape[:1]:
            got = f"{shorten(list(scale.shape))} for {tensor.dtype} {shorten(list(tensor.shape))}"
            raise ValueError(
                f"{self._path}: {name + SCALE}: expected a number for each row of an int8 matrix, got {got}"
            )
        return widen(tensor, scale.float())
