"""Shards that lie elsewhere are the same shards: fetched once and whole, by HTTP, by a command, by fsspec."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_run import run
from little_shards import MADE_BY, little_folder, little_sample
from musegen.data import remote
from musegen.data.module import ShardData
from musegen.data.random_access import ShardFolder
from musegen.data.remote import RemoteShards
from musegen.data.shard_reader import DamagedShardError
from musegen.data.shard_writer import ShardWriter


class Server(SimpleHTTPRequestHandler):
    """Notes what it is asked for."""

    asked: list[str] = []  # noqa: RUF012

    failing: dict[str, int] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.failing.get(self.path, 0):
            self.failing[self.path] -= 1
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    little_folder(tmp_path / "there", counts=(5, 1, 4, 3))
    return tmp_path / "there"


@pytest.fixture
def served(shards: Path) -> Iterator[str]:
    Server.asked, Server.failing = [], {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=str(shards)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def batches(train: str, workers: int = 0, **arguments: Any) -> list[dict[str, Any]]:
    module = ShardData(
        train=[train], fields=["caption", "latents"], frames=8, batch_size=2, num_workers=workers, **arguments
    )
    found = list(module.train_dataloader())
    module.teardown("fit")
    return found


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("way", ["http", "pipe", "file", "fsspec"])
def test_batches_are_those_of_a_local_folder(shards: Path, served: str, way: str, workers: int, tmp_path: Path) -> None:
    names = {
        "http": served,
        "pipe": f"pipe:cat {shards}/{{}}",
        "file": shards.as_uri(),
        "fsspec": f"local://{shards}",
    }
    cache = tmp_path / "cache"
    here, there = batches(str(shards)), batches(names[way], workers, cache=str(cache))
    assert len(here) == len(there) == 6
    for one, other in zip(here, there, strict=True):
        assert one["key"] == other["key"]
        assert torch.equal(one["latents"], other["latents"])
    assert not list(cache.rglob("*.part"))
    assert len(list(cache.rglob("*.tar"))) == (0 if way == "file" else 4)
    if way == "http":
        batches(served, cache=str(cache))
        assert sum(path.endswith(".tar") for path in Server.asked) == 4  # once each, for all workers and runs


def test_a_run_goes_on_exactly_from_elsewhere(shards: Path, served: str, tmp_path: Path) -> None:
    def data(train: str) -> ShardData:
        return ShardData(train=[train], batch_size=4, seed=1)

    whole = run("fit", data(str(shards)), tmp_path / "checkpoints", limit_val_batches=0)
    rest = run("fit", data(served), resume=tmp_path / "checkpoints" / "step=2.ckpt", limit_val_batches=0)
    assert rest.seen["train"] == whole.seen["train"][2:]
    assert torch.equal(rest.linear.weight, whole.linear.weight)
    cached = {path.name for path in (tmp_path / "user" / "musegen" / "shards").rglob("*.tar")}
    assert cached == {f"0000{number}.tar" for number in range(4)}


def test_many_ask_and_one_fetches(served: str, tmp_path: Path) -> None:
    folders = [RemoteShards(served, tmp_path / "cache") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda folder: folder.fetch("00000.tar"), folders * 3))
    assert Server.asked.count("/00000.tar") == 1


def test_parts_of_an_index_and_a_new_one(shards: Path, served: str, tmp_path: Path) -> None:
    before = RemoteShards(served, tmp_path / "cache").folder
    (shards / "index.json").unlink()
    for rank in range(2):
        with ShardWriter(shards, MADE_BY, 2, part=f"rank{rank:04d}") as writer:
            for number in range(rank, 7, 2):
                writer.write(little_sample(number, prefix="part"))
    folder = ShardFolder(served, ["embedding"], cache=tmp_path / "cache")
    assert len(folder) == 7
    assert {folder[position].key for position in range(7)} == {f"part-{number:03d}" for number in range(7)}
    assert folder.folder != before  # other shards of the same names do not mix with those that were fetched


def two_parts(folder: Path) -> None:
    (folder / "index.json").unlink()
    for rank in range(2):
        with ShardWriter(folder, MADE_BY, 2, part=f"rank{rank:04d}") as writer:
            writer.write(little_sample(rank, prefix="part"))


def test_a_part_that_cannot_be_reached_is_not_taken_for_the_last(shards: Path, served: str, tmp_path: Path) -> None:
    two_parts(shards)
    Server.failing = {"/index-rank0001.json": 1}
    assert len(ShardFolder(served, cache=tmp_path / "cache")) == 2
    Server.failing = {"/index-rank0001.json": remote.ATTEMPTS}
    with pytest.raises(OSError, match=r"index-rank0001.json: cannot be fetched: .*503"):
        ShardFolder(served, cache=tmp_path / "cache")
    for status, expected in ((255, "index-rank0001.json: cannot be fetched: exit status 255"), (1, None)):
        command = f"pipe:test {{}} != index-rank0001.json || exit {status}; cat {shards}/{{}}"
        if expected is None:
            assert len(ShardFolder(command, cache=tmp_path / "cache")) == 1  # cat says the same of no file
        else:
            with pytest.raises(OSError, match=expected):
                ShardFolder(command, cache=tmp_path / "cache")


@pytest.mark.timeout(60)
def test_a_command_may_say_much(shards: Path, tmp_path: Path) -> None:
    """As wget does, with a dot for each kilobyte."""
    folder = ShardFolder(f"pipe:head -c 300000 /dev/zero >&2; cat {shards}/{{}}", cache=tmp_path / "cache")
    assert folder[0].key == "piece-000"


def test_damage_elsewhere_is_found_and_named(shards: Path, served: str, tmp_path: Path) -> None:
    path = shards / "00001.tar"
    content = path.read_bytes()
    path.write_bytes(content[:-512] + b"\x01" * 512)
    with pytest.raises(
        ValueError, match=r"http://\S+/00001.tar: cannot be fetched: expected SHA-256 \w+… as its index"
    ):
        batches(served)
    assert Server.asked.count("/00001.tar") == remote.ATTEMPTS
    with pytest.warns(UserWarning, match="skipped a sample"):
        found = batches(served, on_damage="skip")
    assert "piece-005" not in {key for batch in found for key in batch["key"]}
    path.unlink()
    with pytest.raises(ValueError, match=r"00001.tar: cannot be fetched: .*404"):
        batches(served)
    path.write_bytes(content)
    assert len(batches(served)) == 6  # what came damaged was not kept
    (shards / "00003.members.json").write_bytes(b"{")
    folder = ShardFolder(served, cache=tmp_path / "new")
    with pytest.raises(DamagedShardError, match=r"00003.members.json: expected the table"):
        folder[12]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("pipe:cat somewhere", "expected {} for the file's name in 'pipe:cat somewhere'"),
        (
            "pipe:cat /nowhere/{}",
            "pipe:cat /nowhere/index.json: expected the index of shards: exit status 1: cat: /now",
        ),
        ("http://127.0.0.1:9/x", "http://127.0.0.1:9/x/index.json: expected the index of shards: .*refused"),
        ("nosuch://bucket/x", "nosuch://bucket/x/index.json: expected the index of shards: expected a URL that fsspec"),
    ],
)
def test_what_cannot_be_reached_is_one_line(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, OSError), match=message) as caught:
        ShardData(train=[url], cache=str(tmp_path)).train_dataloader()
    assert "\n" not in str(caught.value)


def test_an_index_runs_no_command(shards: Path, served: str, tmp_path: Path) -> None:
    index = json.loads((shards / "index.json").read_text())
    index["shards"][0]["name"] = f"pipe:touch {tmp_path}/hacked"
    (shards / "index.json").write_text(json.dumps(index))
    for url in (served, f"pipe:cat {shards}/{{}}"):
        with pytest.raises(ValueError, match=r"expected a shard's name such as 00000.tar, got 'pipe:"):
            ShardFolder(url, cache=tmp_path / "cache")
    assert not (tmp_path / "hacked").exists()
