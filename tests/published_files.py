"""Folders as stable-audio-tools and diffusers write them, at a reduced width, with every parameter random."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from helpers import randomise, require
from musegen.interop import stable_audio_tools_config
from published_transformers import NARROW_MODULATED, NARROW_OPEN, NARROW_SMALL, Size, diffusers_transformer

FRAMES = 24
AUTOENCODER: dict[str, Any] = {"channels": 8, "c_mults": [1, 2], "strides": [2, 4]}
CAPTIONS = ["a sad piano melody", "piano"]

SAO: dict[str, Any] = {  # what is known of Stable Audio Open 1.0's model_config.json
    "model_type": "diffusion_cond",
    "sample_size": 2097152,
    "sample_rate": 44100,
    "audio_channels": 2,
    "model": {
        "pretransform": {
            "type": "autoencoder",
            "iterate_batch": True,
            "config": {
                "encoder": {
                    "type": "oobleck",
                    "requires_grad": False,
                    "config": {
                        "in_channels": 2,
                        "channels": 128,
                        "c_mults": [1, 2, 4, 8, 16],
                        "strides": [2, 4, 4, 8, 8],
                        "latent_dim": 128,
                        "use_snake": True,
                    },
                },
                "decoder": {
                    "type": "oobleck",
                    "config": {
                        "out_channels": 2,
                        "channels": 128,
                        "c_mults": [1, 2, 4, 8, 16],
                        "strides": [2, 4, 4, 8, 8],
                        "latent_dim": 64,
                        "use_snake": True,
                        "final_tanh": False,
                    },
                },
                "bottleneck": {"type": "vae"},
                "latent_dim": 64,
                "downsampling_ratio": 2048,
                "io_channels": 2,
            },
        },
        "conditioning": {
            "configs": [
                {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-base", "max_length": 128}},
                {"id": "seconds_start", "type": "number", "config": {"min_val": 0, "max_val": 512}},
                {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 512}},
            ],
            "cond_dim": 768,
        },
        "diffusion": {
            "cross_attention_cond_ids": ["prompt", "seconds_start", "seconds_total"],
            "global_cond_ids": ["seconds_start", "seconds_total"],
            "type": "dit",
            "config": {
                "io_channels": 64,
                "embed_dim": 1536,
                "depth": 24,
                "num_heads": 24,
                "cond_token_dim": 768,
                "global_cond_dim": 1536,
                "project_cond_tokens": False,
                "transformer_type": "continuous_transformer",
            },
        },
        "io_channels": 64,
    },
    "training": {"learning_rate": 5e-5},
}


def tiny_t5(folder: Path, dim: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A random T5 with a small vocabulary, under the name of T5-small, whose width both sides are told."""
    require("stable_audio_tools")
    from stable_audio_tools.models.conditioners import T5Conditioner
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    monkeypatch.setitem(T5Conditioner.T5_MODEL_DIMS, "t5-small", dim)
    monkeypatch.setitem(stable_audio_tools_config.T5_DIMS, "t5-small", dim)
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "sad": 4, "piano": 5, "melody": 6}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder)
    encoder = T5EncoderModel(T5Config(vocab_size=8, d_model=dim, d_kv=8, d_ff=64, num_layers=1, num_heads=4))
    randomise(encoder)
    encoder.save_pretrained(folder)
    return folder


def narrow_config(variant: Size, t5: Path | None, objective: str | None = None, scale: float = 1.0) -> dict[str, Any]:
    """A ``model_config.json`` at a reduced width; without a T5, it is told seconds only."""
    config = json.loads(json.dumps(SAO))
    latents, dim = variant.ours["channels"], variant.ours["condition_dim"]
    model = config["model"]
    autoencoder = model["pretransform"]["config"]
    autoencoder["encoder"]["config"] |= {**AUTOENCODER, "latent_dim": 2 * latents}
    autoencoder["decoder"]["config"] |= {**AUTOENCODER, "latent_dim": latents}
    autoencoder |= {"latent_dim": latents, "downsampling_ratio": 8}
    config["sample_size"] = FRAMES * 8
    model["pretransform"]["scale"] = scale
    model["io_channels"] = latents
    model["conditioning"]["cond_dim"] = dim
    prompt, *numbers = model["conditioning"]["configs"]
    prompt["config"] = {"t5_model_name": "t5-small", "max_length": 10, "model_path": str(t5)}
    diffusion = model["diffusion"]
    diffusion["config"] = {key: value for key, value in variant.stable_audio.items() if value != {}}
    if variant.ours["vector_dim"] == dim // 2 or variant is NARROW_SMALL:  # Small is told the length only
        numbers = numbers[1:]
        diffusion["cross_attention_cond_ids"] = ["prompt", "seconds_total"]
        diffusion["global_cond_ids"] = ["seconds_total"]
        diffusion["config"]["global_cond_dim"] = dim
    else:
        diffusion["config"]["global_cond_dim"] = 2 * dim
    if t5 is None:
        diffusion["cross_attention_cond_ids"].remove("prompt")
    model["conditioning"]["configs"] = numbers if t5 is None else [prompt, *numbers]
    if objective is not None:
        diffusion["diffusion_objective"] = objective
    return config


def stable_audio_model(config: dict[str, Any], seed: int = 0) -> nn.Module:
    """stable-audio-tools' own model of a config, with every parameter random."""
    require("stable_audio_tools")
    from stable_audio_tools.models.factory import create_model_from_config

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = create_model_from_config(json.loads(json.dumps(config)))
    randomise(model, seed)
    tame(model)
    for conditioner in getattr(getattr(model, "conditioner", None), "conditioners", {}).values():
        if "model" in conditioner.__dict__:  # the T5, which it holds in half precision
            from transformers import T5EncoderModel

            path = config["model"]["conditioning"]["configs"][0]["config"]["model_path"]
            conditioner.__dict__["model"] = T5EncoderModel.from_pretrained(path).eval()
    return model.eval()


def tame(model: nn.Module) -> None:
    """Keep the signal near unit size in the autoencoder's residual units."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("layers.3.weight_g", "conv2.weight_g")) and ".layers." in name + ".block.":
                parameter.mul_(0.3)


def save_stable_audio(folder: Path, config: dict[str, Any], model: nn.Module, name: str = "model.safetensors") -> Path:
    """The folder that stable-audio-tools publishes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_config.json").write_text(json.dumps(config))
    if name.endswith(".safetensors"):
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / name)
    else:
        torch.save({"state_dict": model.state_dict()}, folder / name)
    return folder


def diffusers_parts(seed: int = 0) -> dict[str, nn.Module]:
    """The components of a StableAudioPipeline that hold weights of ours."""
    require("diffusers")
    from diffusers import AutoencoderOobleck
    from diffusers.pipelines.stable_audio import StableAudioProjectionModel

    assert NARROW_OPEN.diffusers is not None
    variant = Size({}, {}, {**NARROW_OPEN.diffusers, "global_states_input_dim": 256, "sample_size": FRAMES})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts: dict[str, nn.Module] = {
            "transformer": diffusers_transformer(variant),
            "projection_model": StableAudioProjectionModel(128, 128, 0, 512),
            "vae": AutoencoderOobleck(16, [2, 4], [1, 2], 16, 8, 2, 44100),
        }
    for part in parts.values():
        randomise(part, seed).eval()
    tame(parts["vae"])
    return parts


def save_diffusers(folder: Path, parts: dict[str, nn.Module]) -> Path:
    """The folder that diffusers writes, without text encoder and tokenizer."""
    for name, part in parts.items():
        part.save_pretrained(folder / name)  # type: ignore[operator]
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableAudioPipeline"}))
    return folder


__all__ = ["NARROW_MODULATED", "NARROW_OPEN", "NARROW_SMALL"]
