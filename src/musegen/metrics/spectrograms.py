"""Pictures of how music sounds, for eyes: mel spectrograms with the beats that a caption asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musegen.files import write_whole
from musegen.metrics.hearing.base import Sound
from musegen.metrics.hearing.tempo import HOP, RATE, onsets

FFT, STEP, BANDS = 2048, 256, 160
LOWEST, HIGHEST = 40.0, 11000.0
DECIBELS = 70.0
"""How far under the loudest the darkest colour lies."""


@dataclass(frozen=True)
class Picture:
    """One spectrogram of a page.

    Args:
        title: above it.
        sound: that is drawn.
        tempo: beats a minute that it should have; None draws no beats.
    """

    title: str
    sound: Sound
    tempo: float | None = None


def mel_decibels(samples: np.ndarray) -> np.ndarray:
    """Energy of mel bands, ``[bands, frames]``, in dB under the loudest, of mono audio at 22050 Hz."""
    padded = np.pad(samples.astype(np.float32), FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::STEP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(FFT).astype(np.float32))))
    bands = triangles() @ power.T
    loudest = max(float(bands.max()), 1e-12)
    return np.maximum(10 * np.log10(np.maximum(bands, 1e-12) / loudest), -DECIBELS)


def triangles() -> np.ndarray:
    """Overlapping triangles of equal width in mel, ``[bands, bins]``."""
    frequencies = np.arange(FFT // 2 + 1) * RATE / FFT
    mel = 2595 * np.log10(1 + frequencies / 700)
    low, high = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    corners = np.linspace(low, high, BANDS + 2)
    rising = (mel - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - mel) / (corners[2:] - corners[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


def beats(samples: np.ndarray, tempo: float) -> np.ndarray:
    """Seconds of the beats of a steady tempo, moved to where most begins.

    Args:
        samples: mono audio at 22050 Hz.
        tempo: beats a minute.
    """
    rise, period = onsets(samples), 60 * RATE / HOP / tempo
    phases = np.arange(0, period, 0.5)
    places = [np.arange(phase, len(rise), period) for phase in phases]
    scores = [np.interp(where, np.arange(len(rise)), rise).mean() if len(where) else 0.0 for where in places]
    best = phases[int(np.argmax(scores))]
    # a rise from one frame to the next is heard half a window after the first begins
    return (np.arange(best, len(rise), period) + 1) * HOP / RATE + 0.5 * HOP / RATE


def draw(rows: Sequence[Sequence[Picture]], path: Path) -> Path:
    """Draw a page of spectrograms, a row for each piece of music.

    Args:
        rows: pictures, as many in each row.
        path: of the PNG.

    Raises:
        ImportError: without matplotlib.
        ValueError: for rows of different lengths, or none.
    """
    if not rows or len({len(row) for row in rows}) > 1 or not rows[0]:
        raise ValueError(f"expected rows of as many pictures each, got {[len(row) for row in rows]}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("spectrograms are drawn by matplotlib: pip install 'musegen[eval]'") from None
    import io

    width, height = 6.0 * len(rows[0]), 2.6 * len(rows)
    figure = Figure(figsize=(width, height))
    all_axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for axes_of_row, row in zip(all_axes, rows, strict=True):
        for axes, picture in zip(axes_of_row, row, strict=True):
            _draw(axes, picture)
    for axes in all_axes[-1]:
        axes.set_xlabel("seconds; ticks: beats of the caption's tempo", fontsize=8)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    write_whole({path: buffer.getvalue()})
    return path


def _draw(axes: Any, picture: Picture) -> None:
    samples = picture.sound.mono(RATE).numpy()
    axes.imshow(
        mel_decibels(samples),
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0, len(samples) / RATE, 0, BANDS),
        vmin=-DECIBELS,
        vmax=0,
    )
    ends = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    marks = np.array([100, 300, 1000, 3000, 8000])
    axes.set_yticks((2595 * np.log10(1 + marks / 700) - ends[0]) / (ends[1] - ends[0]) * BANDS, marks)
    axes.tick_params(labelsize=7)
    axes.set_title(picture.title, fontsize=8, wrap=True)
    if picture.tempo is not None:
        where = beats(samples, picture.tempo)
        axes.vlines(where, BANDS * 0.97, BANDS * 1.0, color="white", linewidth=1.2)
        axes.vlines(where, 0, BANDS * 0.03, color="white", linewidth=1.2)
