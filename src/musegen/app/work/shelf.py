"""What the Library does beside finding and marking: taking files in, giving clips out, and making them again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from musegen.app.store.record import Record, shortened
from musegen.app.store.search import Query, nearest
from musegen.app.work.job import Job
from musegen.app.work.uploads import Upload
from musegen.app.work.workshop import Workshop
from musegen.audio import encode_audio, peak_gain
from musegen.files import write_whole
from musegen.fingerprint import compare, hash_bytes, hash_tensor
from musegen.generation.clip import read_clip
from musegen.generation.names import slug

MAX_EXPORT = 200
BITS = 24


def take_in(workshop: Workshop, upload: Upload) -> Record:
    """Put a user's own audio into the library, as FLAC of 24 bits."""
    audio = upload.audio
    heard = workshop.hear(audio, upload.rate)

    def write(path: Path) -> Mapping[str, Any]:
        content = encode_audio(audio, upload.rate, "flac", BITS)
        said = {
            "format": "musegen-import",
            "version": 1,
            "title": upload.name,
            "sample_rate": upload.rate,
            "samples": audio.shape[-1],
            "audio_sha256": hash_tensor(audio),
            "file": path.name,
            "file_sha256": hash_bytes(content),
            "gain": peak_gain(audio),
            "licences": ["unknown"],
        }
        text = json.dumps(said, indent=2, ensure_ascii=False)
        write_whole({path: content, path.with_suffix(".json"): f"{text}\n".encode()})
        return said

    title = shortened(upload.name)
    return workshop.library.add(write, heard, kind="imported", title=title, keep=True)


def alike(workshop: Workshop, target: Tensor, query: Query, without: str = "") -> list[tuple[Record, float]]:
    """Clips that answer a query, those first that sound most like a unit vector ``[dim]``, with their cosines."""
    heard = workshop.library.vectors("heard", workshop.ears.space)
    records = {record.id: record for record in workshop.library.find(query) if record.id != without}
    known: dict[str, np.ndarray] = {id: heard[id] for id in records if id in heard}
    return [(records[id], cosine) for id, cosine in nearest(target.numpy(), known, query.limit)]


def heard_in(workshop: Workshop, id: str) -> Tensor:
    """What a clip sounds like, ``[dim]``.

    Raises:
        ValueError: if that is not known in the space of these ears.
    """
    import torch

    vector = workshop.library.vectors("heard", workshop.ears.space).get(id)
    if vector is None:
        raise ValueError("this clip was heard with another embedder and cannot be compared")
    return torch.from_numpy(vector.copy())


def pack_up(workshop: Workshop, ids: Sequence[str]) -> bytes:
    """A ZIP file of clips: audio, and the JSON beside it with what the library knows.

    Raises:
        ValueError: for no clips, or too many.
        OSError: if a file is missing.
    """
    if not 1 <= len(ids) <= MAX_EXPORT:
        raise ValueError(f"export: expected 1 to {MAX_EXPORT} clips, got {len(ids)}")
    library, content, names = workshop.library, io.BytesIO(), set()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as pack:
        for record in library.of_ids(ids):
            name = stem = slug(record.title)
            number = 1
            while name in names:
                number += 1
                name = f"{stem}_{number}"
            names.add(name)
            described = library.described(record.id) | {"file": f"{name}.flac", "library": known_of(record)}
            pack.writestr(f"{name}.flac", library.audio_path(record.id).read_bytes())
            pack.writestr(f"{name}.json", json.dumps(described, indent=2, ensure_ascii=False) + "\n")
    return content.getvalue()


def known_of(record: Record) -> dict[str, Any]:
    """What the library knows of a clip beyond its JSON."""
    whole = asdict(record)
    names = ("id", "title", "tags", "rating", "favourite", "created", "lineage", "closeness", "tempo", "key")
    return {name: whole[name] for name in names}


def make_again(workshop: Workshop, id: str, job: Job) -> str:
    """Make a clip again from its JSON, and say in a sentence whether its bits are the same.

    Raises:
        ValueError: if it was not generated, or its JSON is damaged.
        OSError: if a file is missing.
    """
    record = workshop.library.get(id)
    if record.kind != "generated":
        raise ValueError("imported audio was not generated, so it cannot be made again")
    content = workshop.library.audio_path(id).read_bytes()
    if hash_bytes(content) != record.file_sha256:
        return "The file is not what was saved: its SHA-256 differs from the one in the library."
    then = read_clip(workshop.library.json_path(id))
    with workshop.turns.take(job.user):
        clip = workshop.pipeline.remake(then, job.told)
    if hash_tensor(clip.audio) == then["audio_sha256"]:
        return f"Made again, bit for bit: the audio’s SHA-256 is {then['audio_sha256'][:12]}… both times."  # noqa: RUF001
    different = compare(then["fingerprint"], clip.fingerprint)
    fields = "; ".join(f"{name}: {_short(before)} then, {_short(now)} now" for name, (before, now) in different.items())
    return f"The bits differ. {fields or 'Nothing in the fingerprint does.'}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
