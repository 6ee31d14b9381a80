"""Musicnn's weights come in their own package: what needs them is skipped, or fails where everything is required."""

from __future__ import annotations

import os

import numpy as np
import pytest

from musegen.metrics.musicnn.network import Dataset, weights


def published(dataset: Dataset) -> dict[str, np.ndarray]:
    """The package's weights, or a skipped test: the package itself cannot be imported without TensorFlow."""
    try:
        return weights(dataset)
    except ImportError as error:
        if os.environ.get("MUSEGEN_REQUIRE_ALL") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
