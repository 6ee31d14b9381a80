from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from musegen.interop.torch_files import is_torch_file, read_any
from musegen.tensor_files import describe_difference, describe_names, read_tensors, write_tensors


def test_files_are_those_of_the_safetensors_library(tmp_path: Path) -> None:
    state = {
        "a": torch.tensor(3.0),
        "b": torch.empty(0, 4),
        "c": torch.randn(3, 5),
        "d": torch.arange(7),
        "e": torch.randn(3).bfloat16(),
        "f": torch.tensor([True]),
        "g": torch.randn(2).half(),
    }
    write_tensors(tmp_path / "ours", state)
    save_file(state, tmp_path / "theirs", {"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    told: list[tuple[int, int]] = []
    write_tensors(
        tmp_path / "cast", {**state, "c": state["c"].T}, {"c": torch.float16}, lambda *done: told.append(done)
    )
    read = read_tensors(tmp_path / "cast")
    assert torch.equal(read["c"], state["c"].T.half())
    assert torch.equal(read["e"], state["e"])
    assert told[-1][0] == told[-1][1] > 0


def header(size: int, text: bytes = b"{}") -> bytes:
    return size.to_bytes(8, "little") + text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04rest", "a zip archive, as torch.save writes it"),
        (b"\x80\x04\x95rest", "a pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a git-lfs pointer"),
        (b"<!DOCTYPE html>", "a web page"),
        (header(2**63), "a truncated one"),
        (header(2**40, b'{"a"' + b" " * 50), "a truncated one"),
        (header(400, b'{"a": {"dtype"'), "a truncated one"),
        (header(120_000_000, b"{"), "a truncated one"),
        (b"garbage" * 10, "something else"),
        (header(2, b"[]"), "something else"),
        (header(9, b'{"a": NaN}'[:9]), "something else"),
    ],
)
def test_what_is_no_safetensors_file(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"expected a safetensors file, got {said}") as error:
        read_tensors(path)
    assert "\n" not in str(error.value)


def test_a_truncated_file_and_a_lying_header(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"a": torch.randn(100)})
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(ValueError, match="a truncated one"):
        read_tensors(path)
    lie = json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode()
    path.write_bytes(len(lie).to_bytes(8, "little") + lie)
    with pytest.raises(ValueError, match="expected a safetensors file"):
        read_tensors(path)


@pytest.mark.parametrize("size", [0x80, 0x280, 0x480])
def test_a_header_whose_size_looks_like_a_pickle(tmp_path: Path, size: int) -> None:
    path = tmp_path / "model.safetensors"
    for padding in range(size):
        write_tensors(path, {"network.x" + "y" * padding: torch.zeros(2)})
        if path.read_bytes()[:2] == size.to_bytes(2, "little"):
            break
    assert path.read_bytes()[:1] == b"\x80"
    assert not is_torch_file(path)
    assert read_any(path)[0].keys() == read_tensors(path).keys()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="got a truncated one"):
        read_any(path)


def test_an_array_of_objects_is_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="a numpy array"):
        read_tensors(tmp_path / "a.npy")


def test_names_that_differ() -> None:
    expected = {f"network.{index}.weight" for index in range(5)}
    assert describe_difference(expected, expected) is None
    wrapped = {f"model.{name}" for name in expected} | {"optimizer.x"}
    assert "the same wrapped in 'model.'" in (describe_difference(expected, wrapped) or "")
    some = describe_difference(expected, {"network.0.weight", "transformer_blocks.0.norm1.weight"})
    assert some is not None
    assert "missing 4 (network.1.weight, network.2.weight, network.3.weight, …)" in some
    assert "unexpected 1 (transformer_blocks.0.norm1.weight)" in some
    assert some.endswith("a diffusers transformer")
    assert describe_names({"foo.bar"}) == "something else (its first tensor is foo.bar)"
    assert describe_names(()) == "an empty file"
