"""The Lab as its users meet it: points that are clicked and heard, clouds, ways, sums, and the map in every dress."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from browser import Window, served
from helpers import randomise, require
from musegen.checkpoints import save_model
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.minilm import MiniLM
from musegen.flow.regression import RegressionModel
from musegen.generation.folder import JOINT, PARTS, find_pipeline, read_pipeline, write_pipeline
from musegen.models.embedding_transformer import EmbeddingTransformer

CORPUS = Path(__file__).parents[2] / "data" / "tiny" / "cached"
PIECES, SAMPLES = 12, 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model, whose embedder the corpus has too, with a regression part."""
    require("umap")
    folder, default = tmp_path_factory.mktemp("model"), find_pipeline(None)
    for part in (*PARTS, JOINT):
        (folder / part).symlink_to(default / part)
    network = EmbeddingTransformer(dim=32, depth=1, heads=1, embedding_dim=512, embedding_tokens=2, text_dim=384)
    conditioning = Conditioning({"caption": CaptionConditioner(MiniLM())}, ["caption"])
    regression = randomise(RegressionModel(network, conditioning, normalise_output=True), 1)
    save_model(regression, folder / "regression", licences=["CC0-1.0"])
    said = read_pipeline(default)
    write_pipeline(folder, said["text2muq"], said["stable_audio_muq"], embedder=said["embedder"])
    return folder


def heard(window: Window) -> str:
    """Wait until the only clip of the Lab plays, and say what it is called."""
    window.page.wait_for_function(
        """() => {
          const sounds = document.querySelectorAll("#lab-cards audio");
          return sounds.length === 1 && sounds[0].currentTime > 0.05 && !sounds[0].error;
        }"""
    )
    return window.page.locator("#lab-cards h3").inner_text()


BY_X = """() => document.querySelector("#lab-map .map").data
  .flatMap((trace) => trace.customdata.map((name, place) => [trace.x[place], name]))
  .sort((one, two) => one[0] - two[0])
  .map((point) => point[1])"""
"""The names of all points from left to right."""


def traces(window: Window) -> dict[str, Any]:
    """What the map draws, by name."""
    drawn = window.page.evaluate("document.querySelector('#lab-map .map').data")
    return {trace["name"]: trace for trace in json.loads(json.dumps(drawn))}


def test_the_lab(browser: Any, model: Path, tmp_path: Path) -> None:
    with served(tmp_path / "library", "--model", str(model), "--corpus", str(CORPUS)) as address:
        window = Window(browser, address)
        page = window.page
        said = page.locator("#lab-map_said")
        window.tab("Lab")
        window.drawn(PIECES)
        assert "principal components" in said.inner_text()

        # a piece of the corpus: its shards hold no audio, but latents of this model's codec
        window.click_point("corpus:3")
        title = heard(window)
        assert "piece at" in title
        near = page.locator("#lab-near li")
        assert near.count() == 8
        assert title not in near.all_inner_texts()[0], "it is no neighbour of itself"
        near.nth(0).locator("button").click()
        page.locator("#lab-cards h3", has_not_text=title).wait_for()
        assert heard(window) != title

        # the same by keyboard: from the leftmost point to its neighbour on the right
        leftmost = page.evaluate(BY_X)
        stage = page.locator("#lab-map .map")
        stage.press("ArrowRight")
        stage.press("ArrowRight")
        assert stage.get_attribute("data-here") == leftmost[1]
        assert page.locator("#lab-map .pointed").inner_text().endswith("corpus")
        stage.press("Enter")
        page.locator(f"#lab-cards audio[src='muse/{leftmost[1].replace(':', '/')}.flac']").wait_for(state="attached")
        heard(window)

        # many answers to one prompt, and the regression's only one
        page.get_by_role("button", name="Many answers").click()
        page.locator("#lab-prompt textarea").fill("a calm waltz")
        window.fill("lab-samples", str(SAMPLES))
        page.locator("#lab-cloud").click()
        window.drawn(PIECES + SAMPLES + 1)
        drawn = traces(window)
        assert len(drawn["samples of one prompt"]["x"]) == SAMPLES
        assert len(drawn["the regression’s answer"]["x"]) == 1  # noqa: RUF001
        assert "UMAP" in said.inner_text()
        assert "answer of the regression model" in said.inner_text()
        window.fits()

        # every way to colour
        for way, expected in [
            ("genre", {"french waltz"}),
            ("key", {"E major"}),
            ("prompt", {"corpus", "a calm waltz"}),
            ("tempo", {"unknown"}),
            ("what it is", {"corpus", "samples of one prompt"}),
        ]:
            page.locator("#lab-colour").get_by_text(way, exact=True).click()
            page.wait_for_function(
                "names => names.every((name) => document.querySelector('#lab-map .map').data"
                ".some((trace) => trace.name === name))",
                arg=list(expected),
            )
            scale = any(trace["marker"].get("coloraxis") for trace in traces(window).values())
            assert scale == (way == "tempo")

        # three dimensions, and a sample that is made to sound
        page.get_by_role("button", name="How they sound").click()
        window.fill("lab-seconds", "1")
        window.fill("lab-steps", "2")
        page.locator("#lab-solid input").check()
        window.drawn(PIECES + SAMPLES + 1, "scatter3d")
        window.click_point("cloud:0:2")
        page.locator("#lab-cards [data-do=hear]").wait_for()
        page.locator("#lab-solid input").uncheck()
        window.drawn(PIECES + SAMPLES + 1)
        page.locator("#lab-cards [data-do=hear]").click()
        window.drawn(PIECES + SAMPLES + 2)
        assert page.locator("#lab-cards h3").inner_text() == "sample 3 of “a calm waltz”"

        # between two prompts
        for name, words in (("first", "a calm waltz"), ("second", "a fast samba")):
            box = page.locator(f"#lab-{name} input")
            box.fill(words)
            box.press("Enter")
        window.fill("lab-count", "2")
        page.locator("#lab-between").click()
        window.drawn(PIECES + SAMPLES + 4)
        titles = page.locator("#lab-cards h3").all_inner_texts()
        assert titles == ["a calm waltz → a fast samba, 1 of 2", "a calm waltz → a fast samba, 2 of 2"]
        window.click_point(f"clip:{window.cards('lab').nth(1).get_attribute('data-clip')}")
        page.locator("#lab-cards h3", has_text="1 of 2").wait_for(state="detached")
        assert heard(window) == titles[1]

        # a − b + c: a clip, words, and a piece of the corpus
        page.get_by_role("button", name="Arithmetic").click()
        page.locator("#lab-a input").click()
        page.get_by_role("option", name="a fast samba, 1 of 2").click()
        for name, words in (("b", "slow drums"), ("c", "corpus:3")):
            box = page.locator(f"#lab-{name} input")
            box.fill(words)
            box.press("Enter")
        page.locator("#lab-sum").click()
        window.drawn(PIECES + SAMPLES + 5)
        title = page.locator("#lab-cards h3").inner_text()
        assert title.startswith("a calm waltz → a fast samba, 1 of 2 \N{MINUS SIGN} slow drums + ")
        assert near.count() == 8
        assert all(title not in each for each in near.all_inner_texts()), "it is no neighbour of itself"
        window.fits()
        assert window.foreign == []
        assert window.errors == []
        window.context.close()
        telephone = Window(browser, address, width=400, dark=True)
        telephone.tab("Lab")
        telephone.drawn(PIECES + 4)
        telephone.fits()
        telephone.page.locator("#lab-cancel").click()
        telephone.wait_said("nothing to cancel")
        top = telephone.page.locator("#notice").evaluate("bar => bar.getBoundingClientRect().top")
        assert top >= 0, "what is said is seen, however far down the page one is"
        telephone.page.get_by_role("button", name="Arithmetic").click()
        telephone.page.locator("#lab-a input").fill("corpus:5")
        telephone.page.locator("#lab-a input").press("Enter")
        telephone.page.get_by_role("button", name="How they sound").click()
        telephone.fill("lab-seconds", "1")
        telephone.fill("lab-steps", "2")
        telephone.page.locator("#lab-sum").click()
        telephone.page.wait_for_function("document.querySelector('#lab-cards .clip')?.getBoundingClientRect().top > 0")
        assert telephone.foreign == []
        assert telephone.errors == []


@pytest.mark.skipif("MUSEGEN_SCREENSHOTS" not in os.environ, reason="no pictures are asked for")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (400, False), (400, True)])
def test_pictures(browser: Any, tmp_path: Path, width: int, dark: bool) -> None:
    """The docs': the default model, a cloud of many samples, and a piece that is heard."""
    with served(tmp_path / "library", "--corpus", str(CORPUS)) as address:
        window = Window(browser, address, width=width, dark=dark)
        window.tab("Lab")
        window.page.get_by_role("button", name="Between two points").click()
        window.page.get_by_role("button", name="Many answers").click()
        window.page.locator("#lab-prompt textarea").fill("a calm waltz")
        window.page.locator("#lab-cloud").click()
        window.drawn(PIECES + 48 + 1)
        window.click_point("corpus:3")
        heard(window)
        window.fits()
        window.page.evaluate("window.scrollTo(0, 0)")
        window.picture(f"lab_{width}{'_dark' if dark else ''}")
