"""T5: the text encoder of Stable Audio Open."""

from __future__ import annotations

from typing import Any

from musegen.conditioning.pretrained_text import PretrainedText


class T5(PretrainedText):
    """Token states of a T5 encoder; T5-base with 128 tokens is what Stable Audio Open was trained with.

    Source: "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2019,
    https://arxiv.org/abs/1910.10683.

    Args:
        model: a local folder, or a name on the Hugging Face hub.
        dim: width of its states: 512 of t5-small, 768 of t5-base, 1024 of t5-large.
        max_tokens: longer captions are cut here, with a warning.
    """

    licence = "Apache-2.0"

    def __init__(self, model: str = "google-t5/t5-base", dim: int = 768, max_tokens: int = 128) -> None:
        super().__init__(max_tokens)
        self.model, self.dim, self.revision = model, dim, model

    def _load(self) -> tuple[Any, Any]:
        from transformers import AutoTokenizer, T5EncoderModel

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.model)
            encoder = T5EncoderModel.from_pretrained(self.model)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"T5: expected a folder or a hub's name of a T5 model, got {self.model!r}: {reason}"
            ) from None
        if encoder.config.d_model != self.dim:
            raise ValueError(
                f"T5: {self.model} has states of {encoder.config.d_model} numbers, expected dim {self.dim}"
            )
        return encoder, tokenizer
