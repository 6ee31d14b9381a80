"""What a track may be used under, by the file that its package has."""

from __future__ import annotations

import pytest

from musegen.data.ingest.copyright_file import CopyrightFile
from musegen.data.ingest.licence_names import allowed, family, shown, spdx
from musegen.data.ingest.licence_texts import holders_of, licences_of

BY_FILE = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: A Game
Source: https://example.org/
Files-Excluded: *.ttf

Files: *
Copyright: 2001-2005 The Team
           2006 Somebody Else
License: GPL-2+

Files: debian/*
Copyright: 2010 A Packager
License: Expat

Files:
 base/music/dawn.ogg
 base/music/van_*.ogg
Copyright:
 Ann "Anvil" Smith (example.org)
 Ben
License: CC-BY-3.0

Files: base/music/van_battle.ogg, base/music/choice.ogg
Copyright: Ben
License: CC-BY-SA-3.0 or GPL-3 or CC-BY-4.0
Comment: This one is not
 like the others.

Files: sounds/*
Copyright: Ben
License: public-domain

Files:
Copyright: Nobody
License: GPL-2

Files: data/tunes/lost.ogg
Copyright: Cy
License: CC0-1.0
 To the extent possible under law, Cy has waived everything.

License: CC-BY-3.0
 The full text,
 .
 of many lines. Files: none of this is a field.

License: public-domain
 These files were granted to the public domain.
"""

EXPAT = """\
This package was debianized by Some One <one@example.org> on
Fri, 11 May 2007 13:29:26 +0100.

The songs were downloaded from http://example.org/songs.zip

Upstream Author Dora Melody <dora@example.org>

Copyright:

The songs and performances are all Copyright (c) 2006/2007  Dora
Melody <dora@example.org>

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software, to deal in the Software without restriction.

Packaging:

The Debian packaging is (C) 2006-2007, Some One <one@example.org>
and is licensed under the GPL.

On Debian systems, the complete text of the GNU General
Public License can be found in `/usr/share/common-licenses/GPL'.
"""

GAME = "usr/share/games/agame/base/music"


def licence(path: str) -> str | None:
    statement = CopyrightFile(BY_FILE).of(path)
    return None if statement is None else statement.licence


def test_the_last_statement_that_fits_a_file_counts() -> None:
    assert licence(f"{GAME}/dawn.ogg") == "CC-BY-3.0"
    assert licence(f"{GAME}/van_theme.ogg") == "CC-BY-3.0"
    assert licence(f"{GAME}/van_battle.ogg") == "CC-BY-SA-3.0 or GPL-3 or CC-BY-4.0"
    assert licence(f"{GAME}/choice.ogg") == "CC-BY-SA-3.0 or GPL-3 or CC-BY-4.0"
    assert licence(f"{GAME}/other.ogg") == "GPL-2+"
    assert licence("usr/share/agame/sounds/deep/door.ogg") == "public-domain"
    assert licence("usr/share/agame/sounds.ogg") == "GPL-2+"
    assert licence("usr/share/tunes/lost.ogg") == "CC0-1.0"  # the same file, below another folder
    assert licence("usr/share/lost.ogg") == "GPL-2+"
    statement = CopyrightFile(BY_FILE).of(f"{GAME}/dawn.ogg")
    assert statement is not None
    assert statement.holders == ('Ann "Anvil" Smith (example.org)', "Ben")


def test_statements_that_disagree_say_nothing() -> None:
    text = BY_FILE + "\n\nFiles: extra/tunes/lost.ogg\nCopyright: Di\nLicense: GPL-3\n"
    assert CopyrightFile(text).of("usr/share/tunes/lost.ogg") is None
    assert CopyrightFile(text.replace("License: GPL-3\n", "License: CC0-1.0\n")).of("usr/share/tunes/lost.ogg")
    only = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: a/b.ogg\nLicense: Expat\n"
    )
    assert CopyrightFile(only).of("usr/share/c/d.ogg") is None


def test_free_text_grants_what_it_says_before_the_packaging() -> None:
    said = CopyrightFile(EXPAT).of("anything/song.ogg")
    assert said is not None
    assert (said.licence, said.holders) == ("Expat", ("Dora Melody <dora@example.org>",))
    without = EXPAT.replace("Packaging:", "And:").replace("The Debian packaging is", "It is")
    assert licences_of(without) == ["Expat", "GPL"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("licenced under the Creative Commons\nAttribution ShareAlike licence 3.0", ["CC-BY-SA-3.0"]),
        ("see http://creativecommons.org/licenses/by/4.0/legalcode", ["CC-BY-4.0"]),
        ("Creative Commons Attribution 3.0 Unported, creativecommons.org/licenses/by/3.0", ["CC-BY-3.0"]),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0", ["CC-BY-NC-SA-4.0"]),
        ('as indicated in the title of\nthis License: Attribution, ShareAlike.', ["CC-BY-SA"]),
        ("the GNU General Public License; either\nversion 2 of it, or (at your option) any later version.", ["GPL-2+"]),
        ("under the GNU General Public License version 3", ["GPL-3"]),
        ("the GNU Lesser General Public License", ["LGPL"]),
        ("The tunes were placed in the public domain by their author.", ["public-domain"]),
        ("Some works are in the public domain; GNU General Public License", ["GPL"]),
        ("Copyright Ann. All rights reserved.", ["all-rights-reserved"]),
        ("free for non-commercial use, creativecommons.org/licenses/by/3.0", ["CC-BY-3.0", "no-commercial-use"]),
        ("Copyright 2009 Ann", []),
    ],
)  # fmt: skip
def test_texts_name_licences(text: str, expected: list[str]) -> None:
    assert licences_of(text) == expected


def test_holders_are_found_in_texts() -> None:
    assert holders_of("Upstream Authors:\n\t Max Tune\n\nCopyright (C) 2007-2008,2012 Max Tune") == ["Max Tune"]
    assert holders_of(
        "Nexus is © 2002 - 2009 Alien, Lee V.\nIN NO EVENT SHALL THE\nAUTHORS OR COPYRIGHT HOLDERS BE"
    ) == ["Alien, Lee V"]


def test_what_is_asked_for_decides() -> None:
    default = ["CC-BY", "PD", "Expat"]
    for expression, expected in (
        ("CC-BY-3.0", "CC-BY-3.0"),
        ("CC-BY-4", "CC-BY-4.0"),
        ("Expat", "MIT"),
        ("MIT", "MIT"),
        ("CC0", "CC0-1.0"),
        ("public-domain", "LicenseRef-public-domain"),
        ("zlib or GPL-2 or CC-BY-3.0", "CC-BY-3.0"),
        ("CC-BY-4.0 and CC-BY-3.0", "CC-BY-3.0 AND CC-BY-4.0"),
        ("CC-BY-3.0, and CC0", "CC-BY-3.0 AND CC0-1.0"),
        ("CC-BY-SA-3.0", None),
        ("CC-BY-NC-4.0", None),
        ("CC-BY-ND-4.0", None),
        ("CC-BY-3.0 and GPL-2", None),
        ("GPL-2+", None),
        ("Expat with a twist", None),
        ("Expat and all-rights-reserved", None),
        ("", None),
    ):
        assert allowed(expression, default) == expected, expression
    assert allowed("GPL-2+", ["GPL"]) == "GPL-2.0-or-later"
    assert allowed("GPL-2", ["GPL-2+"]) is None
    assert allowed("CC-BY-4.0", ["CC-BY-3.0"]) is None
    assert allowed("CC-BY-3.0", ["cc-by-3.0"]) == "CC-BY-3.0"
    assert (spdx("LGPL-2.1+"), family("LGPL-2.1+"), shown("GPL-3 or CC0 and MIT")) == (
        "LGPL-2.1-or-later", "LGPL", "GPL-3.0-only OR CC0-1.0 AND MIT",
    )  # fmt: skip
