"""Write what stage 2 predicts: one audio file an item, with a JSON beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as L
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.utilities import rank_zero_info

from musegen.audio import encode_audio, peak_gain
from musegen.files import prepare_folder, write_whole


class AudioWriter(BasePredictionWriter):
    """Write ``<folder>/<key>.<format>`` and ``<key>.json`` as soon as an item is there; every rank writes its own.

    Args:
        folder: where the files go; made if it is missing.
        format: of the audio.
    """

    def __init__(self, folder: str, format: Literal["wav", "flac", "ogg"] = "wav") -> None:
        super().__init__(write_interval="batch")
        self.folder = Path(folder)
        self.format = format

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """See whether the folder can be written to.

        Raises:
            OSError: if not.
        """
        prepare_folder(self.folder)

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: dict[str, Any],
        batch_indices: Sequence[int] | None,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write the items of one batch."""
        for index, (key, audio) in enumerate(zip(prediction["key"], prediction["audio"], strict=True)):
            described = {
                "key": key,
                "sample_rate": prediction["sample_rate"],
                "gain": peak_gain(audio.float().cpu()),
                "licences": getattr(pl_module, "licences", []),
            }
            if "caption" in prediction:
                described["caption"] = prediction["caption"][index]
            if "seed" in prediction:
                described["seed"] = int(prediction["seed"][index])
            name = re.sub(r"[^\w.+=@-]+", "_", key)  # of a key that `KEY` allows nothing
            text = json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False)
            write_whole(
                {
                    self.folder / f"{name}.{self.format}": encode_audio(audio, prediction["sample_rate"], self.format),
                    self.folder / f"{name}.json": f"{text}\n".encode(),
                }
            )

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say where the files are."""
        rank_zero_info(f"audio is in {self.folder}")
