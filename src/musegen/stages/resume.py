"""Look at a checkpoint before a run goes on from it, while nothing is built, loaded or written yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import lightning.pytorch as L
from torch import Tensor

from musegen.checkpoints import check_tensors
from musegen.interop.torch_files import is_torch_file, read_torch_file
from musegen.tensor_files import describe_file, describe_names

Shapes = dict[str, list[int]]


def read_shapes(path: Path) -> Shapes:
    """Names and shapes of a Lightning checkpoint's weights; the weights themselves stay on the disk.

    Raises:
        OSError: if there is no such file.
        ValueError: in one line, saying what the file is instead.
    """
    if not path.is_file():
        raise FileNotFoundError(2, "expected a checkpoint of a training run, got no file", str(path))
    if not is_torch_file(path):
        raise ValueError(f"{path}: expected a checkpoint of a training run, got {describe_file(path)}")
    checkpoint = read_torch_file(path)
    state = checkpoint.get("state_dict") if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or "pytorch-lightning_version" not in checkpoint:
        names = [name for name in state or checkpoint if isinstance(name, str)] if checkpoint else []
        raise ValueError(f"{path}: expected a checkpoint of a training run, got weights alone: {describe_names(names)}")
    return {str(name): list(tensor.shape) for name, tensor in state.items() if isinstance(tensor, Tensor)}


def check_fits(stage: L.LightningModule, shapes: Shapes, path: Path) -> None:
    """Compare a checkpoint with the model that it is to be loaded into.

    Raises:
        ValueError: in one line, if it is of another model.
    """
    check_tensors(stage.state_dict(), shapes, path)
