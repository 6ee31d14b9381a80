"""Which device computes, in which precision."""

from __future__ import annotations

import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device of a name: ``auto`` is a CUDA GPU where there is one, else the CPU.

    Raises:
        ValueError: for an unknown name, or a device that this machine has not.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device: expected auto, cpu, cuda, cuda:1 …, got {device!r}") from None
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"device: {chosen} was asked for, but torch {torch.__version__} sees no CUDA GPU here")
        if (chosen.index or 0) >= torch.cuda.device_count():
            raise ValueError(f"device: {chosen} was asked for, but there are {torch.cuda.device_count()} GPUs")
    elif chosen.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError("device: mps was asked for, but torch sees no Apple GPU here")
    elif chosen.type != "cpu":
        raise ValueError(f"device: expected auto, cpu, cuda, cuda:1 …, got {device!r}")
    return chosen


def choose_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The precision of a name: by default bfloat16 on a CUDA GPU, float32 elsewhere.

    Raises:
        ValueError: for an unknown name.
    """
    if dtype is None:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if isinstance(dtype, torch.dtype):
        dtype = str(dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, got {dtype!r}")
    return DTYPES[dtype]
