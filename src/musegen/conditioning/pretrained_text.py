"""What frozen text encoders share, most of which the transformers library runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from musegen.conditioning.base import TextEncoder
from musegen.conditioning.frozen import Frozen


class PretrainedText(Frozen, TextEncoder):
    """A pretrained text encoder, loaded when it is first used, together with its tokenizer.

    A subclass that does without the transformers library says how tokens and states are made.

    Captions are encoded one at a time and without padding: a caption's states are then the same bits whatever else is
    in the batch. The encoder computes in float32, on the device that its module was moved to.

    Args:
        max_tokens: longer captions are cut here, with a warning.
    """

    def __init__(self, max_tokens: int) -> None:
        super().__init__()
        if max_tokens < 2:
            raise ValueError(f"max_tokens: expected 2 or more, got {max_tokens}")
        self.max_tokens = max_tokens

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See `TextEncoder.encode`."""
        model, tokenizer = self._network()
        device = next(model.parameters()).device
        states = torch.zeros(len(captions), self.max_tokens, self.dim, device=device)
        mask = torch.zeros(len(captions), self.max_tokens, dtype=torch.bool, device=device)
        with torch.autocast(device.type, enabled=False):
            for index, caption in enumerate(captions):
                ids = self._cut(tokenizer, caption)
                hidden = self._states(model, torch.tensor([ids], device=device))[0]
                states[index, : len(ids)] = hidden
                mask[index, : len(ids)] = True
        return states, mask

    @torch.no_grad()
    def encode_together(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode captions in one go, for training: quicker than `encode`, but a caption's last bits depend on the rest.

        Returns:
            As of `encode`, with as many tokens as the longest of these captions has.
        """
        model, tokenizer = self._network()
        device = next(model.parameters()).device
        rows = [self._cut(tokenizer, caption) for caption in captions]
        ids = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.int64)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = True
        mask = mask.to(device)
        with torch.autocast(device.type, enabled=False):
            states = self._states(model, ids.to(device), mask)
        return states * mask.unsqueeze(2), mask

    def _cut(self, tokenizer: Any, caption: str) -> list[int]:
        """A caption's tokens, begin and end included; where there are too many, those taken, with a warning."""
        ids = self._ids(tokenizer, caption)
        if len(ids) <= self.max_tokens:
            return ids
        warnings.warn(f"a caption of {len(ids)} tokens is cut to {self.max_tokens}: {caption[:60]!r} …", stacklevel=3)
        return self._ids(tokenizer, caption, cut=True)

    def _ids(self, tokenizer: Any, caption: str, cut: bool = False) -> list[int]:
        """A caption's tokens, begin and end included; at most as many as are taken where it is to be cut."""
        longest = {"truncation": True, "max_length": self.max_tokens} if cut else {"truncation": False}
        return tokenizer(caption, padding=False, **longest)["input_ids"]

    def _states(self, model: Any, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """States ``[batch, tokens, dim]`` of tokens ``[batch, tokens]``, of which the mask says which are real."""
        return model(input_ids=ids, attention_mask=mask if mask is None else mask.long()).last_hidden_state
