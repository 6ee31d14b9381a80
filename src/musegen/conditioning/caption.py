"""Telling a model a caption."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from musegen.conditioning.base import Conditioner, TextEncoder


class CaptionConditioner(Conditioner):
    """A caption as the states of a frozen text encoder, zero where there is no token.

    The encoder is not a submodule: its weights are in no checkpoint, and no optimizer sees them. It does not run where
    the batch brings its states along (``text_states`` and ``text_mask``, from shards that were cached with them).
    Otherwise states of captions that were seen before are kept, because training meets each caption once an epoch.

    Args:
        encoder: makes the states.
        cache_size: how many captions' states are kept, on the CPU and in float16, as shards keep them: of a state that
            is 1 part in 2048 at most, the same one whenever the caption is met. 0 keeps none, and passes float32 on.
        reads: key of the batch.
    """

    _place: Tensor

    def __init__(self, encoder: TextEncoder, cache_size: int = 0, reads: str = "caption") -> None:
        super().__init__()
        self._encoder = [encoder]  # in a list, so that it is no submodule
        self.cache_size, self.reads, self.dim = cache_size, reads, encoder.dim
        self._cache: OrderedDict[str, Tensor] = OrderedDict()
        self.register_buffer("_place", torch.empty(0, device="cpu"), persistent=False)

    @property
    def encoder(self) -> TextEncoder:
        """The text encoder."""
        return self._encoder[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Follow the model to its device; the encoder keeps float32."""
        super()._apply(fn, recurse)
        if self._place.device.type != "meta":
            self.encoder.to(self._place.device)
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """See `Conditioner.keys`."""
        return (self.reads, "text_states", "text_mask") if self.reads == "caption" else (self.reads,)

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """``batch[reads]``, a list of captions → states ``[batch, tokens, dim]`` and mask ``[batch, tokens]``.

        Raises:
            ValueError: if the batch has no such key, or brings states that this encoder cannot have made; if states are
                to be kept that float16 cannot hold.
        """
        if self.reads == "caption" and "text_states" in batch:
            return self._brought(batch["text_states"], batch["text_mask"])
        captions: Sequence[str] = self.read(batch)
        with torch.no_grad():
            if not self.cache_size:
                return self.encoder.encode(captions)
            return self._remembered(captions)

    def tensors(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The states of the batch's captions, as if the batch had brought them along.

        Raises:
            ValueError: as of `forward`, and where it reads another key, whose states no batch brings along.
        """
        if self.reads != "caption":
            raise ValueError(
                f"CaptionConditioner: expected to read 'caption', whose states can be kept, got {self.reads!r}"
            )
        states, mask = self(batch)
        return {"text_states": states, "text_mask": mask}

    def _brought(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States of a batch, as wide as the encoder's own, so that nothing depends on the batch's longest caption."""
        room = self.encoder.max_tokens - states.shape[1]
        if states.shape[2] != self.dim or room < 0:
            expected = f"at most {self.encoder.max_tokens} tokens of width {self.dim}"
            raise ValueError(
                f"text_states: expected {type(self.encoder).__name__}'s, {expected}, got {list(states.shape[1:])}"
            )
        device = self._place.device
        return pad(states.to(device).float(), (0, 0, 0, room)), pad(mask.to(device), (0, room))

    def _remembered(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        new = [caption for caption in dict.fromkeys(captions) if caption not in self._cache]
        if new:
            states, mask = self.encoder.encode(new)
            lengths = mask.sum(1).tolist()
            halves = states.half().cpu()
            if not halves.isfinite().all():
                raise ValueError(
                    f"cache_size: {type(self.encoder).__name__}'s states are not finite in float16; 0 keeps none"
                )
            for caption, state, length in zip(new, halves, lengths, strict=True):
                self._cache[caption] = state[: int(length)].clone()
        device = self._place.device
        states = torch.zeros(len(captions), self.encoder.max_tokens, self.dim)
        mask = torch.zeros(len(captions), self.encoder.max_tokens, dtype=torch.bool)
        for index, caption in enumerate(captions):
            state = self._cache[caption]
            self._cache.move_to_end(caption)
            states[index, : len(state)] = state.float()
            mask[index, : len(state)] = True
        while len(self._cache) > self.cache_size:
            self._cache.popitem(last=False)
        return states.to(device), mask.to(device)
