"""``musegen app``: what it refuses before it loads anything."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import muse
import tiny
from helpers import require
from musegen.checkpoints import save_model
from musegen.cli import main
from musegen.generation.folder import write_pipeline


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


def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require("gradio")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused(capsys, "--port", port, "--library", tmp_path / "library", "--model", tmp_path / "not looked at")
    assert f"cannot listen at 127.0.0.1, port {port}: " in said
    assert "--port 0 takes any that is free" in said
    assert "port: expected 0 (any that is free) to 65535, got 70000" in refused(capsys, "--port", 70000)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    from musegen.commands.app import app

    with pytest.raises(ValueError, match=r"gradio, plotly, umap: pip install 'musegen\[app\]'"):
        app()


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a start ends with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["app", *map(str, arguments)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_wrong_corpus_or_embedder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require("gradio")
    folder = tiny.save_pipeline(tmp_path / "model")
    start = ("--model", folder, "--library", tmp_path / "library", "--trust_plugins", "tiny", "--device", "cpu")
    assert "nowhere" in refused(capsys, *start, "--corpus", tmp_path / "nowhere")
    corpus = muse.corpus(tmp_path / "corpus")
    said = refused(capsys, *start, "--corpus", corpus)
    assert f"{corpus}: expected embeddings of spectral-2, got those of tiny-ears-1" in said
    assert "unknown embedder 'spectrel'; expected one of" in refused(capsys, *start, "--embedder", "spectrel")
    joint = {"class_path": "musegen.conditioning.joint.Joint", "init_args": {"model": "joint"}}
    write_pipeline(folder, **tiny.PIPELINE, embedder=joint)
    said = refused(capsys, *start)
    assert f"{folder / 'pipeline.json'}: embedder: expected the model folder joint beside it, got none" in said
    (folder / "joint").mkdir()
    said = refused(capsys, *start)
    assert f"{folder / 'pipeline.json'}: embedder: Joint: expected a model folder" in said
    write_pipeline(folder, **tiny.PIPELINE)
    save_model(tiny.vae(), folder / "regression", licences=[])
    assert f"{folder / 'regression'}" in refused(capsys, *start)
