"""Pack a corpus or a folder of music into shards of audio, split for training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from musegen.data.ingest.pack import REPORT, Packing
from musegen.data.ingest.pack import pack as pack_source
from musegen.data.ingest.splits import SPLITS, Split, SplitRule
from musegen.data.sources.base import Source
from musegen.plugins import choose, class_path

SOURCES = "musegen.data.sources"


def pack(
    source: str,
    out: Path,
    options: dict[str, Any] | None = None,
    split: Split | None = None,
    val: float = 0.02,
    test: float = 0.02,
    seed: int = 0,
    processes: int = 1,
    samples_per_shard: int = 500,
    trust_plugins: list[str] | None = None,
) -> None:
    """Pack a source into OUT/train, OUT/val and OUT/test.

    Start it again to go on after an interruption. What cannot be used is left out, counted at the end and named in
    OUT/report.json.

    Args:
        source: musicbench, music4all, folder, recordings, rendered, a class path, its recipe in JSON, or a YAML file
            with class_path and init_args.
        out: folder of the result.
        options: arguments of the source, one a flag: --options.folder corpora/musicbench. data/README.md describes
            them, and an unknown one gets the list of the known.
        split: write this one only.
        val: share of the groups (recordings, artists, albums) for validation, where the corpus has no split of its own.
        test: share for test.
        seed: another one holds out other groups.
        processes: that read and encode side by side.
        samples_per_shard: pieces in a full tar.
        trust_plugins: packages besides musegen that sources may come from.
    """
    for name, value in (("processes", processes), ("samples_per_shard", samples_per_shard)):
        if value < 1:
            raise ValueError(f"{name}: expected 1 or more, got {value}")
    chosen = choose(_recipe(source, options or {}), Source, SOURCES, trust_plugins or ())
    splits = SPLITS if split is None else (split,)
    packing = Packing(SplitRule(val, test, seed), splits, samples_per_shard, processes)

    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("packing", total=len(chosen))
        report = pack_source(chosen, out, packing, lambda done, total: bar.update(task, completed=done, total=total))
    print(f"{report}\n{out}: all names in {REPORT}")
    shares: dict[Split, float] = {"val": val, "test": test}
    for name, share in shares.items():
        if split is None and share and report.total and not (report.kept[name] or report.there):
            print(f"nothing is held out for {name}: a larger --{name}, or another --seed, holds out some")


def _recipe(source: str, options: Mapping[str, Any]) -> str | dict[str, Any]:
    """A source with options added to its arguments."""
    if source.lstrip().startswith("{") and not options:
        return source
    recipe: dict[str, Any]
    if source.lstrip().startswith("{") or source.endswith((".yaml", ".yml")):
        recipe = _read(source)
    else:
        recipe = {"class_path": source if "." in source else class_path(source, Source, SOURCES)}
    given: Mapping[str, Any] = recipe.get("init_args") or {}
    return {**recipe, "init_args": {**given, **options}}


def _read(source: str) -> dict[str, Any]:
    import yaml

    text = source if source.lstrip().startswith("{") else Path(source).read_text(encoding="utf-8")
    try:
        recipe = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"source: expected YAML, got {source}: {' '.join(str(error).split())}") from None
    if not isinstance(recipe, dict):
        raise ValueError(f"{source}: expected class_path and init_args, got {type(recipe).__name__}")
    return recipe
