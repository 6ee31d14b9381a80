"""Two small networks into one space: one for numbers that were heard, one for words; and the file they are kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from musegen.files import write_whole
from musegen.tensor_files import describe_difference, open_tensors

SIZES = ("heard", "said", "read", "dim", "hidden")


class TwoTowers(nn.Module):
    """Unit vectors of what was heard in a clip and of what a caption says.

    Args:
        heard: numbers about a clip.
        said: width of a token's state.
        read: numbers that were read out of a caption beside.
        dim: of the space.
        hidden: width inside.
        drop: share of numbers that are left out in training.
    """

    def __init__(
        self, heard: int, said: int = 384, read: int = 0, dim: int = 128, hidden: int = 96, drop: float = 0.3
    ) -> None:
        super().__init__()
        self.sizes = {"heard": heard, "said": said, "read": read, "dim": dim, "hidden": hidden}
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.zeros(heard))
        self.register_buffer("spread", torch.ones(heard))
        self.music = Head(heard, hidden, dim, drop)
        self.token = nn.Sequential(nn.Linear(said, hidden), nn.GELU())
        self.words = Head(2 * hidden + read, hidden, dim, drop)
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    def embed_heard(self, numbers: Tensor) -> Tensor:
        """``[batch, heard]`` to unit vectors ``[batch, dim]``."""
        return F.normalize(self.music(((numbers - self.centre) / self.spread).clamp(-5, 5)), dim=-1)

    def embed_said(self, states: Tensor, mask: Tensor, read: Tensor) -> Tensor:
        """Captions to unit vectors ``[batch, dim]``.

        Args:
            states: of tokens, ``[batch, tokens, said]``.
            mask: True where a token is real, ``[batch, tokens]``; one at least.
            read: ``[batch, read]``.
        """
        tokens, real = self.token(states), mask.unsqueeze(2)
        mean = (tokens * real).sum(1) / real.sum(1)
        most = tokens.masked_fill(~real, -torch.inf).amax(1)
        return F.normalize(self.words(torch.cat([mean, most, read], 1)), dim=-1)

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied with before they compete: the inverse of the temperature, 100 at most."""
        return self.log_scale.exp().clamp(max=100.0)


class Head(nn.Module):
    """From many numbers to few, and from these a straight map beside one with bends."""

    def __init__(self, width: int, hidden: int, dim: int, drop: float) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.Dropout(drop), nn.Linear(width, hidden))
        self.straight = nn.Linear(hidden, dim)
        self.bent = nn.Sequential(
            nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(drop), nn.Linear(hidden, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, width]`` to ``[batch, dim]``."""
        x = self.narrow(x)
        return self.straight(x) + self.bent(x)


def write_towers(path: Path, towers: TwoTowers, about: Mapping[str, Any]) -> None:
    """Write both networks in float16, and what is known of them, as one safetensors file: whole, or not at all."""
    text = json.dumps({"sizes": towers.sizes, **about}, sort_keys=True)
    state = {name: tensor.detach().half().contiguous() for name, tensor in towers.state_dict().items()}
    write_whole({path: save(state, metadata={"musegen": text})})


def read_towers(path: Path) -> tuple[TwoTowers, dict[str, Any]]:
    """The networks in float32, and what is known of them.

    Raises:
        ValueError: if there is no such file, or it holds no such networks.
    """
    with open_tensors(path) as file:
        about = json.loads((file.metadata() or {}).get("musegen", "{}"))
        state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    sizes = about.get("sizes")
    if not isinstance(sizes, dict) or set(sizes) != set(SIZES):
        raise ValueError(f"{path}: expected towers of music and words by fit_similarity.py, got other tensors")
    with torch.random.fork_rng(devices=[]):
        towers = TwoTowers(**sizes)
    difference = describe_difference(towers.state_dict(), state)
    if difference is not None:
        raise ValueError(f"{path}: {difference}")
    try:
        towers.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())[:300]}") from None
    return towers.eval(), about
