"""Fit the judges of instruments and genres on rendered songs, and say what they are worth on held-out ones.

musegen render --out out/judges/train --songs 1950 --seconds 24
musegen render --out out/judges/val --songs 300 --seconds 24 --split val
musegen render --out out/judges/unseen --songs 150 --seconds 24 --split unseen
python scripts/fit_judges.py --train out/judges/train --val out/judges/val --unseen out/judges/unseen
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from musegen.arguments import call
from musegen.metrics.base import Metric, MusicSet, Sets
from musegen.metrics.evaluation import one_thread_each
from musegen.metrics.figures import Figure
from musegen.metrics.fitted_tags import SHIPPED, described, ears
from musegen.metrics.hearing.base import Feature
from musegen.metrics.listening import Listener, default_cache
from musegen.metrics.logistic import Logistic, area_under_curve
from musegen.metrics.music import Piece, read_music
from musegen.metrics.tag_maps import KINDS, TagMap, write_maps
from musegen.metrics.wanted import Wanted, tag_map
from musegen.mistakes import explain, is_mistake

FEWEST = 8
"""Songs that a name must have, and lack, to be fitted."""


class Ears(Metric):
    """Hears what the judges hear, in every other window, and judges nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.ears = ears(every=2)

    def features(self) -> list[Feature]:
        """All of it."""
        return self.ears

    def measure(self, sets: Sets) -> list[Figure]:
        """Nothing."""
        return []


def fit(
    train: Path,
    val: Path,
    unseen: Path,
    out: Path = SHIPPED,
    songs: int = 650,
    held_out: int = 150,
    decay: float = 0.03,
    worst: float = 0.7,
    cache: Path | None = None,
    workers: int | None = None,
) -> None:
    """Fit on some songs, judge others, write the maps.

    Args:
        train: rendered songs of the training split.
        val: held-out songs of the same styles.
        unseen: songs of styles that are not in training.
        out: the fitted maps.
        songs: of the training split that are heard.
        held_out: songs of either other split that are heard.
        decay: weight of the maps' squared size.
        worst: area under the curve on held-out songs under which a name is left out, as it cannot be heard.
        cache: folder for what was heard.
        workers: threads that hear.
    """
    hearing = Ears()
    listener = Listener([hearing], cache or default_cache(), workers=workers)
    pieces = {
        "train": chosen(read_music(train), songs),
        "val": read_music(val, held_out),
        "unseen": read_music(unseen, held_out),
    }
    with one_thread_each(listener.workers):
        sets = {split: listener.hear(split, some, tell) for split, some in pieces.items()}
    print(listener.account, file=sys.stderr)
    features = {split: described(some, hearing.ears) for split, some in sets.items()}
    maps = {kind: fit_kind(kind, features, sets, decay, worst) for kind in KINDS}
    write_maps(out, maps, {"songs": len(pieces["train"]), "decay": decay, "worst": worst})
    print(f"{out}: {out.stat().st_size / 1024:.0f} KiB")


def fit_kind(
    kind: str, features: dict[str, np.ndarray], sets: dict[str, MusicSet], decay: float, worst: float
) -> TagMap:
    """Fit all names of a kind that enough songs have; keep those that are heard in held-out songs."""
    every = list(tag_map(kind))
    labels = {split: labels_of(some.wanted, kind, every) for split, some in sets.items()}
    count = labels["train"].sum(0)
    enough = np.flatnonzero((count >= FEWEST) & (len(labels["train"]) - count >= FEWEST))
    if len(enough) < 2:
        raise ValueError(f"{kind}: expected two names or more with {FEWEST} songs each, got {len(enough)}")
    whole = Logistic.fit(features["train"], labels["train"][:, enough], decay)
    areas = {
        split: np.array(
            [
                area_under_curve(scores, known)
                for scores, known in zip(whole.logits(features[split]).T, labels[split][:, enough].T, strict=True)
            ]
        )
        for split in ("val", "unseen")
    }
    kept = areas["val"] >= worst
    told = zip(enough, count[enough], kept, areas["val"], areas["unseen"], strict=True)
    print(f"\n{kind:14}{'songs':>8}{'of val':>8}{'AUC':>8}{'of unseen':>11}{'AUC':>8}")
    for number, songs, good, of_val, of_unseen in told:
        had, met = (int(labels[split][:, number].sum()) for split in ("val", "unseen"))
        out = "" if good else "  left out"
        print(f"{every[number]:14}{songs:8d}{had:8d}{of_val:8.2f}{met:11d}{of_unseen:8.2f}{out}")
    share = (count / len(labels["train"]))[enough][kept]
    bias = whole.bias[kept] - np.log(share / (1 - share))
    rows = Logistic(whole.mean, whole.std, whole.weight[kept], bias)
    found = TagMap(
        [every[number] for number in enough[kept]],
        rows,
        {split: values[kept].tolist() for split, values in areas.items()},
    )
    print(f"{f'mean of {len(found.names)}':30}{found.area('val'):8.3f}{found.area('unseen'):19.3f}")
    return found


def chosen(pieces: Sequence[Piece], songs: int) -> list[Piece]:
    """So many songs: half spread evenly, and half of which each in turn has the name that fewest have so far."""
    names = [(*piece.wanted.genres, *piece.wanted.instruments) for piece in pieces]
    waiting: dict[str, list[int]] = {}
    for number in reversed(range(len(pieces))):
        for name in names[number]:
            waiting.setdefault(name, []).append(number)
    half = min(songs, len(pieces)) // 2
    taken = {len(pieces) * number // max(half, 1) for number in range(half)}
    had = Counter(dict.fromkeys(sorted(waiting), 0))
    had.update(name for number in taken for name in names[number])
    while had and len(taken) < songs:
        rarest = min(had, key=lambda name: (had[name], name))
        while waiting[rarest] and waiting[rarest][-1] in taken:
            waiting[rarest].pop()
        if waiting[rarest]:
            number = waiting[rarest].pop()
            taken.add(number)
            had.update(name for name in names[number] if name in had)
        else:
            del had[rarest]
    return [pieces[number] for number in sorted(taken)]


def labels_of(wanted: Sequence[Wanted], kind: str, names: Sequence[str]) -> np.ndarray:
    """Which names each song has, ``[songs, names]`` of booleans."""
    asked = [one.instruments if kind == "instruments" else one.genres for one in wanted]
    return np.array([[name in some for name in names] for some in asked])


def tell(name: str, done: int, total: int) -> None:
    """Say how far it is, now and then."""
    if done == total or done % 100 == 0:
        print(f"hearing {name}: {done} of {total}", file=sys.stderr)


if __name__ == "__main__":
    try:
        call(fit, sys.argv[1:], "fit_judges.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"fit_judges: {explain(error)}")
