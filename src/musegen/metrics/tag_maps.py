"""Fitted maps from what musicnn hears to names, as one small file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from musegen.files import write_whole
from musegen.metrics.logistic import Logistic
from musegen.tensor_files import open_tensors

KINDS = ("instruments", "genres")
PARTS = ("mean", "std", "weight", "bias")


@dataclass(frozen=True)
class TagMap:
    """A map to the names of one kind, and what it is worth.

    Args:
        names: of ``caption_tags.json``, in the order of the map's rows.
        map: from what is heard to the names; without hearing anything each would be 0, however common it is.
        areas: by split of songs that were held out, the area under the curve of each name; NaN for one that no song of
            that split has.
    """

    names: Sequence[str]
    map: Logistic
    areas: Mapping[str, Sequence[float]]

    def area(self, split: str) -> float:
        """Mean of a split's areas: how well a song with a name is told from one without; chance is a half."""
        return float(np.nanmean(self.areas[split]))


def read_maps(path: Path) -> dict[str, TagMap]:
    """Maps by kind.

    Raises:
        ValueError: if there is no such file, or it holds no such maps.
    """
    with open_tensors(path) as file:
        about = json.loads((file.metadata() or {}).get("musegen", "{}"))
        if not set(KINDS) <= set(about):
            raise ValueError(
                f"{path}: expected maps of {' and '.join(KINDS)}, got {', '.join(sorted(about)) or 'none'}"
            )
        maps = {
            kind: Logistic(*(file.get_tensor(f"{kind}.{part}").double().numpy() for part in PARTS)) for kind in KINDS
        }
    areas = {
        kind: {
            split: [float("nan") if one is None else one for one in values]
            for split, values in about[kind]["areas"].items()
        }
        for kind in KINDS
    }
    return {kind: TagMap(about[kind]["names"], maps[kind], areas[kind]) for kind in KINDS}


def write_maps(path: Path, maps: Mapping[str, TagMap], made_by: Mapping[str, object]) -> None:
    """Write maps, what held-out songs said of them, and what they were fitted on: whole, or not at all."""
    tensors = {
        f"{kind}.{part}": np.ascontiguousarray(getattr(one.map, part), np.float16 if part == "weight" else np.float32)
        for kind, one in maps.items()
        for part in PARTS
    }
    about = {
        kind: {
            "names": list(one.names),
            "areas": {
                split: [None if np.isnan(area) else round(float(area), 4) for area in values]
                for split, values in one.areas.items()
            },
        }
        for kind, one in maps.items()
    }
    text = json.dumps({**about, "made_by": made_by}, sort_keys=True)
    write_whole({path: save(tensors, metadata={"musegen": text})})
