"""What the bits of a clip depend on, written beside it. Same fingerprint, same bits."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from musegen import __version__


def hash_tensor(tensor: Tensor) -> str:
    """SHA-256 of a tensor's type, shape and numbers."""
    stored = tensor.detach().to("cpu").contiguous()
    digest = hashlib.sha256(f"{stored.dtype}{list(stored.shape)}".encode())
    digest.update(stored.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def hash_weights(module: nn.Module) -> str:
    """SHA-256 of everything a checkpoint of a module would hold."""
    state = sorted(module.state_dict().items())
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(hash_tensor, [tensor for _, tensor in state]))
    return hash_data([[name, digest] for (name, _), digest in zip(state, digests, strict=True)])


def hash_data(data: Any) -> str:
    """SHA-256 of JSON-able data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def hash_bytes(content: bytes) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def machine(device: torch.device) -> dict[str, Any]:
    """The part of a fingerprint that is the machine and its settings.

    ``backend`` and ``device`` say what computes, ``threads`` how a CPU splits its sums, ``matmul`` how exactly a GPU
    multiplies float32.
    """
    found: dict[str, Any] = {
        "musegen": __version__,
        "torch": str(torch.__version__),
        "backend": device.type,
        "device": _device_model(device),
        "threads": torch.get_num_threads(),
        "matmul": torch.get_float32_matmul_precision(),
    }
    if device.type == "cuda":
        found["cuda"] = torch.version.cuda or torch.version.hip
        found["cudnn"] = torch.backends.cudnn.version()
    return found


@cache
def _device_model(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"{_processor()} ({torch.backends.cpu.get_cpu_capability()})"
    return f"{platform.machine()} {device.type}"


def _processor() -> str:
    """The processor's model: libraries choose their kernels by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name the fields in which two fingerprints differ.

    Returns:
        Dotted names (``text2muq.lane``) with both values, None where one has no such field; empty if they agree.
    """
    left, right = flatten(first), flatten(second)
    names = [*left, *(name for name in right if name not in left)]
    return {name: (left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)}


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give the leaves of nested mappings dotted names."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
