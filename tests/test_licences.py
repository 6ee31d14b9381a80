from __future__ import annotations

from itertools import pairwise

from musegen.licences import strictest, strictness

FROM_FREE_TO_STRICT = [
    ["CC0-1.0", "public domain", "PD", "Unlicense"],
    ["MIT", "Apache-2.0", "BSD-3-Clause", "CC-BY-4.0", "cc-by 3.0", "Expat"],
    ["CC-BY-SA-3.0", "ODbL-1.0", "LGPL-2.1"],
    ["GPL-2.0-or-later", "AGPL-3.0"],
    ["LicenseRef-stabilityai-community", "creativeml-openrail-m"],
    ["CC-BY-NC-4.0", "cc_by_nc_4.0", "Apache-2.0 AND CC-BY-NC-4.0"],
    ["CC-BY-NC-SA-4.0"],
    ["CC-BY-NC-ND-4.0"],
    ["LicenseRef-unknown", "all rights reserved", ""],
]


def test_the_order_of_licences() -> None:
    for group in FROM_FREE_TO_STRICT:
        assert len({strictness(licence) for licence in group}) == 1, group
    for free, strict in pairwise(FROM_FREE_TO_STRICT):
        assert strictness(free[0]) < strictness(strict[0])


def test_the_strictest() -> None:
    assert strictest([]) is None
    assert strictest(["MIT", "CC-BY-NC-4.0", "CC0-1.0"]) == "CC-BY-NC-4.0"
    assert strictest(["CC-BY-NC-4.0", "who knows"]) == "who knows"
