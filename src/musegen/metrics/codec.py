"""How well a codec gives back music: spectra, mel spectra, and samples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from musegen.audio import encode_audio, resample, to_channels
from musegen.files import write_whole
from musegen.metrics.figures import Figure, mean_of, statistic_of
from musegen.metrics.hearing.level import silent
from musegen.metrics.music import Piece, decode
from musegen.models.oobleck import OobleckAutoencoder
from musegen.models.reconstruction_loss import MelDistance, MultiResolutionSTFT, scale_invariant_sdr

CHUNK = 128
"""Frames of latents that are computed at a time."""


@torch.inference_mode()
def judge_codec(
    codec: OobleckAutoencoder,
    pieces: Sequence[Piece],
    seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    given_back: Callable[[Piece, Tensor], None] | None = None,
) -> list[Figure]:
    """Encode and decode music, by the posterior's mean, and measure how far it is from what it was.

    Args:
        codec: on its device.
        pieces: music; clips that are silent throughout are left out, as they have no signal to compare with.
        seconds: of every clip no more than its first.
        progress: told how many are done, and of how many.
        given_back: told every piece and what the codec made of it, ``[2, samples]``, on the CPU.

    Returns:
        SI-SDR (mean and median), multi-resolution STFT distance, and log10-mel distance.

    Raises:
        ValueError: naming a file that is no audio; if all clips are silent.
    """
    device = next(codec.parameters()).device
    spectra, mel = MultiResolutionSTFT().to(device), MelDistance(codec.sample_rate).to(device)
    rows = []
    originals = zip(pieces, _originals(codec, pieces, seconds), strict=True)
    for done, (piece, original) in enumerate(originals, 1):
        if original is not None:
            original = original.to(device)
            heard = give_back(codec, original)
            if given_back is not None:
                given_back(piece, heard[0].float().cpu())
            rows.append([float(one) for one in (
                scale_invariant_sdr(heard, original), spectra(heard, original), mel(heard, original)
            )])  # fmt: skip
        if progress is not None:
            progress(done, len(pieces))
    if not rows:
        raise ValueError("expected music to encode, got silence only")
    sdr, distance, mel_distance = torch.tensor(rows, dtype=torch.float64).T.numpy()
    middle = statistic_of(lambda drawn: float(np.median(sdr[drawn])), range(len(sdr)))
    return [
        Figure("codec", "SI-SDR, dB", mean_of(sdr), note="mean over clips"),
        Figure("codec", "SI-SDR, median", middle, note="dB"),
        Figure("codec", "multi-resolution STFT", mean_of(distance), better="lower", note="convergence + log magnitude"),
        Figure("codec", "mel", mean_of(mel_distance), better="lower", note="mean |log10|"),
    ]


def give_back(codec: OobleckAutoencoder, audio: Tensor) -> Tensor:
    """Music after encoding and decoding, ``[1, 2, samples]``."""
    return codec.decode_chunked(codec.encode_chunked(audio, CHUNK).mean, CHUNK)[..., : audio.shape[-1]]


def keep(piece: Piece, audio: Tensor, sample_rate: int, folder: Path) -> Path:
    """Write what a codec made of a piece: FLAC, and its caption beside it, so that the folder can be judged as clips.

    Args:
        piece: the original.
        audio: ``[2, samples]``; turned down where it would clip.
        sample_rate: Hz.
        folder: for the files, which are named after the piece.
    """
    path = folder / f"{Path(piece.key).with_suffix('').as_posix().replace('/', '_')}.flac"
    said = {"format": "musegen-reconstruction", "prompt": piece.caption, "of": piece.key}
    text = json.dumps(said, ensure_ascii=False)
    write_whole({path: encode_audio(audio, sample_rate, "flac"), path.with_suffix(".json"): f"{text}\n".encode()})
    return path


def _originals(codec: OobleckAutoencoder, pieces: Sequence[Piece], seconds: float | None) -> Iterator[Tensor | None]:
    for piece in pieces:
        sound = decode(piece.content(), piece.key, seconds)
        if silent(sound.audio.numpy(), sound.sample_rate) == 1.0:
            yield None
            continue
        yield resample(to_channels(sound.audio, 2), sound.sample_rate, codec.sample_rate)[None]
