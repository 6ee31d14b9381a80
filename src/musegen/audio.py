"""Audio files in and out. Audio in memory is float32, ``[channels, samples]``, full scale at ±1."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from musegen.files import check_is_file, write_whole
from musegen.torchaudio_guard import import_torchaudio

FORMATS = ("wav", "flac", "ogg")
_BLOCK = 1 << 16  # libvorbis overflows its stack when it is given a whole song in one write


def encode_audio(audio: Tensor, sample_rate: int, format: str = "wav", bits: int = 16) -> bytes:
    """Encode audio as the bytes of a file: WAV, FLAC or OGG Vorbis.

    Audio that peaks above full scale is turned down as a whole, so that nothing clips; quieter audio keeps its level.
    Rounding to PCM is plain, without dither: the same audio gives the same samples every time. (The container of an OGG
    file holds a random serial number, so that its bytes differ from file to file.)

    Args:
        audio: ``[channels, samples]``, one or two channels.
        sample_rate: in Hz.
        format: ``wav``, ``flac`` or ``ogg``.
        bits: 16 or 24 bits a sample, or 32 for a WAV of floats, which is neither rounded nor turned down.

    Raises:
        ValueError: for another format or number of bits, or audio of another shape or with values that are not finite.
    """
    format = format.lower()
    check_format(format, bits)
    if audio.ndim != 2 or audio.shape[0] not in (1, 2):
        raise ValueError(f"audio: expected [1 or 2 channels, samples], got {list(audio.shape)}")
    samples = audio.detach().to("cpu", torch.float32).T.contiguous().numpy()
    if not np.isfinite(samples).all():
        raise ValueError("audio: expected finite samples, got NaN or infinity")
    subtype, prepared = _prepare(samples, format, bits)
    buffer = io.BytesIO()
    container = {"samplerate": sample_rate, "channels": audio.shape[0], "format": format.upper(), "subtype": subtype}
    with soundfile.SoundFile(buffer, "w", **container) as file:
        for start in range(0, len(prepared), _BLOCK):
            file.write(prepared[start : start + _BLOCK])
    return buffer.getvalue()


def check_format(format: str, bits: int) -> None:
    """Refuse what `encode_audio` does not know.

    Raises:
        ValueError: for another format or number of bits.
    """
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    if bits not in (16, 24) and (bits, format) != (32, "wav"):
        raise ValueError(f"bits: expected 16 or 24 (or 32 for wav), got {bits} for {format}")


def _prepare(samples: np.ndarray, format: str, bits: int) -> tuple[str, np.ndarray]:
    """The subtype of a format, and the samples as it wants them."""
    if bits == 32 and format == "wav":
        return "FLOAT", samples
    safe = samples.astype(np.float64) * peak_gain(samples)
    if format == "ogg":
        return "VORBIS", safe.astype(np.float32)
    full_scale = 2 ** (bits - 1) - 1
    pcm = np.rint(safe * full_scale).astype(np.int32)
    if bits == 16:
        return "PCM_16", pcm.astype(np.int16)
    return "PCM_24", pcm << 8  # soundfile takes 24 bits as the upper ones of 32


def peak_gain(samples: np.ndarray | Tensor) -> float:
    """The gain that brings the peak down to full scale; 1 where it is not above."""
    peak = float(abs(samples).max()) if samples.shape[0] and samples.shape[1] else 0.0
    return 1.0 / max(1.0, peak)


def write_audio(path: str | Path, audio: Tensor, sample_rate: int, format: str | None = None, bits: int = 16) -> Path:
    """Write an audio file, whole or not at all. See `encode_audio`; the format defaults to the file's suffix.

    Raises:
        ValueError: see `encode_audio`.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    write_whole({path: encode_audio(audio, sample_rate, format or path.suffix.lstrip("."), bits)})
    return path


def read_audio(path: str | Path, sample_rate: int | None = None, channels: int | None = 2) -> tuple[Tensor, int]:
    """Read an audio file of any kind that libsndfile knows (WAV, FLAC, OGG, Opus, MP3, AIFF …).

    Args:
        path: the file.
        sample_rate: resample to this rate, Hz; None keeps the file's own.
        channels: 2 copies mono to both sides, and keeps the front pair of more; 1 takes the mean; None keeps all.

    Returns:
        Audio ``[channels, samples]`` and its sample rate.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is not audio.
    """
    check_is_file(path, "an audio file")
    with open(path, "rb") as file:
        try:
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, TypeError) as error:
            raise ValueError(f"{path}: expected an audio file (WAV, FLAC, OGG, MP3 …): {why(error)}") from error
    audio = to_channels(torch.from_numpy(samples.T.copy()), channels)
    if sample_rate is None:
        return audio, rate
    return resample(audio, rate, sample_rate), sample_rate


def why(error: Exception) -> str:
    """Why audio could not be read, in one line, without the object that it was read from."""
    reason = getattr(error, "error_string", "") or str(error) or type(error).__name__
    return " ".join(reason.split()).removeprefix("Error : ").rstrip(".")


def to_channels(audio: Tensor, channels: int | None) -> Tensor:
    """Make audio ``[..., any, samples]`` mono, stereo, or leave it (None). See `read_audio`."""
    if channels is None or audio.shape[-2] == channels:
        return audio
    if channels == 1:
        return audio.mean(-2, keepdim=True)
    if channels != 2:
        raise ValueError(f"channels: expected 1, 2 or None, got {channels}")
    if audio.shape[-2] == 1:
        return audio.expand(*audio.shape[:-2], 2, audio.shape[-1]).contiguous()
    return audio[..., :2, :]


def resample(audio: Tensor, rate: int, new_rate: int) -> Tensor:
    """Resample audio ``[..., samples]`` by windowed sinc interpolation (torchaudio's)."""
    if rate == new_rate:
        return audio
    import_torchaudio()
    from torchaudio.functional import resample as sinc

    return sinc(audio, rate, new_rate)
