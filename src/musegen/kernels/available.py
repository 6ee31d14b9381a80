"""Whether Triton can compile for a device."""

from __future__ import annotations

import functools
import importlib.util
import os

import torch


@functools.cache
def why_not(device: torch.device) -> str | None:
    """Why our own kernels cannot run on a device; None where they can.

    With ``TRITON_INTERPRET=1`` Triton runs them on the CPU, number by number: for tests.
    """
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return None
    if device.type != "cuda":
        return f"triton does not compile for {device.type}"
    if torch.version.hip is not None:
        return "they were never run on ROCm"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return f"{torch.cuda.get_device_name(device)} has no bfloat16 products"
    return None
