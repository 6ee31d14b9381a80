"""Fit the judge of music and words on rendered songs, and say what it is worth on held-out ones.

musegen render out/judge/train --songs 600 --seed 7101 --seconds 13
python scripts/fit_similarity.py --train out/judge/train --val out/judge/val --unseen out/judge/unseen

The songs are to be of seeds that nothing that generates has learned from. What was heard is kept (``--cache``).
"""

from __future__ import annotations

import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from musegen.arguments import call
from musegen.conditioning.minilm import MiniLM
from musegen.metrics.base import Metric, MusicSet, Sets
from musegen.metrics.contrast import Said, Songs, fit_towers, similarities
from musegen.metrics.embedders.rendered_judge import SHIPPED, ears
from musegen.metrics.evaluation import one_thread_each
from musegen.metrics.figures import Figure
from musegen.metrics.hearing.base import Feature
from musegen.metrics.joint_numbers import HEARD, SAID, heard_numbers, said_numbers
from musegen.metrics.listening import Listener, default_cache
from musegen.metrics.music import read_music
from musegen.metrics.similarity import found_in
from musegen.metrics.two_towers import TwoTowers, write_towers
from musegen.mistakes import explain, is_mistake

READ_TOGETHER = 64
PLACES = (1, 10)


class Ears(Metric):
    """What the judge hears, and no judgement."""

    def features(self) -> list[Feature]:
        """All that the judge is told of a clip."""
        return ears()

    def measure(self, sets: Sets) -> list[Figure]:
        """Nothing."""
        return []


@dataclass(frozen=True)
class Worth:
    """What the judge says of held-out songs.

    Args:
        songs: how many.
        found: share whose caption is among the first 1 and 10.
        own: mean cosine with the own caption.
        others: mean cosine with captions of other songs.
    """

    songs: int
    found: tuple[float, float]
    own: float
    others: float

    def __str__(self) -> str:
        first, ten = self.found
        return f"{self.songs:6d}{first:8.2f}{ten:8.2f}{self.own:8.2f}{self.others:8.2f}"


def fit(
    train: list[Path],
    val: Path,
    unseen: Path,
    out: Path = SHIPPED,
    seconds: float = 12.0,
    among: int = 200,
    epochs: int = 60,
    batch: int = 256,
    rate: float = 2e-3,
    decay: float = 0.5,
    noise: float = 0.2,
    drop: float = 0.3,
    hidden: int = 96,
    dim: int = 128,
    seed: int = 0,
    cache: Path | None = None,
    workers: int | None = None,
) -> None:
    """Fit on some songs, judge others, write the towers.

    Args:
        train: folders of rendered songs of the training split.
        val: held-out songs of the same styles.
        unseen: songs of styles that are not in training.
        out: the fitted towers.
        seconds: of every song no more than its first are heard.
        among: held-out songs that compete, at most.
        epochs: over all songs.
        batch: songs that compete in training.
        rate: of learning, at its highest.
        decay: of weights.
        noise: added to what is heard, in standard deviations.
        drop: share of numbers that are left out in training.
        hidden: width inside the towers.
        dim: of the space.
        seed: of all chance.
        cache: folder for what was heard.
        workers: threads that hear.
    """
    listener = Listener([Ears()], cache or default_cache(), seconds, workers)
    with one_thread_each(listener.workers):
        heard = [listener.hear(str(folder), read_music(folder), tell) for folder in train]
        held_out = {
            split: listener.hear(str(folder), read_music(folder, among), tell)
            for split, folder in (("val", val), ("unseen", unseen))
        }
    print(listener.account, file=sys.stderr)
    reader = MiniLM()
    songs, tests = songs_of(heard, reader), {split: songs_of([some], reader) for split, some in held_out.items()}
    torch.manual_seed(seed)
    towers = TwoTowers(HEARD, reader.dim, SAID, dim, hidden, drop)
    losses = fit_towers(
        towers, songs, epochs, batch, rate, decay, noise, seed, lambda epoch, _: tell("fitting", epoch + 1, epochs)
    )
    print(f"{len(songs.own)} songs, {len(songs.said.states)} captions, loss {losses[0]:.2f} to {losses[-1]:.2f}")
    print(f"{'':26}{'songs':>6}{'top-1':>8}{'top-10':>8}{'own':>8}{'others':>8}")
    worths = {}
    for split, some in tests.items():
        worths[split] = judge(towers, some)
        print(f"{split + ', full captions':26}{worths[split]}")
        print(f"{split + ', any captions':26}{judge(towers, some, random.Random(seed))}")
    found = {split: f"{worth.found[1]:.2f} of {worth.songs}" for split, worth in worths.items()}
    said = f"judge's own top-10: {found['val']} held-out songs, {found['unseen']} of styles never seen"
    made_by = {"songs": len(songs.own), "seconds": seconds, "epochs": epochs, "seed": seed}
    write_towers(out, towers, {"worth": said, "made_by": made_by})
    print(f"{out}: {out.stat().st_size / 1024:.0f} KiB; {said}")


def songs_of(sets: list[MusicSet], reader: MiniLM) -> Songs:
    """Songs with captions, heard and read."""
    numbers, own, captions = [], [], []
    for some in sets:
        parts = [some.of(part) for part in ears()]
        for clip, piece in enumerate(some.pieces):
            if piece.captions:
                numbers.append(heard_numbers(*(part[clip] for part in parts)))
                own.append(list(range(len(captions), len(captions) + len(piece.captions))))
                captions += piece.captions
    states = []
    for start in range(0, len(captions), READ_TOGETHER):
        rows, masks = reader.encode_together(captions[start : start + READ_TOGETHER])
        states += [row[mask].half() for row, mask in zip(rows, masks, strict=True)]
    numbered: dict[tuple[str, ...], int] = {}
    means = [numbered.setdefault(words_of(caption), len(numbered)) for caption in captions]
    read = torch.from_numpy(np.stack([said_numbers(caption) for caption in captions]))
    return Songs(torch.from_numpy(np.stack(numbers)), Said(states, read, torch.tensor(means)), own)


def words_of(caption: str) -> tuple[str, ...]:
    """What captions share that say the same in another order."""
    return tuple(sorted(re.findall(r"[\w#]+", caption.lower())))


def judge(towers: TwoTowers, songs: Songs, chance: random.Random | None = None) -> Worth:
    """How songs find their captions: the first ones, which say all there is to say, or ones drawn by chance."""
    if chance is not None:
        songs = Songs(songs.heard, songs.said, [[chance.choice(list(own))] for own in songs.own])
    table = similarities(towers, songs).double().numpy()
    count = len(table)
    first, ten = (float(found_in(table, np.arange(count), places).mean()) for places in PLACES)
    own = float(table.diagonal().mean())
    return Worth(count, (first, ten), own, float((table.sum() - count * own) / (count * (count - 1))))


def tell(name: str, done: int, total: int) -> None:
    """Say how far it is, now and then."""
    if done == total or done % 20 == 0:
        print(f"{name}: {done} of {total}", file=sys.stderr)


if __name__ == "__main__":
    try:
        call(fit, sys.argv[1:], "fit_similarity.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"fit_similarity: {explain(error)}")
