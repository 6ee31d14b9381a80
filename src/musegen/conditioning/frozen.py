"""Pretrained weights that a model uses and never learns."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Self

import torch
from torch import Tensor, nn

from musegen.torchaudio_guard import import_torchaudio


class Frozen(nn.Module, ABC):
    """A module around a pretrained network that is loaded when it is first used, so that building one costs nothing.

    The network is no submodule: its weights are in no checkpoint, no optimizer sees them, and they stay in float32 when
    the model is cast. It follows the module to its device. Copies share it.
    """

    foreign: bool = True
    """Whether another library loads it, which then is kept from talking."""

    _place: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._loaded: list[Any] = []
        self.register_buffer("_place", torch.empty(0, device="cpu"), persistent=False)

    @abstractmethod
    def _load(self) -> tuple[nn.Module, Any]:
        """Load the network, and what is needed beside it.

        Raises:
            ValueError: in one line, if it is not to be had.
        """

    def _network(self) -> tuple[Any, Any]:
        """The network on its device, and what `_load` gave beside it."""
        if not self._loaded:
            if self.foreign:
                import_torchaudio()  # transformers imports torchaudio if there is one
            with quiet() if self.foreign else nullcontext():
                network, rest = self._load()
            place = "cpu" if self._place.device.type == "meta" else self._place.device
            self._loaded[:] = network.eval().requires_grad_(False).float().to(place), rest
        return self._loaded[0], self._loaded[1]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        if self._loaded and self._place.device.type != "meta":
            self._loaded[0].to(self._place.device)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The frozen weights are shared, not copied: an averaged copy of a model needs no second one."""
        return self


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what transformers says while it loads off the terminal: progress bars, torchao's talk with torch."""
    levels = {talk: talk.level for talk in map(logging.getLogger, ("torch.utils._pytree", "torchao"))}
    for talk in levels:
        talk.setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        for talk, level in levels.items():
            talk.setLevel(level)
        if shown:
            transformers_logging.enable_progress_bar()
