"""The Studio in a browser: what test_browser's one evening of music leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from browser import Window, served


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("studio")) as found:
        yield found


@pytest.fixture
def window(browser: Any, address: str) -> Iterator[Window]:
    opened = Window(browser, address)
    opened.quick()
    opened.fill("studio-count", "1")
    yield opened
    assert opened.foreign == [], "a request left this machine"
    assert opened.errors == []
    opened.context.close()


def ask(window: Window, prompt: str) -> None:
    window.page.locator("#studio-prompt textarea").fill(prompt)
    press(window, window.page.locator("#studio-make"))


def press(window: Window, button: Any) -> None:
    """Press what makes clips; `made` waits until all cards are others than before."""
    window.page.evaluate(
        "window.before = [...document.querySelectorAll('#studio-cards .clip')].map((each) => each.dataset.clip)"
    )
    button.click()


def made(window: Window, title: str, count: int = 1) -> list[str]:
    """The facts of the new cards, when all are there and the bar is gone."""
    window.page.wait_for_function(
        """([title, count]) => {
          const cards = [...document.querySelectorAll("#studio-cards .clip")];
          const bar = document.querySelector("#progress .progress");
          const made = (card) => !before.includes(card.dataset.clip) && card.querySelector("h3").innerText === title;
          return !bar && cards.length === count && cards.every(made);
        }""",
        arg=[title, count],
    )
    return window.page.locator("#studio-cards .name p").all_inner_texts()


def seeds(facts: list[str]) -> list[int]:
    return sorted(int(found) for text in facts for found in re.findall(r"seed (\d+)", text))


def described(window: Window, place: int = 0) -> dict[str, Any]:
    """The JSON of a card's clip."""
    id = window.cards("studio").nth(place).get_attribute("data-clip")
    return window.context.request.get(f"{window.address}muse/clips/{id}.json").json()


def choose(window: Window, how: str) -> None:
    window.page.locator("#studio-seed_how").get_by_text(how, exact=True).click()


def test_seeds_fixed_same_again_and_random(window: Window) -> None:
    page = window.page
    choose(window, "fixed")
    page.locator("#studio-seed input, #studio-seed textarea").fill("41")
    window.fill("studio-count", "2")
    ask(window, "a fixed march")
    assert seeds(made(window, "a fixed march", 2)) == [41, 42]
    first = {described(window, place)["audio_sha256"] for place in range(2)}

    choose(window, "random")
    ask(window, "a random march")
    random = seeds(made(window, "a random march", 2))
    assert not {41, 42} & set(random)
    choose(window, "same again")
    ask(window, "the same march")
    assert seeds(made(window, "the same march", 2)) == random

    choose(window, "fixed")
    page.locator("#studio-seed input, #studio-seed textarea").fill("41")
    ask(window, "a fixed march")
    made(window, "a fixed march", 2)
    assert {described(window, place)["audio_sha256"] for place in range(2)} == first, "one seed, the same bits"

    page.locator("#studio-seed input, #studio-seed textarea").fill("forty")
    page.locator("#studio-make").click()
    window.wait_said("expected a whole number, got 'forty'")


def test_more_like_this_and_use_as_start_and_what_to_move_away_from(window: Window) -> None:
    page = window.page
    page.locator("#studio-negative textarea, #studio-negative input").fill("drums")
    ask(window, "a quiet lute")
    made(window, "a quiet lute")
    parent = described(window)
    assert parent["settings"]["negative"] == "drums"
    page.locator("#studio-negative textarea, #studio-negative input").fill("")

    window.fill("studio-count", "2")
    press(window, window.cards("studio").first.locator("[data-do=like]"))
    window.wait_said("around “a quiet lute”")
    assert len(seeds(made(window, "a quiet lute", 2))) == 2

    window.fill("studio-count", "1")
    window.cards("studio").first.locator("[data-do=start]").click()
    page.locator("#studio-start_said", has_text="begin with “a quiet lute”").wait_for()
    window.fill("studio-strength", "0.3")
    ask(window, "a loud lute")
    made(window, "a loud lute")
    assert described(window)["settings"]["start"]["strength"] == 0.3
    page.locator("#studio-start_clear").click()
    page.locator("#studio-start_said").wait_for(state="hidden")
    ask(window, "a lute from noise")
    made(window, "a lute from noise")
    assert not described(window)["settings"].get("start")


def test_a_dropped_sound_alone_and_mixed_with_words(window: Window, tmp_path: Path) -> None:
    page = window.page
    tune = tmp_path / "my tune.wav"
    soundfile.write(tune, 0.3 * np.sin(np.arange(88200) * 0.05), 44100)
    page.locator("#studio-sound-box > button").click()
    page.locator("#studio-sound input[type=file]").set_input_files(str(tune))
    page.locator("#studio-sound", has_text="tune").get_by_text(".wav").wait_for()
    choose(window, "fixed")
    press(window, page.locator("#studio-make"))
    made(window, "like my tune")
    alone = described(window)
    assert not alone["prompt"]

    ask(window, "a harp")  # the mix says: the sound alone
    made(window, "like my tune")
    assert described(window)["audio_sha256"] == alone["audio_sha256"], "words that were not used are not told of"

    window.fill("studio-mix", "0.5")
    ask(window, "a harp")
    made(window, "a harp")
    assert described(window)["audio_sha256"] != alone["audio_sha256"]


def test_cancelling_keeps_what_is_finished_and_the_page_goes_on(window: Window) -> None:
    page = window.page
    window.fill("studio-count", "16")
    ask(window, "a very long evening")
    page.locator("#studio-cards h3", has_text="a very long evening").first.wait_for()
    page.locator("#studio-make").click()
    page.locator("#studio-cancel").click()
    window.wait_said("of 16 were finished")
    page.locator("#progress .progress").wait_for(state="hidden")
    assert 1 <= window.cards("studio").count() < 16
    page.locator("#studio-cancel").click()
    window.wait_said("There is nothing to cancel")
    window.fill("studio-count", "1")
    ask(window, "and on")
    made(window, "and on")


def test_two_users_take_turns(window: Window, browser: Any, address: str) -> None:
    other = Window(browser, address)
    other.quick()
    other.fill("studio-count", "1")
    window.fill("studio-count", "8")
    ask(window, "eight of the first user")
    window.page.locator("#studio-cards h3", has_text="eight of").first.wait_for()
    ask(other, "one of the second")
    made(other, "one of the second")
    assert 0 < window.page.locator("#studio-cards h3", has_text="eight of").count() < 8, "the first still waits"
    assert window.page.locator("#progress .progress").count() == 1
    made(window, "eight of the first user", 8)
    assert other.foreign == other.errors == []
    other.context.close()


def focused(window: Window) -> dict[str, Any]:
    return window.page.evaluate(
        """() => {
          const found = document.activeElement;
          const style = getComputedStyle(found);
          return {
            inside: (found.closest("[id^=studio]") || {}).id || "", do: found.dataset.do || "",
            play: "play" in found.dataset, outline: parseFloat(style.outlineWidth), kind: style.outlineStyle,
          };
        }"""
    )


def tab_to(window: Window, found: Any) -> dict[str, Any]:
    """Press Tab until something is found; whatever is on the way shows that it has the focus."""
    for _ in range(60):
        window.page.keyboard.press("Tab")
        here = focused(window)
        if found(here):
            return here
    raise AssertionError("Tab never came there")


def test_by_keyboard_alone(window: Window) -> None:
    keyboard = window.page.keyboard
    window.page.evaluate("window.before = []")
    window.page.locator("#studio-prompt textarea").focus()
    keyboard.type("a keyboard piece")
    here = tab_to(window, lambda here: here["inside"] == "studio-make")
    assert here["kind"] == "solid"
    assert here["outline"] >= 2, "the focus is seen"
    keyboard.press("Enter")
    made(window, "a keyboard piece")
    here = tab_to(window, lambda here: here["play"])
    assert here["outline"] >= 2
    keyboard.press("Enter")
    window.page.wait_for_function("document.querySelector('#studio-cards .clip.on')")
    tab_to(window, lambda here: here["do"] == "keep")
    keyboard.press("Enter")
    window.wait_said("is in your library")
    window.page.locator("#studio-cards [data-do=keep][aria-pressed=true]").wait_for()
    assert focused(window)["do"] == "keep", "the focus stays where it was"


def test_on_a_telephone_in_the_light(browser: Any, address: str) -> None:
    narrow = Window(browser, address, width=400)
    narrow.cards("studio").first.wait_for()
    narrow.fits()
    narrow.picture("studio_400")
    narrow.context.close()
