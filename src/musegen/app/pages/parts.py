"""What all pages are put together from: components by name, and events that are answered by plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from musegen.app.acts.desk import told
from musegen.app.acts.running import Shown

CARDS = "museCards(element, trigger)"
MAP = "museMap(element, props, trigger, watch)"
WAITING = 64
"""Long jobs that may wait for one another; the model itself goes round the users."""


class Page:
    """All components of the app by their names, ``studio.prompt``, and what answers their events."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}
        self.shown_by: dict[str, Callable[[Any], Any]] = {}
        self.choosers: dict[str, list[str]] = {}

    def add(self, name: str, component: Any, shown_by: Callable[[Any], Any] | None = None) -> Any:
        """Name a component; the browser knows it by the same name, with a hyphen.

        Args:
            name: of it.
            component: Gradio's.
            shown_by: turns what a function says of it into Gradio's update, where that is not its value.
        """
        self.parts[name] = component
        component.elem_id = name.replace(".", "-")
        if shown_by is not None:
            self.shown_by[name] = shown_by
        return component

    def choose_among(self, group: str, names: list[str]) -> None:
        """Name what several components choose among; what was chosen stays."""
        self.choosers[group] = names

    def cards(self, name: str, value: str = "") -> Any:
        """Clips as HTML, whose buttons are told to the server."""
        return self.add(name, gr.HTML(value, js_on_load=CARDS, apply_default_css=False))

    def on(
        self,
        events: Any,
        act: Callable[..., Any],
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        event: bool = False,
        long: bool = False,
        script: str | None = None,
    ) -> None:
        """Answer events.

        Args:
            events: of components, one or several.
            act: a plain function; takes the user, what happened (with ``event``), and the inputs' values. Gives what
                changes, by name, at once or bit by bit.
            inputs: names of components.
            outputs: names of those that may change; the notice and the progress bar always may.
            event: whether to pass on what a card said.
            long: whether it makes music.
            script: JavaScript that gives the inputs' values in place of the components.
        """
        several = [self.choosers.get(name, [name]) for name in [*outputs, "notice", "progress"]]
        names = list(dict.fromkeys(name for group in several for name in group))
        safe = told(act)

        if event:

            def answer(happened: gr.EventData, request: gr.Request, *values: Any) -> Iterator[dict[Any, Any]]:
                said = happened._data if isinstance(happened._data, dict) else {}
                for shown in safe(str(request.session_hash), said, *values):
                    yield self._update(shown, names)

            answering: Any = answer
        else:

            def reply(request: gr.Request, *values: Any) -> Iterator[dict[Any, Any]]:
                for shown in safe(str(request.session_hash), *values):
                    yield self._update(shown, names)

            answering = reply
        gr.on(
            events if isinstance(events, list) else [events],
            answering,
            [self.parts[name] for name in inputs],
            [self.parts[name] for name in names],
            js=script,
            show_progress="hidden",
            concurrency_limit=WAITING if long else None,
            concurrency_id="making" if long else None,
            api_visibility="private",
            trigger_mode="once" if long else "multiple",
        )

    def _update(self, shown: Shown, names: Sequence[str]) -> dict[Any, Any]:
        updates = {
            self.parts[name]: self.shown_by.get(name, _as_it_is)(value)
            for name, value in shown.items()
            if name in names
        }
        for group in shown.keys() & self.choosers.keys():
            for name in set(self.choosers[group]) & set(names):
                value = {"value": shown[name]} if name in shown else {}
                updates[self.parts[name]] = gr.update(choices=shown[group], **value)
        return updates or {self.parts["progress"]: gr.skip()}


def _as_it_is(value: Any) -> Any:
    return value
