"""MuQ-MuLan: one space of music and text."""

from __future__ import annotations

import importlib.util
import random
import sys
import types
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from musegen.conditioning.base import Embedder
from musegen.conditioning.frozen import Frozen
from musegen.torchaudio_guard import import_torchaudio


class MuQMuLan(Frozen, Embedder):
    """MuQ-MuLan's vectors of 10 s windows of music at 24 kHz, and of captions in English and Chinese.

    Windows and captions go through the network one at a time, in float32: a caption's vector would depend on the
    longest one of its batch, because the network's mean over tokens counts padding. Its weights may not be used
    commercially, nor what is trained on its vectors.

    Source: "MuQ: Self-Supervised Music Representation Learning with Mel Residual Vector Quantization", 2025,
    https://arxiv.org/abs/2501.01108; weights https://huggingface.co/OpenMuQ/MuQ-MuLan-large.

    Args:
        model: a local folder, or a name on the Hugging Face hub.
    """

    dim = 512
    sample_rate = 24000
    window_seconds = 10.0
    licence = "CC-BY-NC-4.0"

    def __init__(self, model: str = "OpenMuQ/MuQ-MuLan-large") -> None:
        super().__init__()
        self.model = model
        self.revision = f"{model} (muq 0.1.0)"

    @torch.no_grad()
    def embed_audio(self, waveform: Tensor) -> Tensor:
        """Embed windows of mono audio, ``[batch, samples]`` → unit vectors ``[batch, 512]``, float32."""
        network, _ = self._network()
        windows = waveform.to(self._place.device, torch.float32)
        with torch.autocast(windows.device.type, enabled=False):
            vectors = [network.get_audio_latents(window.unsqueeze(0)) for window in windows]
        return normalize(torch.cat(vectors), dim=1)

    @torch.no_grad()
    def embed_text(self, captions: Sequence[str]) -> Tensor:
        """Embed captions → unit vectors ``[batch, 512]``, float32; what is too long is cut, with a warning."""
        network, (tokenizer, limit) = self._network()
        vectors = []
        with torch.autocast(self._place.device.type, enabled=False):
            for caption in captions:
                length = len(tokenizer(caption)["input_ids"])
                if length > limit:
                    warnings.warn(f"a caption of {length} tokens is cut to {limit}: {caption[:60]!r} …", stacklevel=2)
                vectors.append(network.get_text_latents(raw_texts=[caption]))
        return normalize(torch.cat(vectors), dim=1)

    def _load(self) -> tuple[nn.Module, Any]:
        package = _import_muq()
        chance = random.getstate()  # muq seeds Python's generator
        try:
            with torch.random.fork_rng(devices=[]), redirect_stdout(sys.stderr):
                whole = _checked(package.MuQMuLan).from_pretrained(self.model)
                text = whole.mulan.text
                from transformers import AutoTokenizer

                tokenizer = AutoTokenizer.from_pretrained(text.model_name)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"MuQMuLan: expected a folder or a hub's name of a MuQ-MuLan model, got {self.model!r}: {reason}"
            ) from None
        finally:
            random.setstate(chance)
        found = (whole.config.mulan.dim_latent, whole.sr, whole.clip_secs)
        if found != (self.dim, self.sample_rate, self.window_seconds):
            raise ValueError(f"MuQMuLan: {self.model}: expected 512 numbers of 10 s at 24000 Hz, got {found}")
        config = text.model.config
        limit = config.max_position_embeddings - config.pad_token_id - 1
        text._tokenizer = partial(tokenizer, truncation=True, max_length=limit)
        _gather_states(whole.mulan.audio.model.model.conformer)
        return whole.mulan, (tokenizer, limit)


def _import_muq() -> Any:
    """Import muq, whose chain of imports ends in image augmentations that need torchvision and are never used.

    Raises:
        ValueError: if the package is not installed.
    """
    if importlib.util.find_spec("torchvision") is None and "x_clip.visual_ssl" not in sys.modules:
        unused: Any = types.ModuleType("x_clip.visual_ssl")
        unused.SimSiam = unused.SimCLR = type("Unused", (nn.Module,), {})
        sys.modules["x_clip.visual_ssl"] = unused
    import_torchaudio()
    try:
        return importlib.import_module("muq")
    except ImportError as error:
        raise ValueError(
            f"MuQMuLan: {error}; install what it needs with: pip install --no-deps -r requirements-no-deps.txt"
        ) from None


def _checked(base: Any) -> Any:
    """The class of muq's model, refusing what could run code when it is loaded, and a checkpoint that lacks weights."""

    class Checked(base):
        def __init__(self, config: Mapping[str, Any], hf_hub_cache_dir: str | None = None) -> None:
            # for other names muq would let transformers run code that comes with the weights
            for part, family in (("audio_model", "muq"), ("text_model", "xlm-roberta")):
                name = str(config[part]["name"])
                if family not in name.lower():
                    raise ValueError(f"{part}.name: expected a model of the family {family}, got {name!r}")
            super().__init__(config, hf_hub_cache_dir)

        def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
            result = super().load_state_dict(state_dict, strict=False, assign=assign)
            learned = {name for name, _ in self.named_parameters()}
            missing = sorted(learned & set(result.missing_keys))
            if missing:
                raise ValueError(f"its weights lack {len(missing)} of {len(learned)} tensors, such as {missing[0]}")
            return result

    return Checked


def _gather_states(conformer: Any) -> None:
    """Let the conformer give the states of all its layers, as it did before version 5 of transformers."""
    conformer.config._attn_implementation = "eager"
    run = conformer.forward

    def forward(states: Tensor, attention_mask: Tensor | None = None, output_hidden_states: bool = True) -> dict:
        before: list[Tensor] = []
        hooks = [
            layer.register_forward_pre_hook(lambda _, inputs: before.append(inputs[0])) for layer in conformer.layers
        ]
        try:
            last = run(states, attention_mask)["last_hidden_state"]
        finally:
            for hook in hooks:
                hook.remove()
        return {"hidden_states": (*before, last), "last_hidden_state": last}

    conformer.forward = forward
