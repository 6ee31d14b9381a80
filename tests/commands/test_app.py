"""``musegen app``: what it refuses before it loads anything."""

from __future__ import annotations

import pytest

from helpers import require
from musegen.cli import main


@pytest.mark.parametrize(
    "arguments", [["--host", "0.0.0.0"], ["--host", "192.168.1.7"], ["--host", "example.org"], ["--share", "true"]]
)
def test_others_reach_it_only_if_that_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    require("gradio")
    with pytest.raises(SystemExit) as stop:
        main(["app", *arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--public true" in error


def test_which_addresses_are_local() -> None:
    require("gradio")
    from musegen.app.server import check_bind, is_local

    assert [is_local(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::", "10.0.0.1")] == [True] * 3 + [
        False
    ] * 3
    check_bind("127.0.0.1", public=False, share=False)
    check_bind("0.0.0.0", public=True, share=True)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    from musegen.commands.app import app

    with pytest.raises(ValueError, match=r"gradio, plotly, umap: pip install 'musegen\[app\]'"):
        app()
