"""``musegen cache`` in processes of their own: by torchrun, as under srun, by Lightning; and killed for real."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from little_cache import everything, music, songs
from musegen.data.cache_folder import RECORDS
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample
from musegen.data.shard_index import ShardIndex, read_index, write_index
from musegen.data.shard_writer import ShardWriter
from musegen.data.verify import verify_folder
from runs import TIMEOUT, command, config, fork, forked, free_port

OPTIONS = {"embedder": "little_cache.Waves", "text": "tiny.TinyEncoder", "trust_plugins": ["little_cache", "tiny"]}
SONGS = 12


class Home:
    """A corpus, a configuration, and what an undisturbed run on one process makes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        songs(folder / "songs", SONGS)
        self.yaml = config(
            folder / "cache.yaml", audio=str(folder / "songs"), device="cpu", samples_per_shard=2, **OPTIONS
        )
        ended = forked("cache", "-c", self.yaml, "--out", str(folder / "whole"), folder=folder)
        assert ended.status == [0], ended.printed
        assert "encoding, process 1 of 1: 12 of 12 samples, " in ended.printed
        self.whole = everything(folder / "whole")

    def start(self, out: Path, environments: list[dict[str, str]], *options: str) -> list[Any]:
        """Start a process for each environment; what it prints lies beside the result."""
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        return [
            fork(
                "cache", "-c", self.yaml, "--out", str(out), *options,
                environment={**shared, **own}, folder=out.parent, log=out.parent / f"printed{rank}",
            )
            for rank, own in enumerate(environments)
        ]  # fmt: skip


def end(processes: list[Any], folder: Path) -> list[str]:
    """Wait for processes that end well; give what each printed."""
    for process in processes:
        process.join(TIMEOUT)
    printed = [(folder / f"printed{rank}").read_text() for rank in range(len(processes))]
    assert [process.exitcode for process in processes] == [0] * len(processes), printed
    return printed


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


def test_one_process_makes_all_of_it(home: Home) -> None:
    assert verify_folder(home.folder / "whole").problems == []
    folder = ShardFolder(home.folder / "whole", ["embedding", "text"])
    assert [folder[place].key for place in range(len(folder))] == [f"noise-{number}" for number in range(SONGS)]


def test_torchrun_starts_it(home: Home, tmp_path: Path) -> None:
    ended = command(
        "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}",
        "-m", "musegen.cli", "cache", "-c", home.yaml, "--out", str(tmp_path / "out"), folder=tmp_path,
    )  # fmt: skip
    assert ended.status == [0], ended.printed
    assert everything(tmp_path / "out") == home.whole
    for rank in (1, 2):
        assert f"encoding, process {rank} of 2: 6 of 6 samples, " in ended.printed
    assert ended.printed.count("12 encoded, 0 were there already") == 1


def test_lightning_starts_it(home: Home, tmp_path: Path) -> None:
    places = [{"LOCAL_RANK": rank, "NODE_RANK": "0"} for rank in ("0", "1", "2")]
    printed = end(home.start(tmp_path / "out", places, "--devices", "3"), tmp_path)
    assert everything(tmp_path / "out") == home.whole
    assert ["12 encoded" in lines for lines in printed] == [True, False, False]


@pytest.mark.parametrize("processes", [1, 2])
def test_more_processes_than_shards(home: Home, tmp_path: Path, processes: int) -> None:
    """One shard is missing; then none is, but the index that a run writes last."""
    out = tmp_path / "out"
    places = [{"LOCAL_RANK": str(rank), "NODE_RANK": "0"} if processes > 1 else {} for rank in range(processes)]
    for lost, said in (("00003.tar", "2 encoded, 10 were"), (None, "0 encoded, 12 were"), ("index.json", "0 encoded")):
        shutil.copytree(home.folder / "whole", out)
        if lost == "index.json":
            unfinished(out)
        elif lost is not None:
            (out / lost).unlink()
        printed = end(home.start(out, places, "--devices", str(processes)), tmp_path)
        assert said in printed[0]
        assert everything(out) == home.whole
        shutil.rmtree(out)


def unfinished(out: Path) -> None:
    """Bring a folder back to the moment before its index was written."""
    index = read_index(out)
    for shard in index.shards:
        record = ShardIndex(index.made_by, (shard,), index.licences, index.fields)
        write_index(out / RECORDS / f"{Path(shard.name).stem}.json", record)
    (out / "index.json").unlink()


@pytest.mark.parametrize("processes", [1, 2])
def test_what_cannot_be_encoded_ends_all_of_them_with_one_line(home: Home, tmp_path: Path, processes: int) -> None:
    with ShardWriter(tmp_path / "audio", {}, 1) as writer:
        for number in range(4):
            writer.write(Sample(f"piece-{number}", audio=b"fLaC, but no music" if number == 3 else music(3, number)))
    out = tmp_path / "out"
    places = [{"LOCAL_RANK": str(rank), "NODE_RANK": "0"} if processes > 1 else {} for rank in range(processes)]
    options = ("--audio", str(tmp_path / "audio"), "--samples_per_shard", "1", "--text", "null")
    running = home.start(out, places, "--devices", str(processes), *options)
    running[-1].join(TIMEOUT)
    assert running[-1].exitcode == 2
    for process in running[:-1]:  # torchrun and srun end them
        process.kill()
        process.join()
    (line,) = (line for line in (tmp_path / f"printed{processes - 1}").read_text().splitlines() if "musegen" in line)
    assert line.startswith("musegen: sample 'piece-3': expected audio: ")
    assert not (out / "index.json").exists()
    assert (out / "00001.tar").exists()


def test_srun_starts_it_on_two_hosts(home: Home, tmp_path: Path) -> None:
    """As srun would: a process on each host, told by the environment who it is."""
    shared = {
        "SLURM_JOB_ID": "71", "SLURM_JOB_NAME": "cache", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NNODES": "2", "SLURM_LOCALID": "0", "SLURM_NODELIST": "127.0.0.1",
    }  # fmt: skip
    places = [{**shared, "SLURM_PROCID": rank, "SLURM_NODEID": rank} for rank in ("0", "1")]
    printed = end(home.start(tmp_path / "out", places), tmp_path)
    assert everything(tmp_path / "out") == home.whole
    assert "process 2 of 2: 6 of 6 samples" in printed[1]


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_for_real_again_and_again(home: Home, tmp_path: Path, processes: int) -> None:
    """Killed each time when another shard is there and a random moment has passed."""
    out, chance = tmp_path / "out", random.Random(processes)
    places = [{"LOCAL_RANK": str(rank), "NODE_RANK": "0"} if processes > 1 else {} for rank in range(processes)]
    options = ("--devices", str(processes))
    for shards in (1, 2, 4):
        running = home.start(out, [{**place, "LITTLE_CACHE_SLEEP": "0.2"} for place in places], *options)
        deadline = time.monotonic() + TIMEOUT
        while len(list(out.glob("*.tar"))) < shards and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.1))
        assert all(process.exitcode is None for process in running), "it ended before it was killed"
        for process in running:
            process.kill()
            process.join()
        assert not (out / "index.json").exists()
    printed = end(home.start(out, places, *options), tmp_path)
    assert everything(out) == home.whole
    assert ", 0 were there already" not in printed[0]
