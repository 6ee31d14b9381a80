"""The server: Gradio's page and our routes, on this machine alone unless someone says otherwise."""

from __future__ import annotations

import ipaddress
import os
import socket
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from musegen.app.acts.desk import Desk
from musegen.app.pages.app import build
from musegen.app.routes import routes
from musegen.app.work.uploads import MAX_BYTES
from musegen.app.work.workshop import Workshop

POLICY = "; ".join(
    [
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
        "connect-src 'self' data: blob:",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "object-src 'none'",
    ]
)
"""Gradio's page runs scripts of its own making; none of them may speak to another machine."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class SafeHeaders:
    """Tells browsers, with every answer, to ask no other machine for anything."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add the headers to its answer."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", []) if pair[0].decode().lower() not in HEADERS]
                message["headers"] = [*kept, *((name.encode(), text.encode()) for name, text in HEADERS.items())]
            await send(message)

        await self.app(scope, receive, sent)


def is_local(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened at, before a model is loaded for it.

    Raises:
        ValueError: for no port, one that something else listens at, or an address that is none of this machine.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port: expected 0 (any that is free) to 65535, got {port}")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = error.strerror or str(error)
            raise ValueError(f"cannot listen at {host}, port {port}: {why}; --port 0 takes any that is free") from None


def check_bind(host: str, public: bool, share: bool) -> None:
    """Refuse to be reached from elsewhere by accident.

    Raises:
        ValueError: for an address that others reach, without ``public``; for a tunnel without it, too.
    """
    if public or (is_local(host) and not share):
        return
    what = "--share" if share else f"--host {host}"
    raise ValueError(
        f"{what} lets others reach the app, who could use this machine and hear your clips: add --public true"
    )


def theme() -> Any:
    """Gradio's plain theme in the page's colours, with fonts of the system."""
    accent = gr.themes.Color(
        c50="#effaf7", c100="#d5f1ea", c200="#aee3d7", c300="#7dcfbf", c400="#3fb8a9", c500="#12897e", c600="#0f766e",
        c700="#0d5f59", c800="#0c4b47", c900="#0a3d3a", c950="#062624",
    )  # fmt: skip
    sans, mono = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
    plain = gr.themes.Base(
        primary_hue=accent,
        secondary_hue=accent,
        neutral_hue="stone",
        radius_size="lg",
        font=[gr.themes.Font(name) for name in sans],
        font_mono=[gr.themes.Font(name) for name in mono],
    )
    return plain.set(
        body_background_fill="#f7f5f0",
        body_background_fill_dark="#14191c",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1c2327",
        background_fill_secondary="#f7f5f0",
        background_fill_secondary_dark="#14191c",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1c2327",
        border_color_primary="#ddd8cc",
        border_color_primary_dark="#353d42",
        input_background_fill="#fbfaf7",
        input_background_fill_dark="#161c1f",
        input_border_color="#cfc9bb",
        input_border_color_dark="#3d464b",
        input_border_width="1px",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_dark="#3fb8a9",
        button_primary_background_fill_hover="#0d5f59",
        button_primary_background_fill_hover_dark="#7dcfbf",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#08211e",
        button_secondary_background_fill="#efece4",
        button_secondary_background_fill_dark="#2a3338",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_text_color="#5b656b",
        block_label_text_color_dark="#a3adb1",
        body_text_color="#1d2428",
        body_text_color_dark="#e9e6dd",
        body_text_color_subdued="#5b656b",
        body_text_color_subdued_dark="#a3adb1",
        slider_color="#12897e",
        slider_color_dark="#3fb8a9",
    )


def launch(
    workshop: Workshop, host: str = "127.0.0.1", port: int = 7860, public: bool = False, share: bool = False
) -> tuple[gr.Blocks, str]:
    """Start the server in a thread.

    Args:
        workshop: what it works with.
        host: address to listen at.
        port: 0 for any that is free.
        public: allow an address, or a tunnel, that others reach.
        share: open a tunnel through Gradio's servers.

    Returns:
        The running app, to be closed, and its address; that of a tunnel is the app's ``share_url``.

    Raises:
        ValueError: for an address that others reach, without ``public``.
        OSError: if the port is taken, or a tunnel cannot be opened.
    """
    check_bind(host, public, share)
    blocks = build(Desk(workshop))
    middleware = [Middleware(SafeHeaders)]
    if is_local(host) and not share:  # a page elsewhere may point its own name at this machine
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "::1", host]))
    with redirect_stdout(StringIO()):  # what the command line says is said by the command
        _, address, tunnel = blocks.launch(
            server_name=host,
            server_port=port or _free_port(host),
            share=share,
            quiet=True,
            prevent_thread_lock=True,
            inbrowser=False,
            show_error=False,
            ssr_mode=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            run_history=False,
            footer_links=[],
            max_file_size=MAX_BYTES,
            allowed_paths=[],
            blocked_paths=[str(workshop.library.folder)],
            theme=theme(),
            head='<link rel="stylesheet" href="muse/muse.css"><script src="muse/muse.js"></script>',
            app_kwargs={"routes": routes(workshop), "middleware": middleware, "docs_url": None, "redoc_url": None},
        )
    if share and tunnel is None:
        blocks.close(verbose=False)
        raise OSError("share: expected a tunnel through Gradio's servers, which could not be opened from this machine")
    return blocks, address


def _free_port(host: str) -> int:
    import socket

    with socket.socket() as free:
        free.bind((host, 0))
        return free.getsockname()[1]
