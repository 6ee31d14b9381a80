"""The server: who reaches it, and what it tells them."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

import muse
from helpers import require

TUNNEL = "https://abc.gradio.live"


def status(address: str, host: str | None = None) -> int:
    """What the server answers to someone who calls it by a name."""
    request = urllib.request.Request(address, headers={} if host is None else {"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_tunnel_is_opened_only_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    require("gradio")
    from gradio import networking

    from musegen.app.server import launch

    opened: list[int] = []

    def tunnel(**arguments: object) -> str:
        opened.append(int(str(arguments["local_port"])))
        return TUNNEL

    monkeypatch.setattr(networking, "setup_tunnel", tunnel)
    workshop = muse.workshop(tmp_path)
    blocks, address = launch(workshop, port=0)
    try:
        assert opened == []
        assert blocks.share_url is None
        assert [status(address), status(address, "abc.gradio.live")] == [200, 400]
    finally:
        blocks.close(verbose=False)
    with pytest.raises(ValueError, match="--share lets others reach the app"):
        launch(workshop, port=0, share=True)
    assert opened == []
    blocks, address = launch(workshop, port=0, public=True, share=True)
    try:
        assert opened == [int(address.rstrip("/").rpartition(":")[2])]
        assert blocks.share_url == TUNNEL
        assert status(address, "abc.gradio.live") == 200, "through the tunnel it has another name"
    finally:
        blocks.close(verbose=False)

    def none(**arguments: object) -> str:
        raise OSError("no way out")

    monkeypatch.setattr(networking, "setup_tunnel", none)
    with pytest.raises(OSError, match=r"^share: expected a tunnel .* could not be opened from this machine$"):
        launch(workshop, port=0, public=True, share=True)
    assert capfd.readouterr().out == "", "what the command line says is said by the command"
