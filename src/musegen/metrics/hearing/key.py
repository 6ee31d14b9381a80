"""Which key a clip is in: pitch classes of the peaks of its spectrum, against profiles of the 24 keys; in numpy."""

from __future__ import annotations

import numpy as np

from musegen.metrics.hearing.base import Feature, Heard, Sound

RATE, SIZE, HOP = 22050, 8192, 2048
LOW, HIGH, BASS = 150.0, 1400.0, 250.0
AROUND = 50
BASS_WEIGHT = 0.5
PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
"""How often each pitch class is written in C major and C minor: "The use of large corpora to train a new type of
key-finding algorithm", 2013, https://doi.org/10.1525/mp.2013.31.1.59."""


class Key(Feature):
    """Tonic and mode.

    Each peak of the spectrum counts for its pitch class as far as it stands above its surroundings and lies on the
    pitch; the bass counts apart. The key is the one whose profile correlates most with what is heard.
    """

    def hear(self, sound: Sound) -> Heard:
        """``key``: 0–11 for C to B major, 12–23 for C to B minor, −1 where no pitch is heard; ``chroma [12]``."""
        chroma = chroma_of(sound.mono(RATE).numpy())
        return {"key": np.int64(key_of(chroma)), "chroma": chroma}


def key_of(chroma: np.ndarray) -> int:
    """The key that pitch classes ``[12]`` fit best; −1 for none at all."""
    centred = chroma - chroma.mean()
    length = np.linalg.norm(centred)
    return -1 if length < 1e-9 else int(np.argmax(profiles() @ centred))


def profiles() -> np.ndarray:
    """Profiles of the 24 keys ``[24, 12]``, centred, of unit length."""
    rows = np.stack([np.roll(mode, tonic) for mode in (MAJOR, MINOR) for tonic in range(12)])
    rows = rows - rows.mean(1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def chroma_of(samples: np.ndarray) -> np.ndarray:
    """How much of each pitch class sounds in mono audio at 22050 Hz, ``[12]``; zeros for silence."""
    if len(samples) < SIZE:
        samples = np.pad(samples, (0, SIZE - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float32), SIZE)[::HOP]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(SIZE).astype(np.float32)))
    if spectrum.max(initial=0.0) < 1e-4:
        return np.zeros(12)
    strength = peaks(spectrum)
    return strength @ classes(LOW, HIGH) + BASS_WEIGHT * (strength @ classes(40.0, BASS))


def peaks(spectrum: np.ndarray) -> np.ndarray:
    """How far peaks of ``[frames, bins]`` stand above their surroundings, in nepers; mean over frames, ``[bins]``."""
    total = np.cumsum(np.pad(spectrum, ((0, 0), (AROUND + 1, AROUND)), mode="edge"), axis=1, dtype=np.float64)
    around = (total[:, 2 * AROUND + 1 :] - total[:, : -2 * AROUND - 1]) / (2 * AROUND + 1)
    middle = spectrum[:, 1:-1]
    higher = (middle > spectrum[:, :-2]) & (middle >= spectrum[:, 2:]) & (middle > 2 * around[:, 1:-1])
    strength = np.zeros(spectrum.shape)
    strength[:, 1:-1] = np.log(middle / (around[:, 1:-1] + 1e-9) + 1e-9) * higher
    return strength.mean(0)


def classes(low: float, high: float) -> np.ndarray:
    """How much each bin belongs to each pitch class ``[bins, 12]``, of bins between two frequencies."""
    frequencies = np.arange(SIZE // 2 + 1) * RATE / SIZE
    pitch = 12 * np.log2(np.maximum(frequencies, 1.0) / 440) + 69
    nearness = np.exp(-0.5 * ((pitch - np.round(pitch)) / 0.2) ** 2)
    inside = (frequencies >= low) & (frequencies <= high)
    one_hot = np.eye(12)[np.round(pitch).astype(int) % 12]
    return one_hot * (nearness * inside)[:, None] / inside.sum()
