"""Files that are whole or not there, whoever else writes at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from musegen.files import whole_folder, write_whole


def test_threads_may_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "same.json"
    contents = [bytes([number]) * 10_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(write_whole, {path: contents[number % 8]}) for number in range(160)]:
            one.result()
    assert path.read_bytes() in contents
    assert [other.name for other in tmp_path.iterdir()] == ["same.json"]


def test_a_name_may_be_as_long_as_the_disk_takes_it(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 125 + ".wav")  # 254 bytes
    write_whole({path: b"music"})
    assert path.read_bytes() == b"music"
    with whole_folder(tmp_path / ("ö" * 127)) as folder:
        (folder / "a").write_bytes(b"a")
    assert (tmp_path / ("ö" * 127) / "a").read_bytes() == b"a"


def test_what_another_process_of_this_number_left_is_in_nobodys_way(tmp_path: Path) -> None:
    """In a container every run may have the same number."""
    left = tmp_path / f".model.{os.getpid()}.part"
    left.mkdir()
    (left / "half").write_bytes(b"half")
    with whole_folder(tmp_path / "model") as folder:
        (folder / "config.json").write_bytes(b"{}")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["config.json"]
    assert (left / "half").exists()  # it may still be writing


def test_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        assert "deep" in synced or not (tmp_path / "model").exists()
        fsync(descriptor)

    monkeypatch.setattr("musegen.files.os.fsync", note)
    with whole_folder(tmp_path / "model") as folder:
        (folder / "vae").mkdir()
        (folder / "vae" / "deep").write_bytes(b"a")
    assert {"deep", tmp_path.name} <= set(synced)
