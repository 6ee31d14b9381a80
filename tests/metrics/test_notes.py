"""Notes of chords whose notes are known."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch

from musegen.metrics.hearing.base import Sound
from musegen.metrics.hearing.notes import Notes, transcriber
from musegen.metrics.notes import share
from music_made import RATE, chords


def needs_weights() -> None:
    try:
        transcriber()
    except ImportError as error:
        if os.environ.get("MUSEGEN_REQUIRE_ALL") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.mark.parametrize(("tonic", "mode"), [(0, "major"), (6, "minor")])
def test_notes_of_a_cadence_are_in_its_key(tonic: int, mode: str) -> None:
    needs_weights()
    heard = np.asarray(Notes().hear(Sound(torch.from_numpy(chords(tonic, mode, 8))[None], RATE))["classes"])
    key = tonic + 12 * (mode == "minor")
    assert share(heard, key) > 0.95
    assert share(heard, (key + 6) % 12 + 12 * (mode == "minor")) < 0.6
    assert heard[tonic] == pytest.approx(heard.max(), rel=0.4)


@pytest.mark.parametrize("samples", [0, 5, RATE])
def test_silence_has_no_notes(samples: int) -> None:
    heard = Notes().hear(Sound(torch.zeros(2, samples), RATE))
    assert heard["classes"].sum() == 0


def test_shares_of_a_scale() -> None:
    assert share(np.ones(12), 0) == pytest.approx(7 / 12)
    assert share(np.eye(12)[11], 12) == 1.0
    assert share(np.zeros(12), 3) == 0.0
    assert math.isnan(share(np.ones(12), None))
