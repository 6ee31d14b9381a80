"""Others' networks with our weights, behind our interface, so that the same loop runs and compares them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from musegen.interop.diffusers_names import autoencoder_name, transformer_names
from musegen.models.base import Condition, FlowNetwork
from musegen.models.oobleck import OobleckAutoencoder
from musegen.torchaudio_guard import import_torchaudio


class DiffusersTransformer(FlowNetwork):
    """The ``StableAudioDiTModel`` of diffusers; `diffusers_transformer` makes one."""

    published: Any
    rotary: Any = None

    def prepare(self, condition: Condition) -> Condition:
        """Nothing is computed beforehand but the rotary positions, as its pipeline does."""
        from diffusers.models.embeddings import get_1d_rotary_pos_embed

        width = self.published.config.attention_head_dim // 2
        device = condition.tokens.device
        rotary: Any = get_1d_rotary_pos_embed(width, self.shape[-1] + 1, use_real=True, repeat_interleave_real=False)
        self.rotary = tuple(part.to(device) for part in rotary)
        return condition

    def predict(self, x: Tensor, time: Tensor, prepared: Condition, mask: Tensor | None = None) -> Tensor:
        """Its prediction, turned towards data."""
        assert prepared.vector is not None
        output = self.published(
            x,
            (1 - time).to(x.dtype),
            encoder_hidden_states=prepared.tokens,
            global_hidden_states=prepared.vector[:, None],
            rotary_embedding=self.rotary,
            return_dict=False,
        )
        return -output[0]

    def null(self, condition: Condition) -> Condition:
        """Zeros for tokens."""
        return Condition(torch.zeros_like(condition.tokens), condition.mask, condition.vector)


def diffusers_transformer(network: Any, compiled: bool = False) -> DiffusersTransformer:
    """The transformer of diffusers with the weights of our `DiffusionTransformer`, perhaps under ``torch.compile``."""
    import_torchaudio()
    from diffusers import StableAudioDiTModel  # pyright: ignore[reportPrivateImportUsage]

    ours = network.config["init_args"]
    head_dim = ours["dim"] // ours["heads"]
    parameter = next(network.parameters())
    with torch.device(parameter.device):
        published = StableAudioDiTModel(
            sample_size=ours["frames"],
            in_channels=ours["channels"],
            out_channels=ours["channels"],
            num_layers=ours["depth"],
            attention_head_dim=head_dim,
            num_attention_heads=ours["heads"],
            num_key_value_attention_heads=ours["kv_heads"] or ours["condition_dim"] // head_dim,
            cross_attention_dim=ours["condition_dim"],
            cross_attention_input_dim=ours["condition_dim"],
            global_states_input_dim=ours["vector_dim"],
        )
    published = published.to(parameter.dtype).eval().requires_grad_(False)
    state: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        theirs = transformer_names(name)
        pieces = tensor.chunk(len(theirs)) if theirs else []
        for one, piece in zip(theirs, pieces, strict=True):
            state[one] = piece.reshape(-1) if name.endswith("timestep_features.weight") else piece
    published.load_state_dict(state, strict=True)
    if compiled:
        published.compile()
    peer = DiffusersTransformer()
    peer.published = published
    peer.shape, peer.condition_dim, peer.vector_dim = network.shape, network.condition_dim, network.vector_dim
    return peer


def diffusers_autoencoder(codec: OobleckAutoencoder) -> Any:
    """The ``AutoencoderOobleck`` of diffusers with the weights of ours."""
    import_torchaudio()
    from diffusers import AutoencoderOobleck  # pyright: ignore[reportPrivateImportUsage]

    ours = codec.config["init_args"]
    parameter = next(codec.parameters())
    with torch.device(parameter.device):
        published: Any = AutoencoderOobleck(
            encoder_hidden_size=ours["channels"],
            downsampling_ratios=list(ours["strides"]),
            channel_multiples=list(ours["multiples"]),
            decoder_channels=ours["channels"],
            decoder_input_channels=ours["latent_channels"],
            audio_channels=ours["audio_channels"],
            sampling_rate=ours["sample_rate"],
        )
    state = {}
    for name, tensor in codec.state_dict().items():
        flat = name.endswith((".alpha", ".beta"))
        state[autoencoder_name(name, len(ours["strides"]))] = tensor[None, :, None] if flat else tensor
    published.load_state_dict(state, strict=True)
    return published.to(parameter.dtype).eval().requires_grad_(False)
