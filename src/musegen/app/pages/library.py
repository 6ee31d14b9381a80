"""The Library: what was kept."""

from __future__ import annotations

import gradio as gr

from musegen.app.acts.library import EVERY_TAG, SHELVES
from musegen.app.pages.parts import Page
from musegen.app.pages.studio import SOUNDS
from musegen.app.store.search import ORDERS

SEARCH = [f"library.{field}" for field in ("words", "tag", "favourite", "rating", "order", "shelf")]
SHOWN = ["library.cards", "library.tags"]


def lay_out(page: Page) -> None:
    """Lay out the Library."""
    with gr.Row(equal_height=True):
        page.add(
            "library.words",
            gr.Textbox(label="Find", placeholder="words in names, prompts and tags", scale=3, min_width=240),
        )
        page.add("library.tag", gr.Dropdown([EVERY_TAG], value=EVERY_TAG, label="Tag", scale=1, min_width=150))
        page.add("library.order", gr.Dropdown(list(ORDERS), value="newest", label="Order", scale=1, min_width=150))
        page.add("library.shelf", gr.Radio(list(SHELVES), value="Kept", label="Show", scale=2, min_width=200))
    with gr.Row(equal_height=True):
        page.add("library.rating", gr.Slider(0, 5, 0, step=1, label="Stars, at least", min_width=150, buttons=[]))
        page.add("library.favourite", gr.Checkbox(label="Favourites only", min_width=130))
        page.add("library.pack", gr.Button("Export selected", size="md", min_width=130))
    with gr.Accordion("Find by sound, or take in your own music", open=False, elem_id="library-more"), gr.Row():
        with gr.Column(min_width=240):
            label = "Sounds like these words (press Enter)"
            page.add("library.like_words", gr.Textbox(label=label))
        with gr.Column(min_width=240):
            label = "Sounds like this file"
            page.add(
                "library.like_file",
                gr.File(label=label, file_types=SOUNDS, height=110),
            )
        with gr.Column(min_width=240):
            label = "Drop your music to take it in"
            page.add(
                "library.drop",
                gr.File(label=label, file_count="multiple", file_types=SOUNDS, height=110),
            )
    zip_file = gr.File(label="Packed up", visible=False, interactive=False)
    page.add("library.zip", zip_file, lambda path: gr.update(value=path, visible=path is not None))
    page.cards("library.cards")
    page.choose_among("library.tags", ["library.tag"])
