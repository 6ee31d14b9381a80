"""The fitted judges that ship, on songs rendered here: what true captions are worth beside those of others."""

from __future__ import annotations

from pathlib import Path

from musegen.data.shard_writer import ShardWriter
from musegen.data.sources.rendered import Rendered
from musegen.metrics.base import Sets
from musegen.metrics.evaluation import standard_metrics
from musegen.metrics.fitted_genre import FittedGenre
from musegen.metrics.fitted_instruments import FittedInstruments
from musegen.metrics.fitted_tags import SHIPPED
from musegen.metrics.listening import Listener
from musegen.metrics.music import read_music
from musegen.metrics.tag_maps import KINDS, read_maps
from musegen.metrics.wanted import tag_map
from musicnn_weights import published
from renderer import need_renderer

SONGS = 12


def test_what_ships() -> None:
    assert SHIPPED.stat().st_size <= 500 * 1024
    for kind, one in read_maps(SHIPPED).items():
        assert kind in KINDS
        assert set(one.names) <= set(tag_map(kind))
        assert one.map.weight.shape[0] == len(one.names) > 10
        assert min(one.areas["val"]) >= 0.7, "a judge that cannot tell must not vote"
    judges = [type(metric) for metric in standard_metrics()]
    assert FittedInstruments in judges
    assert FittedGenre in judges


def test_true_captions_agree_and_those_of_others_do_not(tmp_path: Path) -> None:
    """Songs of another seed than any that the judges were fitted or measured on."""
    need_renderer()
    published("MSD")
    source = Rendered(SONGS, seed=2077, seconds=8, split="val")
    with ShardWriter(tmp_path / "songs", {"source": "test"}) as writer:
        for number in range(SONGS):
            sample = source.read(number)
            assert sample is not None
            writer.write(sample)
    metrics = [FittedInstruments(), FittedGenre()]
    clips = Listener(metrics).hear("songs", read_music(tmp_path / "songs"))
    figures = {figure.name: figure for metric in metrics for figure in metric.measure(Sets(clips))}
    for name, least in (("instruments (fitted)", 0.85), ("genre (fitted)", 0.75)):
        figure = figures[name]
        print(f"{name}: {figure.ours}, with captions of others {figure.chance}")
        assert figure.ours is not None
        assert figure.chance is not None
        assert figure.ours.count >= SONGS - 2
        assert figure.ours.value > least
        assert figure.ours.value - figure.chance.value > 0.2
    for name in ("instruments, found (fitted)", "genre, first (fitted)"):
        figure = figures[name]
        print(f"{name}: {figure.ours}, with captions of others {figure.chance}")
        assert figure.ours is not None
        assert figure.chance is not None
        assert figure.ours.value > 1.5 * figure.chance.value
