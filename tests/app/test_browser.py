"""MUSE as its users meet it: a real server, a real model, a real browser."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from browser import Window, served
from musegen.app.store.library import Library
from musegen.app.store.search import Query

HOSTILE = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script> \"waltz\""
CLIP = re.compile(r"[0-9a-f]{32}")


def hearable(window: Window, card: Any) -> None:
    """Press play, and see time go by."""
    card.locator("[data-play]").click()
    sound = card.locator("audio").element_handle()
    window.page.wait_for_function("sound => sound.currentTime > 0.05", arg=sound)
    assert card.locator("audio").evaluate("sound => sound.error") is None


def test_a_musician_makes_keeps_finds_and_gets_everything_back(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    with served(folder, kill=True) as address:
        window = Window(browser, address)
        page = window.page
        window.quick("3")
        page.locator("#studio-prompt textarea").fill("a calm waltz")
        page.locator("#studio-make").click()
        page.locator("#progress .progress").wait_for()
        window.cards("studio").nth(1).wait_for()
        assert window.cards("studio").count() == 2
        near = [float(text) for text in page.locator("#studio-cards .near").all_inner_texts()]
        assert near == sorted(near, reverse=True), "the closest to the prompt is first"
        first = window.cards("studio").first
        hearable(window, first)
        seed = re.findall(r"seed (\d+)", first.inner_text())[0]
        first.locator("[data-do=keep]").click()
        window.wait_said("is in your library")
        first.locator("[data-do=keep][aria-pressed=true]").wait_for()
        window.fits()
        window.picture("studio_1280")

        window.tab("Library")
        window.cards("library").first.wait_for()
        assert window.cards("library").count() == 1, "what was not kept is not in the library"
        page.locator("#library-words input, #library-words textarea").fill("drums")
        page.locator("#library-cards .nothing").wait_for()
        page.locator("#library-words input, #library-words textarea").fill("WALTZ calm")
        found = window.cards("library").first
        found.wait_for()
        assert f"seed {seed}" in found.inner_text()
        found.locator("[data-do=rate][data-value='4']").click()
        page.locator("#library-cards [data-do=rate][aria-pressed=true]").wait_for()
        window.picture("library_1280")
        found.locator("[data-do=lab]").click()
        window.wait_said("is in the Lab")

        window.tab("Lab")
        page.locator("#lab-map .map[data-drawn]").wait_for()
        assert "principal components" in page.locator("#lab-map_said").inner_text()
        to = page.locator("#lab-second input")
        to.fill("a fast samba")
        to.press("Enter")
        window.fill("lab-count", "2")
        page.get_by_role("button", name="How they sound").click()
        window.fill("lab-seconds", "1")
        window.fill("lab-steps", "2")
        page.locator("#lab-between").click()
        window.cards("lab").nth(1).wait_for()
        titles = page.locator("#lab-cards h3").all_inner_texts()
        assert titles == ["a calm waltz → a fast samba, 1 of 2", "a calm waltz → a fast samba, 2 of 2"]

        window.tab("Library")
        window.cards("library").first.locator("[data-do=delete]").click()
        window.wait_said("is in the bin")
        page.locator("#library-cards .nothing").wait_for()
        page.locator("#notice [data-do=restore]").click()
        window.cards("library").first.wait_for()
        assert window.foreign == []
        assert window.errors == []

    with served(folder) as address:  # the first server was killed
        window = Window(browser, address, width=400, dark=True)
        assert window.cards("studio").count() == 3, "takes that nobody kept are there again, too"
        window.fits()
        window.picture("studio_400_dark")
        window.tab("Library")
        found = window.cards("library").first
        found.wait_for()
        assert f"seed {seed}" in found.inner_text()
        assert found.locator("[data-do=rate][aria-pressed=true]").get_attribute("data-value") == "4"
        hearable(window, found)
        window.fits()
        window.picture("library_400_dark")
        window.tab("Lab")
        window.page.locator("#lab-map .map[data-drawn]").wait_for()
        window.fits()
        assert window.foreign == []
        assert window.errors == []


def test_hostile_input(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    text = tmp_path / "text.wav"
    text.write_text("this is no sound at all")
    large = tmp_path / "large.wav"
    with open(large, "wb") as file:
        file.truncate(65 << 20)
    tune = tmp_path / "..;& <b>tune.wav"
    soundfile.write(tune, 0.3 * np.sin(np.arange(44100) * 0.05), 44100)
    with served(folder) as address:
        window = Window(browser, address)
        page = window.page
        page.locator("#studio-make").click()
        window.wait_said("Say what the music should be like")

        window.quick()
        page.locator("#studio-prompt textarea").fill(HOSTILE)
        page.locator("#studio-count input[type=number]").fill("1")
        page.locator("#studio-make").click()
        card = window.cards("studio").first
        card.wait_for()
        assert HOSTILE.split()[0] in card.locator("h3").inner_text(), "what was written is read, not run"
        card.locator("[data-do=keep]").click()
        window.wait_said("is in your library")

        window.tab("Library")
        card = window.cards("library").first
        card.locator("summary").click()
        card.locator("form[data-do=tag] input").fill(HOSTILE[:39])
        card.locator("form[data-do=tag] button").click()
        page.locator("#library-cards .tag", has_text="<img").wait_for()
        card.locator("form[data-do=rename] input").fill("../../../etc/passwd")
        card.locator("form[data-do=rename] button").click()
        page.locator("#library-cards h3", has_text="../../../etc/passwd").wait_for()

        page.locator("#library-more > button").click()
        drop = page.locator("#library-drop input[type=file]")
        drop.set_input_files(str(text))
        window.wait_said("expected an audio file")
        drop.set_input_files(str(tune))
        window.wait_said("Taken in:")
        assert window.cards("library").count() == 2
        page.locator("#library-drop input[type=file]").set_input_files(str(large))
        page.get_by_text(re.compile("exceed|too large|at most", re.I)).first.wait_for()
        assert window.cards("library").count() == 2

        assert page.evaluate("window.hacked") is None
        request = window.context.request
        for path in ["muse/clips/..%2f..%2flibrary.sqlite", "muse/clips/%2e%2e/library.flac", "muse/clips/x.flac"]:
            assert request.get(address + path).status == 404
        secret = folder / "library.sqlite"
        for name in ["/etc/passwd", str(secret), f"{folder}/clips/../library.sqlite"]:
            assert request.get(f"{address}gradio_api/file={name}").status in (403, 404)
        assert request.get(address, headers={"Host": "evil.example"}).status == 400
        assert "default-src 'self'" in request.get(address).headers["content-security-policy"]
        assert window.foreign == []
        assert window.errors == []
    kept = Library(folder).find(Query())
    assert len(kept) == 2
    assert {path.suffix for path in (folder / "clips").iterdir()} == {".flac", ".json"}
    assert all(CLIP.fullmatch(path.stem) for path in (folder / "clips").iterdir())
    shutil.rmtree(folder)
