"""What frozen text encoders of the transformers library share."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from musegen.conditioning.base import TextEncoder
from musegen.torchaudio_guard import import_torchaudio


class PretrainedText(TextEncoder):
    """A text encoder of the transformers library, loaded when it is first used.

    Captions are encoded one at a time and without padding: a caption's states are then the same bits whatever else is
    in the batch. The encoder computes in float32, on the device that its module was moved to.

    Args:
        max_tokens: longer captions are cut here, with a warning.
    """

    _place: Tensor

    def __init__(self, max_tokens: int) -> None:
        super().__init__()
        if max_tokens < 2:
            raise ValueError(f"max_tokens: expected 2 or more, got {max_tokens}")
        self.max_tokens = max_tokens
        self._loaded: list[Any] = []  # tokenizer and model: in a list, so that the model is no submodule
        self.register_buffer("_place", torch.empty(0, device="cpu"), persistent=False)

    @abstractmethod
    def _load(self) -> tuple[Any, Any]:
        """Load the tokenizer and the model, without reaching for a hub where a local copy is meant.

        Raises:
            ValueError: in one line, if they are not to be had.
        """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        if self._loaded and self._place.device.type != "meta":
            self._loaded[1].to(self._place.device)
        return self

    def _tools(self) -> tuple[Any, Any]:
        if not self._loaded:
            import_torchaudio()  # transformers imports torchaudio if there is one
            tokenizer, model = self._load()
            place = "cpu" if self._place.device.type == "meta" else self._place.device
            self._loaded[:] = tokenizer, model.eval().requires_grad_(False).float().to(place)
        return self._loaded[0], self._loaded[1]

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See `TextEncoder.encode`."""
        tokenizer, model = self._tools()
        device = next(model.parameters()).device
        states = torch.zeros(len(captions), self.max_tokens, self.dim, device=device)
        mask = torch.zeros(len(captions), self.max_tokens, dtype=torch.bool, device=device)
        with torch.autocast(device.type, enabled=False):
            for index, caption in enumerate(captions):
                ids = tokenizer(caption, truncation=False, padding=False)["input_ids"]
                if len(ids) > self.max_tokens:
                    warnings.warn(
                        f"a caption of {len(ids)} tokens is cut to {self.max_tokens}: {caption[:60]!r} …", stacklevel=2
                    )
                    ids = tokenizer(caption, truncation=True, max_length=self.max_tokens, padding=False)["input_ids"]
                hidden = model(input_ids=torch.tensor([ids], device=device)).last_hidden_state[0]
                states[index, : len(ids)] = hidden
                mask[index, : len(ids)] = True
        return states, mask

    def __deepcopy__(self, memo: dict[int, Any]) -> PretrainedText:
        """The frozen weights are shared, not copied: an averaged copy of a model needs no second encoder."""
        return self
