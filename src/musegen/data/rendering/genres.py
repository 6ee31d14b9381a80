"""What is known of MMA's styles beyond their files: their names, how fast they may go, how their bars are felt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Genre:
    """A style in words.

    Args:
        words: its name; a name of a thing ("waltz") where `countable`, else of a manner ("bossa nova").
        family: the wider genre, one word.
        slowest: sensible tempo, felt beats a minute.
        fastest: likewise.
        metre: as written, such as ``3/4``.
        pulse: how many of MMA's beats make one felt beat.
        thirds: whether felt beats fall into three parts rather than two.
        countable: whether one may say "a" before the words.
        small: the words where few play, if the words name a large ensemble.
    """

    words: str
    family: str
    slowest: int
    fastest: int
    metre: str = "4/4"
    pulse: float = 1.0
    thirds: bool = False
    countable: bool = False
    small: str | None = None

    @property
    def beats(self) -> int:
        """Felt beats of a bar."""
        above, below = (int(part) for part in self.metre.split("/"))
        return above // 3 if below == 8 else above


# file: words, family, slowest, fastest; "a …" where the words are countable.
_FOUR_FOUR = {
    "50srock": ("fifties rock", "rock", 90, 170), "60srock": ("sixties rock", "rock", 90, 170),
    "8beat": ("eight-beat pop", "pop", 76, 140), "arpeggio44": ("arpeggiated study", "classical", 60, 140),
    "ballad": ("ballad", "ballad", 60, 104), "basicrock": ("rock", "rock", 84, 164),
    "bebop": ("bebop", "jazz", 112, 180),
    "beguine": ("beguine", "latin", 84, 140), "bigband": ("big band swing", "swing", 100, 180),
    "bluefolk": ("blues folk", "folk", 76, 140), "bluegrass": ("bluegrass", "country", 90, 160),
    "blues": ("blues", "blues", 66, 150), "boggiewoggie": ("boogie woogie", "blues", 100, 176),
    "bolero": ("bolero", "latin", 66, 116), "boneym": ("disco pop", "pop", 96, 140),
    "bossanova": ("bossa nova", "latin", 84, 160), "broadway": ("broadway show tune", "stage", 84, 170),
    "bubblerock": ("bubblegum rock", "rock", 96, 160), "bvfunk": ("funk", "funk", 84, 130),
    "bwmarch": ("march", "march", 84, 132), "calypso": ("calypso", "latin", 84, 150),
    "chacha": ("cha-cha", "latin", 96, 140), "charleston": ("charleston", "swing", 110, 180),
    "countryblues": ("country blues", "country", 70, 140), "countryswing": ("country swing", "country", 90, 170),
    "cubanguitar": ("cuban folk", "latin", 80, 150), "descendingjazz": ("jazz", "jazz", 76, 150),
    "desert": ("desert blues", "folk", 70, 130), "dixie": ("dixieland", "swing", 100, 180),
    "dixiemarch": ("dixieland march", "march", 90, 150), "dsoul": ("soul", "soul", 70, 130),
    "easyswing": ("easy swing", "swing", 84, 150), "evansish": ("modal jazz", "jazz", 70, 150),
    "fastblues": ("blues", "blues", 100, 180), "fastswing": ("swing", "swing", 130, 180),
    "folk": ("folk", "folk", 76, 150), "folkballad": ("folk ballad", "folk", 60, 112),
    "folkrock": ("folk rock", "rock", 80, 150), "folkyjazz": ("folk jazz", "jazz", 76, 150),
    "foxtrot": ("foxtrot", "swing", 90, 170), "guitarballad": ("ballad", "ballad", 60, 104),
    "gypsyjazz": ("gypsy jazz", "jazz", 110, 180), "hillcountry": ("hill country blues", "country", 80, 150),
    "hymn": ("hymn", "gospel", 60, 110), "jazzcombo": ("jazz", "jazz", 76, 160),
    "jazzguitar": ("jazz", "jazz", 70, 150),
    "jazzrhumba": ("jazz rhumba", "latin", 84, 140), "jazzrock": ("jazz rock", "jazz", 84, 150),
    "jive": ("jive", "swing", 110, 176), "lfusion": ("latin fusion", "latin", 84, 140),
    "lighttango": ("light tango", "latin", 84, 136), "lullaby": ("lullaby", "folk", 60, 96),
    "mambo": ("mambo", "latin", 100, 180), "march": ("march", "march", 84, 132),
    "mellowjazz": ("mellow jazz", "jazz", 64, 130), "merengue": ("merengue", "latin", 110, 170),
    "modernjazz": ("modern jazz", "jazz", 84, 170), "nitejazz": ("late-night jazz", "jazz", 60, 120),
    "pianoballad": ("ballad", "ballad", 60, 104), "polka": ("polka", "folk", 96, 150),
    "popballad": ("pop ballad", "ballad", 60, 104), "popspiritual": ("pop spiritual", "gospel", 70, 130),
    "quickstep": ("quickstep", "swing", 140, 180), "ragtime": ("rag", "ragtime", 80, 150),
    "rb-ballad": ("R&B ballad", "soul", 60, 104), "rb": ("R&B", "soul", 76, 140),
    "rhumba": ("rhumba", "latin", 84, 140), "rockballad": ("rock ballad", "ballad", 60, 104),
    "salsa": ("salsa", "latin", 100, 180), "samba": ("samba", "latin", 90, 150),
    "showtune": ("show tune", "stage", 80, 160),
    "shuffleboggie": ("boogie shuffle", "blues", 96, 170), "ska": ("ska", "latin", 100, 170),
    "slowblues": ("blues", "blues", 60, 96), "slowbolero": ("bolero", "latin", 60, 100),
    "slowbroadway": ("broadway ballad", "stage", 60, 104), "slowcountry": ("country", "country", 60, 110),
    "slowjazz": ("jazz ballad", "jazz", 60, 100), "slowspiritual": ("spiritual", "gospel", 60, 100),
    "softrock": ("soft rock", "rock", 72, 130), "softshoe": ("soft-shoe", "stage", 80, 140),
    "son": ("son cubano", "latin", 84, 160), "spiritual": ("spiritual", "gospel", 70, 130),
    "stringballad": ("ballad", "ballad", 60, 104), "strut": ("strut", "swing", 84, 150),
    "swing": ("swing", "swing", 84, 170),
    "tango": ("tango", "latin", 84, 140), "trance": ("trance", "electronic", 110, 150),
    "twist": ("twist", "rock", 120, 176),
    "westernswing": ("western swing", "country", 90, 170), "zydeco": ("zydeco", "country", 90, 160),
}  # fmt: skip
_COUNTABLE = {
    "ballad", "beguine", "bolero", "march", "study", "tune", "waltz", "hymn", "lullaby", "polka", "rag", "rhumba",
    "samba", "tango", "rhythm", "foxtrot", "quickstep", "charleston", "mambo", "spiritual", "cha-cha", "twist", "jive",
    "strut", "shuffle",
}  # fmt: skip
_THREE_FOUR = {
    "arpeggiowaltz": ("waltz study", "waltz"), "broadwaywaltz": ("broadway waltz", "stage"),
    "countrywaltz": ("country waltz", "country"), "fastjazzwaltz": ("jazz waltz", "jazz"),
    "fastwaltz": ("waltz", "waltz"),
    "frenchwaltz": ("french waltz", "waltz"), "jazzwaltz": ("jazz waltz", "jazz"),
    "latinwaltz": ("latin waltz", "latin"),
    "modernjazzwaltz": ("modern jazz waltz", "jazz"), "rockwaltz": ("rock waltz", "rock"),
    "vienesewaltz": ("viennese waltz", "waltz"), "waltz": ("waltz", "waltz"),
}  # fmt: skip


def _genre(words: str, family: str, *rest: object, **named: object) -> Genre:
    countable = words.split()[-1] in _COUNTABLE
    return Genre(words, family, *rest, countable=countable, **named)  # type: ignore[arg-type]


GENRES = {
    **{name: _genre(*row) for name, row in _FOUR_FOUR.items()},
    **{name: _genre(*row, 84, 180, "3/4") for name, row in _THREE_FOUR.items()},
    "bigband": Genre("big band swing", "swing", 100, 180, small="swing"),
    "jazz-54": _genre("jazz", "jazz", 96, 180, "5/4"),
    "68march": _genre("march", "march", 84, 132, "6/8", 1.0, True),
    "68swing": _genre("swing", "swing", 60, 120, "6/8", 3.0, True),
    "arpeggio68": _genre("arpeggiated study", "classical", 48, 100, "6/8", 3.0, True),
    "blues68": _genre("blues", "blues", 48, 92, "6/8", 3.0, True),
    "ballad68": _genre("ballad", "ballad", 56, 100, "12/8", 1.0, True),
    "ballad128": _genre("ballad", "ballad", 56, 100, "12/8", 1.0, True),
    "blues128": _genre("blues", "blues", 60, 116, "12/8", 1.0, True),
    "rock-128": _genre("doo-wop rock", "rock", 60, 120, "12/8", 1.0, True),
    "afro-cuban": _genre("afro-cuban rhythm", "latin", 72, 130, "6/8", 1.5, True),
}
"""By file of MMA's standard library."""

UNSEEN = (
    "60srock", "folkrock", "mellowjazz", "easyswing", "lighttango", "jazzrhumba", "countrywaltz", "guitarballad",
    "slowblues", "dixiemarch", "slowcountry", "popspiritual",
)  # fmt: skip
"""Styles that no training song is in: one of each larger family."""


def genre(style: str, beats: int = 4) -> Genre:
    """What is known of a style; of one that this file does not name, its own name.

    Args:
        style: stem of its file.
        beats: of its bar, as MMA counts, for a style that is not known.
    """
    return GENRES.get(style) or Genre(style.replace("-", " "), "other", 80, 140, f"{beats}/4")
