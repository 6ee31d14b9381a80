"""The Studio: words or sounds in, clips out."""

from __future__ import annotations

import gradio as gr

from musegen.app.pages.parts import Page
from musegen.app.work.wishes import MAX_STEPS, MAX_VARIATIONS
from musegen.app.work.workshop import Workshop
from musegen.flow.samplers.base import Sampler
from musegen.flow.settings import SAMPLERS
from musegen.plugins import names

FIRST = ["prompt", "negative", "count", "seconds", "text_guidance", "guidance", "steps", "text_steps", "sampler"]
FORM = [f"studio.{field}" for field in [*FIRST, "seed_how", "seed", "sound", "mix", "start", "strength", "seeds"]]
SHOWN = ["studio.cards", "studio.shown", "studio.seeds", "studio.seed"]
SOUNDS = [".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif"]


def lay_out(page: Page, workshop: Workshop) -> None:
    """Lay out the Studio, with the model's own choices to begin with."""
    chain, longest = workshop.pipeline.chain, round(workshop.pipeline.max_seconds - 0.05, 1)
    first, second = chain.text2muq.defaults, chain.stable_audio_muq.defaults
    page.add("studio.shown", gr.State([]))
    page.add("studio.seeds", gr.State([]))
    page.add("studio.start", gr.State(""))
    with gr.Row(elem_classes="muse-columns"):
        with gr.Column(scale=3, min_width=300):
            page.add(
                "studio.prompt",
                gr.Textbox(
                    label="What should it sound like?",
                    placeholder="a slow sad piano ballad in D minor",
                    lines=3,
                    max_lines=6,
                    max_length=10_000,
                ),
            )
            with gr.Row():
                page.add("studio.make", gr.Button("Generate", variant="primary", scale=2))
                page.add("studio.cancel", gr.Button("Cancel", scale=1, min_width=90))
            with gr.Row():
                page.add(
                    "studio.count",
                    gr.Slider(1, MAX_VARIATIONS, 2, step=1, label="Variations", min_width=130, buttons=[]),
                )
                length = min(longest, 12.0)
                page.add(
                    "studio.seconds",
                    gr.Slider(0.5, longest, length, step=0.1, label="Seconds", min_width=130, buttons=[]),
                )
            with gr.Row():
                ways = ["random", "fixed", "same again"]
                page.add("studio.seed_how", gr.Radio(ways, value="random", label="Seed", min_width=250, scale=2))
                page.add("studio.seed", gr.Textbox("0", label="First seed", min_width=120, max_lines=1, max_length=19))
            with gr.Accordion("Begin with a sound", open=False, elem_id="studio-sound-box"):
                label = "Drop an audio file: generate from what is heard in it"
                page.add("studio.sound", gr.File(label=label, file_types=SOUNDS, height=120))
                page.add(
                    "studio.mix",
                    gr.Slider(0, 1, 1, step=0.05, label="Mix", info="0 the words alone, 1 the sound alone", buttons=[]),
                )
            with gr.Group(visible=False) as row:
                page.add("studio.start_said", gr.HTML(apply_default_css=False))
                page.add(
                    "studio.strength",
                    gr.Slider(
                        0.05, 0.95, 0.7, step=0.05, label="Strength", info="how much of it is made anew", buttons=[]
                    ),
                )
                page.add("studio.start_clear", gr.Button("Begin with noise again", size="sm"))
            page.add("studio.start_row", row, lambda shown: gr.update(visible=shown))
            with gr.Accordion("Fine tuning", open=False, elem_id="studio-fine"):
                page.add("studio.negative", gr.Textbox(label="Move away from", placeholder="drums, distortion"))
                with gr.Row():
                    page.add(
                        "studio.text_guidance",
                        gr.Slider(0, 15, _scale(first), step=0.1, label="Follow the words", min_width=130, buttons=[]),
                    )
                    page.add(
                        "studio.guidance",
                        gr.Slider(0, 15, _scale(second), step=0.1, label="Guidance", min_width=130, buttons=[]),
                    )
                with gr.Row():
                    page.add(
                        "studio.text_steps",
                        gr.Slider(
                            1, MAX_STEPS, first.steps, step=1, label="Steps for the idea", min_width=130, buttons=[]
                        ),
                    )
                    page.add(
                        "studio.steps",
                        gr.Slider(
                            1, MAX_STEPS, second.steps, step=1, label="Steps for the music", min_width=130, buttons=[]
                        ),
                    )
                own = type(second.sampler).__module__.rpartition(".")[2]
                known = names(Sampler, SAMPLERS)
                page.add(
                    "studio.sampler",
                    gr.Dropdown(known, value=own if own in known else None, label="Sampler"),
                )
        with gr.Column(scale=5, min_width=320):
            page.cards("studio.cards")


def _scale(settings: object) -> float:
    """The scale of a guidance, where it has one."""
    recipe = settings.guidance.config["init_args"]  # type: ignore[attr-defined]
    while isinstance(recipe, dict) and "scale" not in recipe:
        inner = [each["init_args"] for each in recipe.values() if isinstance(each, dict) and "init_args" in each]
        recipe = inner[0] if inner else {"scale": 1.0}
    return float(recipe["scale"])
