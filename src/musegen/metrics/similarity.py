"""How well clips fit their captions, by an embedder of both: similarity, and finding the caption among all."""

from __future__ import annotations

import numpy as np

from musegen.metrics.base import Metric, MusicSet, Sets
from musegen.metrics.embedders.base import AudioEmbedder
from musegen.metrics.embedders.rendered_judge import RenderedJudge
from musegen.metrics.figures import Estimate, Figure, mean_of
from musegen.metrics.hearing.base import Feature
from musegen.metrics.vectors import unit

PLACES = (1, 10)


class TextSimilarity(Metric):
    """Cosine similarity of clip and caption, and how often a clip's own caption is among the nearest of all captions.

    The embedder must have been trained apart from the model's own conditioner, or it grades its own homework.

    Args:
        embedder: of music and text; None for the judge that ships with musegen.
    """

    def __init__(self, embedder: AudioEmbedder | None = None) -> None:
        super().__init__()
        self.embedder = embedder or RenderedJudge()

    def features(self) -> list[Feature]:
        """What the embedder reads."""
        return list(self.embedder.parts)

    def measure(self, sets: Sets) -> list[Figure]:
        """Similarity, and retrieval of the caption among the first and the first ten."""
        ours = self._compare(sets.ours, None)
        if ours is None:
            return [Figure("similarity", "text-audio similarity", None, note="needs two captions or more")]
        table, own = ours
        captions = table.shape[1]
        real = None if sets.real is None else self._compare(sets.real, captions)
        clips = [clip for clip, piece in enumerate(sets.ours.pieces) if piece.caption]
        groups = [sets.ours.groups[clip] for clip in clips]
        others = (table.sum(1) - table[np.arange(len(own)), own]) / (captions - 1)
        top = None if real is None else mean_of(real[0][np.arange(len(real[1])), real[1]])
        title = self.embedder.title
        note = "; ".join(filter(None, ["cosine of clip and caption", self.embedder.worth]))
        figures = [
            Figure(
                "similarity", f"similarity ({title})", mean_of(table[np.arange(len(own)), own], groups), top,
                mean_of(others, groups), note=note,
            )
        ]  # fmt: skip
        for places in PLACES:
            if places >= captions:
                continue
            found = mean_of(found_in(table, own, places), groups)
            top, note = None, f"of {captions} captions"
            if real is not None:
                top = mean_of(found_in(*real, places))
                note += "" if real[0].shape[1] == captions else f" (real: of {real[0].shape[1]})"
            chance = Estimate(places / captions)
            figures.append(Figure("similarity", f"retrieval top-{places} ({title})", found, top, chance, note=note))
        return figures

    def _compare(self, clips: MusicSet, most: int | None) -> tuple[np.ndarray, np.ndarray] | None:
        """Similarities ``[clips, captions]`` of clips with a caption to all captions, and which is whose.

        Args:
            clips: the set.
            most: take no more captions than these.
        """
        captions = list(dict.fromkeys(piece.caption for piece in clips.pieces if piece.caption))[:most]
        if len(captions) < 2:
            return None
        place = {caption: number for number, caption in enumerate(captions)}
        chosen = [clip for clip, piece in enumerate(clips.pieces) if piece.caption in place]
        heard = [clips.of(part) for part in self.embedder.parts]
        gathered = [self.embedder.gathered(*(part[clip] for part in heard)) for clip in chosen]
        vectors = np.stack([self.embedder.clip_vector(one) for one in gathered])
        texts = [self.embedder.embed_text([caption])[0].double().cpu().numpy() for caption in captions]
        return vectors @ unit(np.stack(texts)).T, np.array([place[clips.pieces[clip].caption] for clip in chosen])


def found_in(table: np.ndarray, own: np.ndarray, places: int) -> np.ndarray:
    """Whether each row's own column is among its highest; of equal ones only a share counts.

    Args:
        table: ``[rows, columns]``.
        own: the right column of each row.
        places: how many of the highest count.
    """
    right = table[np.arange(len(own)), own][:, None]
    above, level = (table > right).sum(1), (table == right).sum(1)
    return np.clip((places - above) / level, 0.0, 1.0)
