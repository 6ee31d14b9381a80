"""The Lab: the space between clips."""

from __future__ import annotations

import gradio as gr

from musegen.app.pages.parts import MAP, Page
from musegen.app.view.figure import WAYS
from musegen.app.work.lab import MAX_SAMPLES, MAX_STOPS
from musegen.app.work.workshop import Workshop

VIEW = ["lab.colour", "lab.solid", "lab.clouds"]
WAY = ["lab.seconds", "lab.steps", "lab.seed"]
SHOWN = ["lab.cards", "lab.shown", "lab.near", "lab.choices"]
PLACES = ["lab.first", "lab.second", "lab.a", "lab.b", "lab.c"]


def lay_out(page: Page, workshop: Workshop) -> None:
    """Lay out the Lab."""
    longest = round(workshop.pipeline.max_seconds - 0.05, 1)
    page.add("lab.shown", gr.State([]))
    page.add("lab.clouds", gr.State([]))
    with gr.Row(elem_classes="muse-columns"):
        with gr.Column(scale=3, min_width=300):
            with gr.Accordion("Between two points", open=True):
                _place(page, "lab.first", "From")
                _place(page, "lab.second", "To")
                page.add(
                    "lab.count",
                    gr.Slider(2, MAX_STOPS, 5, step=1, label="Stops on the way", buttons=[]),
                )
                page.add("lab.between", gr.Button("Interpolate", variant="primary"))
            with gr.Accordion("Many answers to one prompt", open=False):
                page.add("lab.prompt", gr.Textbox(label="Prompt", placeholder="a calm waltz"))
                page.add("lab.samples", gr.Slider(8, MAX_SAMPLES, 48, step=8, label="Samples", buttons=[]))
                page.add("lab.cloud", gr.Button("Draw the cloud"))
            with gr.Accordion("Arithmetic: a − b + c", open=False):  # noqa: RUF001
                _place(page, "lab.a", "a")
                _place(page, "lab.b", "minus b")
                _place(page, "lab.c", "plus c")
                page.add("lab.sum", gr.Button("Calculate and play"))
            with gr.Accordion("How they sound", open=False):
                with gr.Row():
                    length = min(longest, 12.0)
                    page.add(
                        "lab.seconds",
                        gr.Slider(0.5, longest, length, step=0.1, label="Seconds", min_width=120, buttons=[]),
                    )
                    steps = workshop.pipeline.chain.stable_audio_muq.defaults.steps
                    page.add("lab.steps", gr.Slider(1, 250, steps, step=1, label="Steps", min_width=120, buttons=[]))
                page.add("lab.seed", gr.Textbox("0", label="Seed of every stop", max_lines=1, max_length=19))
            page.add("lab.cancel", gr.Button("Cancel", size="sm"))
        with gr.Column(scale=5, min_width=320, elem_classes="map-column"):
            with gr.Row():
                page.add("lab.colour", gr.Radio(list(WAYS), value=WAYS[0], label="Colour by", scale=5, min_width=260))
                with gr.Column(scale=1, min_width=110):
                    page.add("lab.solid", gr.Checkbox(label="3-D"))
                    page.add("lab.draw", gr.Button("Draw again", size="sm"))
            page.add(
                "lab.map",
                gr.HTML(
                    "",
                    html_template='<div class="map"></div>',
                    js_on_load=MAP,
                    apply_default_css=False,
                ),
            )
            page.add("lab.map_said", gr.HTML(apply_default_css=False))
            page.cards("lab.cards")
            page.cards("lab.near")
    page.choose_among("lab.choices", PLACES)


def _place(page: Page, name: str, label: str) -> None:
    box = gr.Dropdown([], label=label, info="a clip, or a few words", allow_custom_value=True)
    page.add(name, box)
