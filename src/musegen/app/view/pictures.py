"""What a clip looks like: its waveform, and its mel-spectrogram."""

from __future__ import annotations

import io

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d

from musegen.nn.spectral import LogMel

COLUMNS, BANDS, PEAKS = 480, 72, 160
RANGE = 4.0
"""Decades between the darkest and the brightest colour."""

RAMP = ((14, 22, 33), (25, 62, 84), (31, 120, 124), (120, 178, 118), (244, 200, 104), (255, 246, 214))


def peaks(audio: Tensor, count: int = PEAKS) -> bytes:
    """The waveform of audio ``[channels, samples]``: the highest magnitude in each of ``count`` parts, as bytes."""
    loudest = audio.abs().amax(0)
    parts = torch.nn.functional.pad(loudest, (0, max(0, count - len(loudest))))
    high = torch.nn.functional.adaptive_max_pool1d(parts[None], count)[0]
    return bytes((high / high.max().clamp(min=1e-5) * 255).round().to(torch.uint8).tolist())


def mel(audio: Tensor, rate: int) -> bytes:
    """The mel-spectrogram of audio ``[channels, samples]``, low tones below: a PNG of `COLUMNS` × `BANDS`."""
    from PIL import Image

    levels = LogMel(rate, 2048, BANDS)(audio.float().mean(0)[None, None])[0, 0]
    levels = adaptive_avg_pool1d(levels, COLUMNS) if levels.shape[1] > COLUMNS else levels
    place = (1 + (levels - levels.max()) / RANGE).clamp(0, 1).flip(0) * (len(RAMP) - 1)
    ramp = torch.tensor(RAMP, dtype=torch.float32)
    low = place.floor().long().clamp(max=len(RAMP) - 2)
    colours = torch.lerp(ramp[low], ramp[low + 1], (place - low)[..., None])
    image = Image.fromarray(colours.round().to(torch.uint8).numpy()).resize((COLUMNS, BANDS))
    content = io.BytesIO()
    image.quantize(64).save(content, "PNG", optimize=True)
    return content.getvalue()


def waveform(peaks: bytes) -> str:
    """Peaks as an SVG: bars around a middle line, in the text's colour."""
    width = 1000 / max(1, len(peaks))
    bars = "".join(
        f"M{(place + 0.5) * width:.1f} {50 - (high := max(1.0, peak / 255 * 46)):.1f}v{2 * high:.1f}"
        for place, peak in enumerate(peaks)
    )
    return (
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<path d="{bars}" stroke="currentColor" stroke-width="{0.62 * width:.2f}" stroke-linecap="round"/></svg>'
    )
