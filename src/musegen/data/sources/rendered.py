"""Music rendered from accompaniment styles through a soundfont: any number of pieces, captions true by construction."""

from __future__ import annotations

import random
from pathlib import Path

from musegen.audio import encode_audio
from musegen.data.rendering.captions import write_captions
from musegen.data.rendering.mma import find_mma, grooves, play
from musegen.data.rendering.songs import Song, compose
from musegen.data.rendering.soundfont import find_soundfont, instruments, is_free, render
from musegen.data.sample import Sample
from musegen.data.sources.base import Source
from musegen.flow.noise import hash_seed

SAMPLE_RATE = 44100


class Rendered(Source):
    """Songs over the styles of MMA (Musical MIDI Accompaniment), rendered through a soundfont.

    Song n of a seed is the same on every machine with the same MMA and soundfont. Another seed gives other songs over
    the same styles; ``held_out_styles`` keeps whole styles apart.

    Args:
        songs: how many.
        seed: of all songs.
        seconds: length of each, at most; the piece is composed to fill it.
        soundfont: an .sf2 or .sf3 file; None looks where Debian's packages put MuseScore's and FluidR3's, whose
            licences ask nothing of what they play. Of another one that counts as unknown.
        mma: folder of MMA (with ``lib/stdlib``); None looks where Debian's package puts it.
        held_out_styles: None for all styles; "train" for all but every tenth, "held_out" for every tenth.
    """

    def __init__(
        self,
        songs: int,
        seed: int = 0,
        seconds: float = 30.0,
        soundfont: str | None = None,
        mma: str | None = None,
        held_out_styles: str | None = None,
    ) -> None:
        super().__init__()
        if songs < 1 or seconds < 4:
            raise ValueError(f"expected songs of 1 or more and seconds of 4 or more, got {songs} and {seconds}")
        if held_out_styles not in (None, "train", "held_out"):
            raise ValueError(f"held_out_styles: expected null, 'train' or 'held_out', got {held_out_styles!r}")
        self.songs, self.seed, self.seconds = songs, seed, seconds
        self.mma = find_mma(mma)
        self.soundfont = find_soundfont(soundfont)
        styles = grooves(self.mma)
        if held_out_styles is not None:
            apart = held_out_styles == "held_out"
            styles = [style for number, style in enumerate(styles) if (number % 10 == 9) == apart]
        if not styles:
            raise ValueError(f"expected styles of MMA in {self.mma}/lib/stdlib, got none")
        self.styles = styles

    def __len__(self) -> int:
        return self.songs

    def song(self, number: int) -> Song:
        """What song ``number`` is, before it is played."""
        return compose(random.Random(hash_seed(self.seed, "song", number)), self.styles, self.seconds)

    def read(self, number: int) -> Sample | None:
        """Compose, play and render a song; None where MMA cannot play the style, or no pitched note sounds."""
        song = self.song(number)
        midi = play(self.mma, song)
        if midi is None:
            return None
        heard = instruments(midi)
        if set(heard) <= {"drums"}:
            return None
        random_pan = random.Random(hash_seed(self.seed, "pan", number))
        audio = render(midi, self.soundfont, SAMPLE_RATE, self.seconds, random_pan)
        if audio is None:
            return None
        facts = {
            "captions": write_captions(random.Random(hash_seed(self.seed, "caption", number)), song, heard),
            "source": "rendered",
            "licence": "CC0-1.0" if is_free(self.soundfont) else "unknown",
            "seconds": audio.shape[1] / SAMPLE_RATE,
            "tempo": song.tempo,
            "key": song.key_name,
            "mode": song.mode,
            "metre": song.metre,
            "style": song.style,
            "groove": song.groove,
            "instruments": heard,
            "soundfont": Path(self.soundfont).name,
        }
        return Sample(f"rendered-{self.seed}-{number:06d}", facts, audio=encode_audio(audio, SAMPLE_RATE, "flac"))
