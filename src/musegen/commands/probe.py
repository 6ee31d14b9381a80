"""Say what an embedding still tells of music: tempo, key, mode, instruments and genre, read off by linear maps."""

from __future__ import annotations

import json
from pathlib import Path


def probe(
    train: Path,
    test: Path,
    embedder: str | None = None,
    limit: int | None = None,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Fit linear maps on some cached pieces' embeddings, and see what they read off held-out ones.

    Args:
        train: folder of shards with embeddings and facts, as musegen cache writes them.
        test: another one, of pieces that are not in the first, by the same embedder.
        embedder: what embeds the captions too: a name, a class path or a recipe in JSON; by default the one that made
            the shards. One that knows no text leaves captions out.
        limit: take no more than so many pieces of each folder.
        device: auto, cpu, cuda, cuda:1 …
        out: a file for the table, as JSON.
    """
    import torch

    from musegen.conditioning.base import Embedder
    from musegen.data.crops import embedding_of
    from musegen.data.random_access import ShardFolder
    from musegen.devices import choose_device
    from musegen.files import write_whole
    from musegen.metrics.linear_probes import probe_both_sides
    from musegen.plugins import choose

    folders = [ShardFolder(path, ["embedding", "caption"]) for path in (train, test)]
    makers = [folder.index.made_by.get("embedding") for folder in folders]
    if makers[0] != makers[1]:
        raise ValueError(f"{test}: expected embeddings made by {makers[0]}, got {makers[1]}")
    if embedder is None:
        if makers[0] is None:
            raise ValueError(f"{train}: its index does not say what made the embeddings: expected --embedder")
        embedder = json.dumps({key: makers[0][key] for key in ("class_path", "init_args")})
    net = choose(embedder, Embedder, "musegen.conditioning").to(choose_device(device)).eval()

    from rich.console import Console
    from rich.progress import track

    sides = []
    for folder in folders:
        count = len(folder) if limit is None else min(limit, len(folder))
        heard, told, facts = [], [], []
        for position in track(range(count), f"reading {folder.folder}", console=Console(stderr=True)):
            sample = folder[position]
            assert sample.embedding is not None
            heard.append(embedding_of(sample.embedding))
            facts.append(sample.facts)
            if told is not None:
                try:
                    told.append(net.embed_text(sample.captions[:1])[0].float().cpu())
                except ValueError:  # this embedder knows no text
                    told = None
        sides.append((torch.stack(heard), None if told is None else torch.stack(told), facts))
    table = probe_both_sides(*sides)
    columns = list(table)
    print(f"{len(sides[0][0])} pieces to fit on, {len(sides[1][0])} held out")
    print(f"{'':12}" + "".join(f"{column:>18}" for column in columns))
    for fact in table["music"]:
        print(f"{fact:12}" + "".join(f"{table[column].get(fact, float('nan')):18.3f}" for column in columns))
    if out is not None:
        write_whole({out: f"{json.dumps(table, indent=2, ensure_ascii=False)}\n".encode()})
