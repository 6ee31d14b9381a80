"""However a pipeline runs its networks and decodes, its clips are the same, and their JSON says what bits depend on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from musegen.cli import main
from musegen.fingerprint import compare
from musegen.flow.execution.compiled import Compiled
from musegen.flow.execution.eager import Eager
from musegen.generation.chain import Chain
from musegen.generation.clip import Clip, read_clip
from musegen.generation.folder import PARTS
from musegen.pipeline import TextToMusic

PROMPTS = ["a slow sad piano ballad", "fast drums", "a waltz"]
OPTIONS: Any = {"seeds": [5, 6], "seconds": 0.4}


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return tiny.pipeline().generate(PROMPTS, **OPTIONS)


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"execution": "graph"}, set()),
        ({"execution": Eager()}, set()),
        ({"execution": {"text2muq": Eager(skip_null=False)}}, {"text2muq.execution.skip_null"}),
        ({"execution": Compiled(backend="aot_eager")}, {"text2muq.execution.as", "stable_audio_muq.execution.as"}),
        ({"decoder": "fast"}, {"vae.decoder"}),
    ],
)
def test_every_way_makes_the_same_clips(clips: list[Clip], arguments: dict[str, Any], fields: set[str]) -> None:
    for expected, found in zip(clips, tiny.pipeline(**arguments).generate(PROMPTS, **OPTIONS), strict=True):
        different = compare(expected.fingerprint, found.fingerprint)
        assert fields <= set(different)
        assert {name.split(".")[0] for name in different} == {name.split(".")[0] for name in fields}
        if fields:
            assert (found.audio - expected.audio).abs().max() < 1e-3 * expected.audio.std()
        else:
            assert torch.equal(found.audio, expected.audio)


def test_decoding_behind_changes_no_bits(clips: list[Clip]) -> None:
    behind = tiny.pipeline()
    behind.chain.overlap = True
    made = behind.generate(PROMPTS, **OPTIONS)
    assert [(clip.prompt, clip.seed) for clip in made] == [(clip.prompt, clip.seed) for clip in clips]
    assert all(torch.equal(one.audio, other.audio) for one, other in zip(made, clips, strict=True))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_sampled_is_handed_out_when_sampling_ends(
    clips: list[Clip], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    whole, calls = Chain.latents, []

    def ends(self: Chain, *arguments: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise error("in the third lane")
        return whole(self, *arguments)

    monkeypatch.setattr(Chain, "latents", ends)
    behind = tiny.pipeline()
    behind.chain.overlap = True
    kept: list[Clip] = []
    stream: Iterator[Clip] = behind.stream(PROMPTS, **OPTIONS)
    with pytest.raises(error, match="in the third lane"):
        kept.extend(stream)  # list.extend keeps what came before
    assert [torch.equal(one.audio, other.audio) for one, other in zip(kept, clips, strict=False)] == [True, True]


def test_a_clip_that_was_made_another_way_is_made_again_that_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny.save_pipeline(tmp_path / "toy")
    common = ["--trust_plugins", "tiny", "--out", str(tmp_path / "out")]
    recipe = '{"class_path": "musegen.flow.execution.eager.Eager", "init_args": {"skip_null": false}}'
    making = ["generate", "x", "--model", str(model), "--execution", recipe, "--decoder", "fast", *common]
    main(making)
    described = Path(capsys.readouterr().out.strip()).with_suffix(".json")
    said = read_clip(described)
    assert said["fingerprint"]["vae"]["decoder"] == "fast"
    main(["generate", "--again", str(described), *common])
    assert capsys.readouterr().err == "the same bits\n"
    with pytest.raises(SystemExit) as status:
        main(["generate", "--again", str(described), "--execution", "eager", "--decoder", "plain", *common])
    assert status.value.code == 1
    *differing, verdict = capsys.readouterr().err.splitlines()
    assert "the bits differ, see " in verdict
    fields = {line.partition(":")[0] for line in differing}
    assert fields == {f"{part}.execution.skip_null" for part in PARTS[:2]} | {"vae.decoder"}


def test_wrong_ways_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny.save_pipeline(tmp_path / "toy")
    for option, message in (("--execution", "execution: expected one of auto"), ("--decoder", "decoder: expected")):
        with pytest.raises(SystemExit) as status:
            main(["generate", "x", "--model", str(model), option, "quick", "--trust_plugins", "tiny"])
        assert status.value.code == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_load_takes_an_execution(tmp_path: Path) -> None:
    model = tiny.save_pipeline(tmp_path / "toy")
    loaded = TextToMusic.load(model, "cpu", trust=tiny.TRUST, execution=Eager(skip_null=False), decoder="fast")
    ways = loaded.chain.ways()
    assert ways["decoder"] == "fast"
    assert ways["execution"]["stable_audio_muq"]["init_args"] == {"skip_null": False}
