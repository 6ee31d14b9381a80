"""What the server gives out beside Gradio's page: clips by their ids, pictures of them, and the page's own scripts.

Nothing here takes a path: an id is 32 hexadecimal digits, and its files lie in the library's one folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from musegen.app.work.workshop import Workshop
from musegen.generation.names import slug

STATIC = Path(__file__).parent / "static"
FOREVER = "private, max-age=31536000, immutable"
KINDS = {"flac": "audio/flac", "json": "application/json"}


def routes(workshop: Workshop) -> list[Route]:
    """All of them, under ``/muse/``."""
    library = workshop.library

    def clip(request: Request) -> Response:
        id, kind = request.path_params["id"], request.path_params["kind"]
        record = library.get(id)
        path = library.audio_path(id) if kind == "flac" else library.json_path(id)
        if kind not in KINDS or not path.is_file():
            return Response("this clip's file is missing", 404)
        headers = {"Cache-Control": FOREVER}
        if request.query_params.get("download"):
            name = quote(f"{slug(record.title)}.{kind}")
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return FileResponse(path, media_type=KINDS[kind], headers=headers)

    def picture(request: Request) -> Response:
        content = library.picture(request.path_params["id"], "mel")
        return Response(content, media_type="image/png", headers={"Cache-Control": FOREVER})

    def piece(request: Request) -> Response:
        return Response(workshop.piece(request.path_params["number"]), media_type="audio/flac")

    def script(_: Request) -> Response:
        return FileResponse(STATIC / "muse.js", media_type="text/javascript")

    def style(_: Request) -> Response:
        return FileResponse(STATIC / "muse.css", media_type="text/css")

    def plotly(_: Request) -> Response:
        from plotly.offline import get_plotlyjs

        return Response(get_plotlyjs(), media_type="text/javascript", headers={"Cache-Control": FOREVER})

    return [
        Route("/muse/clips/{id}.{kind}", _answer(clip)),
        Route("/muse/pictures/{id}.png", _answer(picture)),
        Route("/muse/corpus/{number:int}.flac", _answer(piece)),
        Route("/muse/muse.js", _answer(script)),
        Route("/muse/muse.css", _answer(style)),
        Route("/muse/plotly.js", _answer(plotly)),
    ]


def _answer(give: Callable[[Request], Response]) -> Callable[[Request], Any]:
    """Give an answer from a thread, so that the page never waits for a disk; a user's mistake is a plain 404."""

    async def answered(request: Request) -> Response:
        try:
            return await asyncio.to_thread(give, request)
        except (ValueError, OSError):
            return Response("there is no such clip", 404)

    return answered
