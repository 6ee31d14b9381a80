"""The Library in a browser: marks, names, tags, files in and out, clips made again, and two windows on one library."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from browser import Window, served
from musegen.app.store.library import Library
from musegen.app.store.search import Query
from musegen.fingerprint import hash_bytes

TUNES = {"bass": (0.01, 1), "flute": (0.13, 1), "whistle": (0.4, 12)}
"""Pitch and seconds."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("library")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as found:
        yield found


@pytest.fixture
def window(browser: Any, address: str) -> Iterator[Window]:
    opened = Window(browser, address)
    opened.tab("Library")
    opened.page.locator("#library-cards :is(.nothing, .clip)").first.wait_for()
    yield opened
    assert opened.foreign == [], "a request left this machine"
    assert opened.errors == []
    opened.context.close()


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    files = tmp_path_factory.mktemp("tunes")
    for name, (pitch, seconds) in TUNES.items():
        soundfile.write(files / f"{name}.wav", 0.3 * np.sin(np.arange(44100 * seconds) * pitch), 44100)
    return [str(files / f"{name}.wav") for name in TUNES]


def card(window: Window, title: str) -> Any:
    return window.page.locator("#library-cards .clip").filter(has=window.page.locator("h3", has_text=title))


def titles(window: Window, *expected: str) -> None:
    """Wait until the cards are of these names, in this order."""
    window.page.wait_for_function(
        """(expected) => {
          const names = [...document.querySelectorAll("#library-cards h3")].map((each) => each.innerText);
          return JSON.stringify(names) === JSON.stringify(expected);
        }""",
        arg=list(expected),
    )


def unfold(clip: Any) -> None:
    """Show what stands behind "More", if it is not shown yet."""
    if clip.locator("details").get_attribute("open") is None:
        clip.locator("summary").click()


DROP = """([files, place]) => {
  const data = new DataTransfer();
  for (const [name, text] of files) {
    const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    data.items.add(new File([bytes], name, { type: "audio/wav" }));
  }
  const zone = document.querySelector(place);
  for (const kind of ["dragenter", "dragover", "drop"])
    zone.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


def drop(window: Window, files: list[str], place: str) -> None:
    """Drag files onto a place of the page, and let go."""
    read = [(Path(file).name, base64.b64encode(Path(file).read_bytes()).decode()) for file in files]
    window.page.evaluate(DROP, [read, place])


def test_several_files_are_taken_in_by_dropping_them(window: Window, tunes: list[str]) -> None:
    window.page.locator("#library-more > button").click()
    drop(window, tunes, "#library-drop button")
    window.wait_said("Taken in: bass, flute, whistle")
    titles(window, "whistle", "flute", "bass")
    window.page.locator("#library-like_file input[type=file]").set_input_files(tunes[0])
    window.wait_said("What sounds most like “bass” comes first")
    assert window.page.locator("#library-cards h3").first.inner_text() == "bass"
    assert float(window.page.locator("#library-cards .near").first.inner_text()) == pytest.approx(1.0, abs=0.011)


def test_stars_favourites_names_and_tags(window: Window, browser: Any, address: str) -> None:
    page = window.page
    flute = card(window, "flute")
    flute.locator("[data-pick]").check()
    flute.locator("[data-do=rate][data-value='4']").click()
    flute.locator("[data-do=rate][data-value='4'][aria-pressed=true]").wait_for()
    flute.locator("[data-do=favourite]").click()
    flute.locator("[data-do=favourite][aria-pressed=true]").wait_for()
    assert flute.locator("[data-pick]").is_checked(), "what was selected stays so"
    unfold(flute)
    flute.locator("form[data-do=tag] input").fill("woodwind, slow")
    flute.locator("form[data-do=tag] input").press("Enter")
    flute.locator(".tag", has_text="woodwind").wait_for()
    assert flute.locator("details").get_attribute("open") is not None, "what was opened stays so"
    bass = card(window, "bass")
    unfold(bass)
    bass.locator("form[data-do=rename] input").fill("double bass")
    bass.locator("form[data-do=rename] button").click()
    window.wait_said("Now called “double bass”")
    titles(window, "whistle", "flute", "double bass")

    page.locator("#library-favourite input").check()
    titles(window, "flute")
    page.locator("#library-favourite input").uncheck()
    titles(window, "whistle", "flute", "double bass")
    window.fill("library-rating", "4")
    titles(window, "flute")
    window.fill("library-rating", "0")
    titles(window, "whistle", "flute", "double bass")
    page.locator("#library-tag input").click()
    page.get_by_role("option", name="woodwind").click()
    titles(window, "flute")

    flute.locator("form[data-do=rename] input").fill("  ")
    flute.locator("form[data-do=rename] button").click()
    page.locator("#notice .notice.wrong[role=alert]").wait_for()

    narrow = Window(browser, address, width=400)
    narrow.tab("Library")
    card(narrow, "flute").locator("[data-do=rate][data-value='4'][aria-pressed=true]").wait_for()
    narrow.fits()
    narrow.picture("library_400")
    narrow.context.close()


def test_marking_a_clip_does_not_stop_its_sound(window: Window, folder: Path) -> None:
    titles(window, "whistle", "flute", "double bass")
    whistle = card(window, "whistle")
    whistle.locator("[data-play]").click()
    window.page.wait_for_function("document.querySelector('#library-cards .clip.on')")
    whistle.locator("[data-do=favourite]").click()
    whistle.locator("[data-do=favourite][aria-pressed=true]").wait_for()
    window.page.wait_for_timeout(300)
    assert window.page.locator("#library-cards .clip.on h3").all_inner_texts() == ["whistle"]
    assert whistle.locator("audio").evaluate("(sound) => !sound.paused")


def test_export_holds_the_files_and_what_is_known_of_them(window: Window, folder: Path) -> None:
    window.page.locator("#library-pack").click()
    window.wait_said("Select some clips first")
    for name in ("flute", "double bass"):
        card(window, name).locator("[data-pick]").check()
    window.page.locator("#library-pack").click()
    window.wait_said("2 clips packed up")
    with window.page.expect_download() as waiting:
        window.page.locator("#library-zip a[download]").first.click()
    download = waiting.value
    assert download.suggested_filename.startswith("muse-")
    assert download.suggested_filename.endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(Path(download.path()).read_bytes())) as pack:
        assert pack.testzip() is None
        assert sorted(pack.namelist()) == ["double-bass.flac", "double-bass.json", "flute.flac", "flute.json"]
        for name in ("double-bass", "flute"):
            said, sound = json.loads(pack.read(f"{name}.json")), pack.read(f"{name}.flac")
            assert said["file"] == f"{name}.flac"
            assert said["file_sha256"] == hash_bytes(sound)
            assert soundfile.read(io.BytesIO(sound))[0].shape == (44100,)
        known = json.loads(pack.read("flute.json"))["library"]
    assert (known["rating"], known["favourite"], known["tags"]) == (4, True, ["slow", "woodwind"])


def test_made_again_bit_for_bit_or_with_the_field_that_differs(window: Window, folder: Path) -> None:
    page = window.page
    window.tab("Studio")
    window.quick()
    window.fill("studio-count", "1")
    page.locator("#studio-prompt textarea").fill("a round")
    page.locator("#studio-make").click()
    page.locator("#studio-cards h3", has_text="a round").wait_for()
    window.cards("studio").first.locator("[data-do=keep]").click()
    window.wait_said("is in your library")
    window.tab("Library")
    made = card(window, "a round")
    unfold(made)
    made.locator("[data-do=again]").click()
    window.wait_said("Made again, bit for bit")
    (record,) = Library(folder).find(Query("round"))
    path = Library(folder).json_path(record.id)
    said = json.loads(path.read_text())
    said["fingerprint"]["torch"], said["audio_sha256"] = "1.0", "0" * 64
    path.write_text(json.dumps(said))
    made.locator("[data-do=again]").click()
    window.wait_said("The bits differ. torch: 1.0 then, ")

    made.locator("[data-do=like]").click()
    page.locator("#studio-cards h3", has_text="a round").wait_for()
    window.wait_said("around “a round”")
    window.tab("Library")
    unfold(made)
    made.locator("[data-do=children]").click()
    window.wait_said("Made with “a round”: 1.")
    child = window.cards("library").first
    unfold(child)
    child.locator("[data-do=show]").click()
    window.wait_said("The parent: “a round”")
    assert window.cards("library").first.get_attribute("data-clip") == record.id
    unfold(window.cards("library").first)
    window.cards("library").first.locator("[data-do=alike]").click()
    window.wait_said("What sounds most like “a round” comes first")
    assert window.page.locator("#library-cards h3").first.inner_text() == "a round"


def test_two_windows_on_one_library(window: Window, browser: Any, address: str) -> None:
    other = Window(browser, address)
    other.tab("Library")
    card(other, "whistle").locator("[data-do=delete]").click()
    other.wait_said("“whistle” is in the bin")
    card(window, "double bass").locator("[data-pick]").check()
    card(window, "whistle").locator("[data-do=rate][data-value='2']").click()  # it is not there any more
    card(window, "whistle").wait_for(state="detached")
    picked = window.page.locator("[data-pick]:checked")
    assert [each.get_attribute("aria-label") for each in picked.all()] == ["Select double bass"], "goes by clip"
    window.page.locator("#library-shelf").get_by_text("Bin", exact=True).click()
    titles(window, "whistle")
    card(window, "whistle").locator("[data-do=restore]").click()
    window.wait_said("“whistle” is back")
    other.tab("Studio")
    other.tab("Library")
    card(other, "whistle").wait_for()
    assert other.foreign == other.errors == []
    other.context.close()


def test_by_keyboard_alone(window: Window) -> None:
    keyboard, page = window.page.keyboard, window.page
    card(window, "flute").locator("[data-pick]").focus()
    keyboard.press("Space")
    for _ in range(20):
        keyboard.press("Tab")
        here = page.evaluate(
            """() => {
              const found = document.activeElement, style = getComputedStyle(found);
              return [found.dataset.do, found.dataset.value, style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        assert here[2] == "solid"
        assert here[3] >= 2, "the focus is seen"
        if here[:2] == ["rate", "5"]:
            break
    keyboard.press("Enter")
    card(window, "flute").locator("[data-do=rate][data-value='5'][aria-pressed=true]").wait_for()
    assert page.evaluate("[document.activeElement.dataset.do, document.activeElement.dataset.value]") == ["rate", "5"]
