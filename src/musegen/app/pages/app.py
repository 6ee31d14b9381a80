"""All pages together, and which plain function answers which event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from musegen.app.acts import lab as lab_acts
from musegen.app.acts import library as library_acts
from musegen.app.acts import studio as studio_acts
from musegen.app.acts.desk import Desk
from musegen.app.acts.running import Shown
from musegen.app.pages import lab, library, studio
from musegen.app.pages.parts import Page

HEAD = '<header class="muse-head"><h1>MUSE</h1><p>music from words, made on this machine</p></header>'
FORM, SEARCH = len(studio.FORM), len(library.SEARCH)
START = ["studio.start", "studio.start_said", "studio.start_row"]
HELD = ["studio.shown", "lab.shown", "lab.first", "lab.second", "lab.clouds"]
CARD_INPUTS = [*studio.FORM, *library.SEARCH, *HELD]
MAKE_INPUTS = [*studio.FORM, *lab.WAY, *lab.VIEW]
CARD_OUTPUTS = [*studio.SHOWN, *START, *lab.SHOWN, "lab.first", "lab.second", *library.SHOWN, "tabs"]
MAKE_OUTPUTS = [*CARD_OUTPUTS, "lab.map", "lab.map_said"]


def build(desk: Desk) -> gr.Blocks:
    """The whole app."""
    page = Page()
    with gr.Blocks(title="MUSE", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(HEAD, apply_default_css=False)
        with gr.Column(elem_classes="muse-bar", min_width=0):
            page.add("progress", gr.HTML(apply_default_css=False))
            page.cards("notice")
        with gr.Tabs(selected="studio") as tabs:
            with gr.Tab("Studio", id="studio"):
                studio.lay_out(page, desk.workshop)
            with gr.Tab("Lab", id="lab") as lab_tab:
                lab.lay_out(page, desk.workshop)
            with gr.Tab("Library", id="library") as library_tab:
                library.lay_out(page)
        page.add("tabs", tabs, lambda chosen: gr.update(selected=chosen))
        _studio(page, desk)
        _lab(page, desk, lab_tab)
        _library(page, desk, library_tab)
        _cards(page, desk)
        blocks_load: Any = blocks.load
        page.on(blocks_load, lambda user: studio_acts.welcome(desk), [], studio.SHOWN)
    return blocks


def _studio(page: Page, desk: Desk) -> None:
    parts = page.parts
    page.on(
        [parts["studio.make"].click, parts["studio.prompt"].submit],
        lambda user, *form: studio_acts.generate(desk, user, studio_acts.Form(*form)),
        studio.FORM,
        studio.SHOWN,
        long=True,
    )
    page.on([parts["studio.cancel"].click, parts["lab.cancel"].click], desk.cancel)
    page.on(parts["studio.start_clear"].click, lambda user: studio_acts.use_as_start(desk, ""), [], START)


def _lab(page: Page, desk: Desk, tab: gr.Tab) -> None:
    parts = page.parts
    drawn = ["lab.map", "lab.map_said"]

    def enter(user: str, *view: Any) -> Iterator[Shown]:
        yield {"lab.choices": desk.choices()}
        yield from lab_acts.draw(desk, lab_acts.View(*view))

    def draw(user: str, *view: Any) -> Iterator[Shown]:
        return lab_acts.draw(desk, lab_acts.View(*view))

    page.on(tab.select, enter, lab.VIEW, [*drawn, "lab.choices"])
    page.on([parts["lab.colour"].change, parts["lab.solid"].change, parts["lab.draw"].click], draw, lab.VIEW, drawn)
    page.on(
        parts["lab.map"].select,
        lambda user, said, clouds: lab_acts.touch(desk, said.get("name", ""), clouds),
        ["lab.clouds"],
        lab.SHOWN,
        event=True,
    )
    page.on(
        [parts["lab.cloud"].click, parts["lab.prompt"].submit],
        lambda user, prompt, samples, *rest: lab_acts.cloud(
            desk, user, prompt, samples, lab_acts.Way(*rest[:3]), lab_acts.View(*rest[3:])
        ),
        ["lab.prompt", "lab.samples", *lab.WAY, *lab.VIEW],
        [*drawn, "lab.clouds"],
        long=True,
    )
    page.on(
        parts["lab.between"].click,
        lambda user, first, second, count, *rest: lab_acts.between(
            desk, user, first, second, count, lab_acts.Way(*rest[:3]), lab_acts.View(*rest[3:])
        ),
        ["lab.first", "lab.second", "lab.count", *lab.WAY, *lab.VIEW],
        [*lab.SHOWN, *drawn],
        long=True,
    )
    page.on(
        parts["lab.sum"].click,
        lambda user, a, b, c, *rest: lab_acts.calculate(
            desk, user, a, b, c, lab_acts.Way(*rest[:3]), lab_acts.View(*rest[3:])
        ),
        ["lab.a", "lab.b", "lab.c", *lab.WAY, *lab.VIEW],
        [*lab.SHOWN, *drawn],
        long=True,
    )


def _library(page: Page, desk: Desk, tab: gr.Tab) -> None:
    parts = page.parts

    def look(user: str, *search: Any) -> Shown:
        return library_acts.look(desk, library_acts.Search(*search))

    changes = [parts[name].change for name in library.SEARCH if name != "library.rating"]
    page.on([tab.select, parts["library.rating"].release, *changes], look, library.SEARCH, library.SHOWN)
    page.on(
        parts["library.like_words"].submit,
        lambda user, text, *search: library_acts.sounds_like(desk, user, text, library_acts.Search(*search)),
        ["library.like_words", *library.SEARCH],
        library.SHOWN,
        long=True,
    )
    page.on(
        [parts["library.like_file"].upload, parts["library.like_file"].clear],
        lambda user, file, *search: library_acts.sounds_like_file(desk, file, library_acts.Search(*search)),
        ["library.like_file", *library.SEARCH],
        library.SHOWN,
    )
    page.on(
        parts["library.drop"].upload,
        lambda user, files, *search: library_acts.take_in(desk, files, library_acts.Search(*search)),
        ["library.drop", *library.SEARCH],
        [*library.SHOWN, "library.drop"],
    )


def _cards(page: Page, desk: Desk) -> None:
    """Answer the buttons of all cards, wherever they stand."""

    def act(user: str, said: dict[str, Any], *values: Any) -> Iterator[Shown]:
        do, id, value = (str(said.get(name, "")) for name in ("do", "id", "value"))
        search = library_acts.Search(*values[FORM : FORM + SEARCH])
        in_studio, in_lab, first, second, clouds = values[FORM + SEARCH :]
        if do == "keep":
            yield studio_acts.keep(desk, id)
        elif do == "start":
            yield studio_acts.use_as_start(desk, id)
        elif do == "lab":
            yield lab_acts.send(desk, id, first, second)
            return
        elif do == "touch":
            yield lab_acts.touch(desk, id, clouds)
            return
        elif do in ("show", "children"):
            yield library_acts.family(desk, id, do == "children")
            return
        elif do == "alike":
            yield library_acts.alike(desk, id, search)
            return
        elif do == "delete":
            yield library_acts.delete(desk, id)
        elif do == "restore":
            yield library_acts.restore(desk, id)
        else:
            yield library_acts.change(desk, do, id, value)
        yield {**studio_acts.again(desk, in_studio), **library_acts.look(desk, search)}
        if in_lab:
            yield lab_acts.show(desk, desk.workshop.library.of_ids(in_lab))

    def make(user: str, said: dict[str, Any], *values: Any) -> Iterator[Shown]:
        id = str(said.get("id", ""))
        if said.get("do") == "again":
            return library_acts.make_again(desk, user, id)
        if said.get("do") == "hear":
            way, view = values[FORM : FORM + len(lab.WAY)], values[FORM + len(lab.WAY) :]
            return lab_acts.hear(desk, user, id, lab_acts.Way(*way), lab_acts.View(*view))
        return studio_acts.like(desk, user, id, studio_acts.Form(*values[:FORM]))

    holders = [page.parts[name] for name in ("studio.cards", "lab.cards", "lab.near", "library.cards", "notice")]
    page.on([holder.click for holder in holders], act, CARD_INPUTS, CARD_OUTPUTS, event=True)
    page.on([holder.submit for holder in holders], make, MAKE_INPUTS, MAKE_OUTPUTS, event=True, long=True)

    def pack_up(user: str, picked: Any) -> Shown:
        return library_acts.pack_up(desk, [each for each in picked or [] if isinstance(each, str)])

    page.add("library.picked", gr.JSON(visible=False))
    pick = "() => [musePicked()]"
    page.on(page.parts["library.pack"].click, pack_up, ["library.picked"], ["library.zip"], script=pick)
