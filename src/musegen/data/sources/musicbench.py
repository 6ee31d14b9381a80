"""MusicBench: 10-second clips with captions, control sentences, chords, beats, tempo and key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from musegen.data.ingest.audio import AudioRules
from musegen.data.ingest.listed import ListedSource, Piece
from musegen.data.ingest.problems import Skip
from musegen.data.ingest.splits import Split
from musegen.data.ingest.tables import read_json_lines
from musegen.data.ingest.texts import clean, key_of, number

LICENCE = "CC-BY-SA-3.0"
FILES = re.compile(r"MusicBench_?(train|test)_?[AB]?\.jsonl?", re.IGNORECASE)
SENTENCES = {
    "chords": "prompt_ch",
    "beats": "prompt_bt",
    "bpm": "prompt_bpm",
    "key": "prompt_key",
    "volume": "prompt_aug",
}
"""Sentences that a row says beside its captions; each is about the clip that is heard, so it follows a caption."""

YOUTUBE_ID = 11  # letters; it may itself end in _1


class MusicBench(ListedSource):
    """MusicBench (Melechovsky et al., "Mustango", 2023, https://arxiv.org/abs/2311.08355).

    Captions by name: ``main``; ``alt``; ``main_chords``, ``main_beats``, ``main_bpm``, ``main_key`` and
    ``main_volume``, the main caption and one sentence after it; ``main_all``, with all of them. Rows of the same clip
    (rephrased captions, both test files) become one sample with the captions of all, ``main_2`` and so on.

    Clips are grouped by the recording that they were made of, so that no augmentation of a clip that is held out is
    trained on. The corpus's own test files are the test split; rows for training that are augmentations of theirs are
    left out.

    Args:
        folder: holds ``MusicBench_train.json`` and the test files, of either generation, and, as unpacked,
            ``datashare/`` or its content.
        sample_rate: to resample to, Hz; null keeps the files' own.
        min_seconds: shorter clips are left out.
    """

    def __init__(self, folder: str, sample_rate: int | None = 44100, min_seconds: float = 1.0) -> None:
        self.folder = Path(folder)
        super().__init__(AudioRules(sample_rate, min_seconds))

    def list_pieces(self, lost: list[Skip]) -> list[Piece]:
        """See `ListedSource`."""
        if not self.folder.is_dir():
            raise FileNotFoundError(2, "expected the folder of MusicBench, got none", str(self.folder))
        files = sorted((path for path in self.folder.rglob("*.json*") if FILES.fullmatch(path.name)), key=_order)
        if not files:
            raise ValueError(f"{self.folder}: expected MusicBench_train.json or a test file of MusicBench, got none")
        clips: dict[str, _Clip] = {}
        for file in files:
            split: Split = "test" if "test" in file.name.casefold() else "train"
            for name, row in read_json_lines(file, lost):
                location = clean(row.get("location"))
                captions = _captions(row)
                if location is None:
                    lost.append(Skip(name, "no location"))
                elif not captions:
                    lost.append(Skip(f"{name} ({location})", "no caption"))
                else:
                    clips.setdefault(location, _Clip(name, split)).add(split, captions, _facts(row))
        tested = {base_clip(location) for location, clip in clips.items() if clip.split == "test"}
        return [piece for location, clip in clips.items() if (piece := self._piece(location, clip, tested, lost))]

    def _piece(self, location: str, clip: _Clip, tested: set[str], lost: list[Skip]) -> Piece | None:
        group, path = base_clip(location), PurePosixPath(location.replace("\\", "/"))
        if clip.split == "train" and group in tested:
            lost.append(Skip(f"{clip.row} ({location})", "its recording is in the test set"))
            return None
        if path.is_absolute() or ".." in path.parts:
            lost.append(Skip(f"{clip.row} ({location})", "location leads out of the corpus"))
            return None
        facts = {"source": "musicbench", "licence": LICENCE, "location": location} | clip.facts
        own: Split | None = "test" if clip.split == "test" else None
        key = key_of(path.with_suffix("").as_posix().replace("/", "+"), "mb-")
        return Piece(key, f"{clip.row} ({location})", group, [str(self._find(path))], clip.captions, facts, own)

    def _find(self, path: PurePosixPath) -> Path:
        """Where a clip lies: in the folder, under ``datashare/``, or under another folder of the archive's."""
        if not hasattr(self, "_roots"):
            below = sorted(place for place in self.folder.iterdir() if place.is_dir())
            self._roots = [self.folder, self.folder / "datashare", *below]
        return next((root / path for root in self._roots if (root / path).exists()), self.folder / "datashare" / path)


class _Clip:
    """What all rows of one clip say.

    Args:
        row: name of the first one.
        split: of it.
    """

    def __init__(self, row: str, split: Split) -> None:
        self.row, self.split = row, split
        self.captions: dict[str, str] = {}
        self.facts: dict[str, Any] = {}
        self.rows = 0

    def add(self, split: Split, captions: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        self.rows += 1
        if split == "test":
            self.split = split
        known = set(self.captions.values())
        for name, text in captions.items():
            if text not in known:
                self.captions[name if self.rows == 1 else f"{name}_{self.rows}"] = text
        self.facts = {**facts, **self.facts}


def base_clip(location: str) -> str:
    """The recording that a clip was made of: ``data_aug2/-0SdAVK79lg_1.wav`` of ``-0SdAVK79lg``.

    A YouTube id has eleven characters and may end in what looks like an augmentation's number.
    """
    stem = PurePosixPath(location.replace("\\", "/")).stem
    if len(stem) == YOUTUBE_ID or re.fullmatch(r"(_\d+)+", stem[YOUTUBE_ID:]):
        return stem[:YOUTUBE_ID]
    return re.sub(r"(_\d+)+$", "", stem) or stem


def _order(path: Path) -> tuple[bool, str]:
    return "test" in path.name.casefold(), path.as_posix()


def _captions(row: Mapping[str, Any]) -> dict[str, str]:
    """All captions of a row; empty where it has none."""
    main, alt = clean(row.get("main_caption")), clean(row.get("alt_caption"))
    captions = {name: text for name, text in (("main", main or alt), ("alt", alt)) if text}
    if not captions:
        return {}
    sentences = {name: text for name, field in SENTENCES.items() if (text := clean(row.get(field)))}
    for name, sentence in sentences.items():
        captions[f"main_{name}"] = _joined(captions["main"], sentence)
    if len(sentences) > 1:
        captions["main_all"] = _joined(captions["main"], *sentences.values())
    first = {text: name for name, text in reversed(captions.items())}
    return {name: text for name, text in captions.items() if first[text] == name}


def _joined(caption: str, *sentences: str) -> str:
    """A caption and sentences after it; those that it ends in already are not said twice."""
    new = [sentence for sentence in sentences if sentence not in caption]
    return " ".join([caption if not new or caption[-1] in ".!?" else f"{caption}.", *new])


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Tempo, key, chords and beats, as far as they are what they should be."""
    facts: dict[str, Any] = {}
    if (tempo := number(row.get("bpm"))) is not None and tempo > 0:
        facts["tempo"] = tempo
    key = row.get("key")
    if isinstance(key, list) and len(key) == 2 and all(clean(part) for part in key):
        facts["key"], facts["mode"] = f"{key[0]} {key[1]}", str(key[1])
    probability = row.get("keyprob")
    probability = number(probability[0] if isinstance(probability, list) and probability else probability)
    if "key" in facts and probability is not None:
        facts["key_probability"] = probability
    chords, times = row.get("chords"), row.get("chords_time")
    if isinstance(chords, list) and chords and all(isinstance(chord, str) for chord in chords):
        facts["chords"] = chords
        if isinstance(times, list) and len(times) == len(chords) and all(number(time) is not None for time in times):
            facts["chords_time"] = [number(time) for time in times]
    beats = row.get("beats")
    if isinstance(beats, list) and len(beats) == 2 and all(isinstance(part, list) for part in beats):
        pairs = [[number(time), number(count)] for time, count in zip(*beats, strict=False)]
        if pairs and all(None not in pair for pair in pairs):
            facts["beats"] = pairs
    if isinstance(row.get("is_audioset_eval_mcaps"), bool):
        facts["is_audioset_eval"] = row["is_audioset_eval_mcaps"]
    return facts
