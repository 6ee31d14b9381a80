"""Captions of rendered songs: several true phrasings of what is known."""

from __future__ import annotations

import random
from collections.abc import Sequence

from musegen.data.rendering.songs import Song

# What a style's name means, where splitting it into words is not enough.
STYLES = {
    "50srock": "50s rock", "60srock": "60s rock", "68march": "6/8 march", "68swing": "6/8 swing",
    "8beat": "eight-beat pop", "arpeggio44": "arpeggiated", "arpeggio68": "6/8 arpeggiated",
    "arpeggiowaltz": "arpeggiated waltz", "ballad128": "12/8 ballad", "ballad68": "6/8 ballad",
    "basicrock": "basic rock", "bigband": "big band", "bluefolk": "blues folk", "blues128": "12/8 blues",
    "blues68": "6/8 blues", "boggiewoggie": "boogie woogie", "bossanova": "bossa nova", "boneym": "disco pop",
    "broadwaywaltz": "broadway waltz", "bubblerock": "bubblegum rock", "bvfunk": "funk", "bwmarch": "brass band march",
    "countryblues": "country blues", "countryswing": "country swing", "countrywaltz": "country waltz",
    "cubanguitar": "cuban guitar", "descendingjazz": "descending jazz", "dixiemarch": "dixie march", "dsoul": "soul",
    "easyswing": "easy swing", "evansish": "jazz piano trio", "fastblues": "lively blues",
    "fastjazzwaltz": "lively jazz waltz", "fastswing": "lively swing", "fastwaltz": "lively waltz",
    "folkballad": "folk ballad", "folkrock": "folk rock", "folkyjazz": "folky jazz", "frenchwaltz": "french waltz",
    "guitarballad": "guitar ballad", "gypsyjazz": "gypsy jazz", "hillcountry": "hillbilly country",
    "jazz-54": "5/4 jazz", "jazzcombo": "jazz combo", "jazzguitar": "jazz guitar", "jazzrhumba": "jazz rhumba",
    "jazzrock": "jazz rock", "jazzwaltz": "jazz waltz", "latinwaltz": "latin waltz", "lfusion": "latin fusion",
    "lighttango": "light tango", "mellowjazz": "mellow jazz", "modernjazz": "modern jazz",
    "modernjazzwaltz": "modern jazz waltz", "nitejazz": "night jazz", "pianoballad": "piano ballad",
    "popballad": "pop ballad", "popspiritual": "pop spiritual", "rb-ballad": "R&B ballad", "rb": "R&B",
    "rock-128": "12/8 rock", "rockballad": "rock ballad", "rockwaltz": "rock waltz",
    "shuffleboggie": "shuffle boogie", "slowblues": "slow blues", "slowbolero": "bolero",
    "slowbroadway": "broadway", "slowcountry": "country", "slowjazz": "jazz ballad", "slowspiritual": "spiritual",
    "softrock": "soft rock", "softshoe": "soft shoe", "stringballad": "string ballad",
    "vienesewaltz": "viennese waltz", "westernswing": "western swing",
}  # fmt: skip
METRES = {3: "in three four", 5: "in five four", 6: "in six eight"}
WRITTEN_OTHERWISE = {"afro-cuban": "in six eight"}
MOODS = {("major", 0): "calm", ("major", 1): "cheerful", ("minor", 0): "sad", ("minor", 1): "driving"}


def write_captions(chance: random.Random, song: Song, instruments: Sequence[str]) -> list[str]:
    """Six captions, from a full sentence to a few words; each says only what is true of the song."""
    style, pace = STYLES.get(song.style, song.style.replace("-", " ")), tempo_word(song.tempo)
    mood = MOODS[song.mode, int(song.tempo >= 110)]
    played = list(instruments)
    chance.shuffle(played)
    several = listed(played)
    lead = next((name for name in played if name != "drums"), played[0])
    metre = WRITTEN_OTHERWISE.get(song.style, METRES.get(song.metre, ""))
    return [
        f"a {pace} {style} piece at {song.tempo} bpm in {song.key_name} with {listed(instruments)}",
        f"{style}, {pace}, {song.tempo} bpm, {song.key_name}, {', '.join(instruments)}",
        f"{mood} {style} in {song.key_name} played by {several} {metre}".rstrip(),
        f"{lead} playing a {pace} {style} tune in a {song.mode} key",
        f"a {mood} {pace} {style}, {song.tempo} beats per minute",
        f"{several}, {song.key_name}, {pace}",
    ]


def tempo_word(tempo: float) -> str:
    """A word for beats a minute."""
    for limit, word in ((76, "very slow"), (96, "slow"), (120, "mid-tempo"), (150, "fast")):
        if tempo < limit:
            return word
    return "very fast"


def listed(names: Sequence[str]) -> str:
    """Names as English lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
