"""Music rendered from accompaniment styles through a soundfont: any number of pieces, captions true by construction."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from musegen.audio import encode_audio
from musegen.data.ingest.splits import Split
from musegen.data.rendering.captions import mood, pace, write_captions
from musegen.data.rendering.library import find_mma, read_library
from musegen.data.rendering.performance import Arrangement, arrange, mix
from musegen.data.rendering.songs import Song, compose
from musegen.data.rendering.soundfont import find_soundfont, is_free
from musegen.data.rendering.splits import check_split, has_style
from musegen.data.sample import Sample
from musegen.data.sources.base import Source
from musegen.flow.noise import hash_seed

SAMPLE_RATE = 44100
ATTEMPTS = 4
PARTS: dict[str, Split] = {"train": "train", "val": "val", "unseen": "test"}


class Rendered(Source):
    """Songs over the styles of MMA (Musical MIDI Accompaniment), rendered through a soundfont.

    Song n of a seed and split is the same on every machine with the same MMA, soundfont and synthesizer, however many
    processes render. Another seed gives other songs.

    Args:
        songs: how many.
        seed: of all songs.
        seconds: length of each, at most: some end a little before, with an ending.
        split: ``train``; ``val`` for songs that are never in training (no training song has their genre, key and tempo
            together) over styles and progressions that are; ``unseen`` for such songs over styles and progressions that
            are not. What belongs where does not depend on the seed.
        soundfont: an .sf2 or .sf3 file; None looks where Debian's packages put MuseScore's and FluidR3's, whose
            licences ask nothing of what they play. Of another one that counts as unknown.
        mma: folder of MMA (with ``lib/stdlib``); None looks where Debian's package puts it.
    """

    def __init__(
        self,
        songs: int,
        seed: int = 0,
        seconds: float = 30.0,
        split: str = "train",
        soundfont: str | None = None,
        mma: str | None = None,
    ) -> None:
        super().__init__()
        if songs < 1 or seconds < 4:
            raise ValueError(f"expected songs of 1 or more and seconds of 4 or more, got {songs} and {seconds}")
        check_split(split)
        self.songs, self.seed, self.seconds, self.part = songs, seed, seconds, split
        self.mma = find_mma(mma)
        self.soundfont = find_soundfont(soundfont)
        self.styles = [style for style in read_library(self.mma) if has_style(split, style.name)]
        if not self.styles:
            raise ValueError(f"expected styles of MMA for {split} in {self.mma}/lib/stdlib, got none")

    def __len__(self) -> int:
        return self.songs

    def key(self, number: int) -> str:
        """The key of song ``number``'s sample."""
        return f"rendered-{self.part}-{self.seed}-{number:06d}"

    def split(self, number: int) -> Split:
        """What the split of these songs is called elsewhere: unseen styles are for testing."""
        return PARTS[self.part]

    @property
    def made_by(self) -> Mapping[str, Any]:
        """The recipe, with hashes of MMA's library and the soundfont in place of where they lie."""
        chosen = {name: value for name, value in self.config["init_args"].items() if name not in ("soundfont", "mma")}
        library = hashlib.sha256()
        for file in sorted((Path(self.mma) / "lib" / "stdlib").glob("*.mma")):
            library.update(file.read_bytes())
        font = {
            "name": Path(self.soundfont).name,
            "sha256": hashlib.sha256(Path(self.soundfont).read_bytes()).hexdigest(),
        }
        return {**self.config, "init_args": chosen, "soundfont": font, "library": {"sha256": library.hexdigest()}}

    def song(self, number: int, attempt: int = 0) -> Song:
        """What song ``number`` is, before it is played."""
        return compose(self._chance("song", number, attempt), self.styles, self.seconds, self.part)

    def read(self, number: int) -> Sample | None:
        """Compose, arrange, play and render a song; another one where that fails, and None after four such."""
        for attempt in range(ATTEMPTS):
            song, chance = self.song(number, attempt), self._chance("performance", number, attempt)
            arrangement = arrange(song, self.mma, self.seconds, chance)
            if arrangement is None:
                continue
            audio = mix(arrangement.parts, self.soundfont, SAMPLE_RATE, self.seconds, chance)
            if audio is not None:
                facts = {**self._facts(number, song, arrangement), "seconds": audio.shape[1] / SAMPLE_RATE}
                flac = encode_audio(torch.from_numpy(audio), SAMPLE_RATE, "flac")
                return Sample(self.key(number), facts, audio=flac)
        return None

    def facts(self, number: int) -> dict[str, Any] | None:
        """What will be known of a song but its length, without rendering it; None where its first attempt fails."""
        song = self.song(number)
        arrangement = arrange(song, self.mma, self.seconds, self._chance("performance", number, 0))
        return None if arrangement is None else self._facts(number, song, arrangement)

    def _chance(self, of: str, *parts: int) -> random.Random:
        return random.Random(hash_seed(self.seed, self.part, of, *parts))

    def _facts(self, number: int, song: Song, played: Arrangement) -> dict[str, Any]:
        pitched = played.kind != "drums alone"
        return {
            "captions": write_captions(self._chance("caption", number), song, played),
            "source": "rendered",
            "licence": "CC0-1.0" if is_free(self.soundfont) else "unknown",
            "tempo": song.tempo,
            "pace": pace(song.tempo),
            "key": song.key if pitched else None,
            "mode": song.mode if pitched else None,
            "mood": mood(song.mode, song.tempo) if pitched else None,
            "metre": song.genre.metre,
            "genre": song.genre.words,
            "family": song.genre.family,
            "style": song.style,
            "groove": next(section.groove for section in song.sections if len(section.name) == 1),
            "grooves": list(dict.fromkeys(section.groove for section in song.sections)),
            "sections": song.starts(),
            "progressions": dict(song.progressions),
            "ensemble": played.kind,
            "instruments": list(played.instruments),
            "lead": played.lead,
            "split": self.part,
            "seed": self.seed,
            "number": number,
            "soundfont": Path(self.soundfont).name,
        }
