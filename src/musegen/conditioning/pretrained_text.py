"""What frozen text encoders of the transformers library share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from musegen.conditioning.base import TextEncoder
from musegen.conditioning.frozen import Frozen


class PretrainedText(Frozen, TextEncoder):
    """A text encoder of the transformers library, loaded when it is first used, together with its tokenizer.

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

    @torch.no_grad()
    def encode_together(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode captions in one go, for training: quicker than `encode`, but a caption's last bits depend on the rest.

        Returns:
            As of `encode`, with as many tokens as the longest of these captions has.
        """
        model, tokenizer = self._network()
        device = next(model.parameters()).device
        tokens = tokenizer(
            list(captions), truncation=True, max_length=self.max_tokens, padding=True, return_tensors="pt"
        ).to(device)
        with torch.autocast(device.type, enabled=False):
            states = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].bool()
        return states * mask.unsqueeze(2), mask
