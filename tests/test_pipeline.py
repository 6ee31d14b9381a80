from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from musegen.conditioning.minilm import MiniLM
from musegen.fingerprint import compare, hash_tensor
from musegen.flow.guidance.rescaled import Rescaled
from musegen.flow.samplers.euler import Euler
from musegen.generation.clip import Clip, read_clip
from musegen.generation.folder import shipped, write_pipeline
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.pipeline import TextToMusic

PROMPTS = ["a slow sad piano ballad", "fast drums"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_pipeline(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(scope="module")
def pipeline() -> TextToMusic:
    return tiny.pipeline()


@pytest.fixture(scope="module")
def clips(pipeline: TextToMusic) -> list[Clip]:
    """Both prompts with the seeds 5, 6 and 7."""
    return pipeline.generate(PROMPTS, [5, 6, 7])


def same(first: Clip, second: Clip) -> bool:
    return torch.equal(first.audio, second.audio) and torch.equal(first.embedding, second.embedding)


def test_clips_are_what_was_asked_for(clips: list[Clip]) -> None:
    assert [(clip.prompt, clip.seed) for clip in clips] == [(prompt, seed) for prompt in PROMPTS for seed in (5, 6, 7)]
    for clip in clips:
        assert clip.audio.shape == (2, tiny.FRAMES * 256)
        assert clip.audio.dtype == torch.float32
        assert clip.audio.std() > 0.1
        assert clip.embedding.norm() == pytest.approx(1, abs=1e-6)
        assert clip.latents is not None
        assert clip.latents.shape == (tiny.CHANNELS, tiny.FRAMES)
        assert clip.sample_rate == tiny.RATE
        assert clip.seconds == pytest.approx(0.768)
    assert len({hash_tensor(clip.audio) for clip in clips}) == len(clips)
    assert len({hash_tensor(clip.embedding) for clip in clips}) == len(clips)


LOOSE = {"class_path": "musegen.flow.samplers.dopri5.Dopri5", "init_args": {"rtol": 0.1, "atol": 0.1}}


@pytest.mark.parametrize(
    "sampler", ["dpmpp_3m_sde", "pingpong", LOOSE, "heun"], ids=["dpmpp_3m_sde", "pingpong", "dopri5", "heun"]
)
def test_neighbours_and_order_do_not_matter(pipeline: TextToMusic, sampler: Any) -> None:
    options: Any = {"sampler": sampler, "stage1_sampler": sampler, "steps": 3, "stage1_steps": 3}
    many = pipeline.generate(PROMPTS, [5, 6, 7], **options)
    alone = pipeline.generate(PROMPTS[1], 6, **options)
    reordered = pipeline.generate(PROMPTS[::-1], [7, 6], **options)
    assert same(alone[0], many[4])
    assert same(reordered[1], many[4])
    assert same(reordered[2], many[2])
    assert not same(many[4], many[5])


def test_padding_of_a_lane_does_not_matter() -> None:
    # 10 frames: the latents of the second of a lane begin between two multiples of 64 bytes
    wide = tiny.pipeline(lane=3, defaults=tiny.PIPELINE | {"variable_length": True})
    many = wide.generate(PROMPTS, [5, 6], seconds=0.3)
    for item, clip in enumerate(many):
        assert same(wide.generate(clip.prompt, clip.seed, seconds=0.3)[0], many[item])


def test_the_fingerprint_says_the_lane_that_memory_sufficed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tiny.pipeline(lane=2).generate(PROMPTS, [5, 6])
    predict = DiffusionTransformer.predict
    begun = []

    def crowded(network: DiffusionTransformer, x: torch.Tensor, *others: Any) -> torch.Tensor:
        begun.append(len(x))
        if len(x) > 4 and len(begun) > 8:  # guidance doubles; the first lane of 4 passes
            raise torch.OutOfMemoryError("no room")
        return predict(network, x, *others)

    monkeypatch.setattr(DiffusionTransformer, "predict", crowded)
    wide = tiny.pipeline(lane=4)
    clips = wide.generate([*PROMPTS, *PROMPTS], [5, 6])
    lanes = [clip.fingerprint["stable_audio_muq"]["lane"] for clip in clips]
    assert lanes[:4] == [4] * 4
    assert set(lanes[4:]) == {2}
    assert all(clip.fingerprint["text2muq"]["lane"] == 4 for clip in clips)
    again = wide.generate(PROMPTS, [5, 6])
    assert all(clip.fingerprint["stable_audio_muq"]["lane"] == 2 for clip in again)
    for clip, other in zip(again, expected, strict=True):
        torch.testing.assert_close(clip.audio, other.audio, rtol=0, atol=1e-4)


def test_auto_lane_agrees_within_rounding(clips: list[Clip]) -> None:
    auto = tiny.pipeline(lane="auto").generate(PROMPTS, [5, 6, 7])
    for clip, other in zip(clips, auto, strict=True):
        assert other.fingerprint["text2muq"]["lane"] == "auto"
        assert (clip.audio - other.audio).abs().max() < 1e-3 * clip.audio.std()


def test_each_stage_alone_makes_the_same(pipeline: TextToMusic, clips: list[Clip]) -> None:
    embeddings = pipeline.embed(PROMPTS, [5, 6, 7])
    assert torch.equal(embeddings, torch.stack([clip.embedding for clip in clips]))
    rendered = pipeline.render(embeddings[3:5], [5, 6])
    assert same(rendered[0], clips[3])
    assert same(rendered[1], clips[4])
    latents = torch.stack([clip.latents for clip in clips if clip.latents is not None])
    assert torch.equal(pipeline.decode(latents), torch.stack([clip.audio for clip in clips]))


def test_stage_2_has_the_seed_of_its_item(pipeline: TextToMusic, clips: list[Clip]) -> None:
    embeddings = clips[0].embedding.repeat(3, 1)
    made = pipeline.render(embeddings, [5, 6, 7])
    assert same(made[0], clips[0])
    assert not torch.equal(made[0].audio, made[1].audio)
    assert not torch.equal(made[1].audio, made[2].audio)
    assert same(pipeline.render(embeddings[:1], 7)[0], made[2])
    assert same(pipeline.render(embeddings, 6)[2], made[1])


def test_a_short_clip_is_the_beginning_of_the_same_latents(pipeline: TextToMusic) -> None:
    short = pipeline.generate(PROMPTS[0], 5, seconds=0.1)[0]
    assert short.audio.shape == (2, 800)
    assert short.latents is not None
    assert short.latents.shape[-1] == tiny.FRAMES
    whole = pipeline.decode(short.latents[None])[0]
    assert (short.audio - whole[:, :800]).abs().max() < 1e-5
    assert short.audio.std() > 0.1


def test_variable_length_samples_no_more_frames_than_needed() -> None:
    variable = tiny.pipeline(defaults=tiny.PIPELINE | {"variable_length": True})
    clip = variable.generate(PROMPTS[0], 5, seconds=0.3)[0]
    assert clip.audio.shape == (2, 2400)
    assert clip.latents is not None
    assert clip.latents.shape[-1] == 10  # 2400 samples, 256 a frame
    assert clip.fingerprint["stable_audio_muq"]["frames"] == 10


def test_another_process_makes_the_same_bits_from_the_folder(folder: Path, clips: list[Clip]) -> None:
    script = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from musegen import TextToMusic\n"
        "from musegen.fingerprint import hash_tensor\n"
        f"pipeline = TextToMusic.load({str(folder)!r}, 'cpu', trust=['tiny'])\n"
        f"clips = pipeline.generate({PROMPTS[1]!r}, [7, 6])\n"
        "print(*[hash_tensor(clip.audio) for clip in clips])\n"
        "assert 'lightning' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [hash_tensor(clips[5].audio), hash_tensor(clips[4].audio)]


def test_options_override_the_folder(pipeline: TextToMusic, clips: list[Clip]) -> None:
    def fields(**options: object) -> set[str]:
        clip = pipeline.generate(PROMPTS[0], 5, **options)[0]  # type: ignore[arg-type]
        assert not same(clip, clips[0])
        return set(compare(clips[0].fingerprint, clip.fingerprint))

    assert fields(steps=7) == {"stable_audio_muq.steps"}
    assert fields(guidance=4) == {"stable_audio_muq.guidance.init_args.scale"}
    assert fields(stage1_guidance=4.0) == {"text2muq.guidance.init_args.scale"}
    assert fields(stage1_steps=5) == {"text2muq.steps"}
    assert fields(negative="loud noise") == {"request.negative"}
    assert "stable_audio_muq.sampler.class_path" in fields(sampler="heun")
    assert "stable_audio_muq.guidance.init_args.rescale" in fields(guidance=Rescaled(2.0))
    assert "text2muq.sampler.class_path" in fields(stage1_sampler="musegen.flow.samplers.euler.Euler")
    assert same(
        pipeline.generate(PROMPTS[0], 5, sampler="euler")[0], pipeline.generate(PROMPTS[0], 5, sampler=Euler())[0]
    )


def test_a_negative_prompt_works_through_stage_1(pipeline: TextToMusic, clips: list[Clip]) -> None:
    clip = pipeline.generate(PROMPTS[0], 5, negative="loud noise")[0]
    assert not torch.equal(clip.embedding, clips[0].embedding)
    unguided = [pipeline.generate(PROMPTS[0], 5, negative=text, stage1_guidance=1.0)[0] for text in ("loud", None)]
    assert same(*unguided)


def test_streaming_gives_a_clip_before_the_next_is_begun(pipeline: TextToMusic, clips: list[Clip]) -> None:
    told: list[tuple[str, int, int]] = []
    stream = pipeline.stream(PROMPTS, [5, 6, 7], lambda *step: told.append(step))
    assert told == []
    assert same(next(stream), clips[0])
    assert told[-1] == ("latents", 6, 36)
    assert [step for step in told if step[0] == "embeddings"][-1] == ("embeddings", 24, 24)
    assert same(list(stream)[-1], clips[-1])
    assert told[-1] == ("latents", 36, 36)


def test_licences_and_encoders_travel(folder: Path, clips: list[Clip]) -> None:
    loaded = TextToMusic.load(folder, "cpu", trust=tiny.TRUST)
    assert loaded.licences == ["Apache-2.0", "CC-BY-4.0", "CC0-1.0"]
    assert clips[0].licences == ["CC0-1.0"]  # of the encoder; these weights came from no folder
    assert clips[0].fingerprint["text2muq"]["encoders"] == ["tiny-1"]


def test_fingerprints_tell_weights_apart(folder: Path, clips: list[Clip]) -> None:
    loaded = TextToMusic.load(folder, "cpu", trust=tiny.TRUST)
    clip = loaded.generate(PROMPTS[0], 5)[0]
    assert compare(clips[0].fingerprint, clip.fingerprint) == {}
    assert same(clip, clips[0])
    other = TextToMusic(
        tiny.text2muq(seed=9),
        tiny.stable_audio_muq(),
        tiny.vae(),
        defaults=tiny.PIPELINE,
        device="cpu",
        dtype="bfloat16",
    )
    differing = compare(clip.fingerprint, other.generate(PROMPTS[0], 5)[0].fingerprint)
    assert set(differing) == {"text2muq.weights", "text2muq.dtype", "stable_audio_muq.dtype"}


def test_saved_clips_are_made_again(tmp_path: Path, pipeline: TextToMusic, clips: list[Clip]) -> None:
    rendered = pipeline.render(torch.nn.functional.normalize(torch.ones(1, tiny.EMBEDDING)), 3, seconds=0.2)[0]
    for clip in (clips[4], pipeline.generate("x", 1, sampler="heun", negative="y", guidance=1.5)[0], rendered):
        path = clip.save(tmp_path / f"clip.{clip.seed}", "flac")
        assert path.name == f"clip.{clip.seed}.flac"
        described = read_clip(path.with_suffix(".json"))
        again = pipeline.remake(described)
        assert same(again, clip)
        assert described["audio_sha256"] == hash_tensor(again.audio)
        assert compare(described["fingerprint"], again.fingerprint) == {}


@pytest.mark.parametrize(
    ("prompts", "seeds", "options", "message"),
    [
        ([], 0, {}, "prompts: expected at least one"),
        ("  ", 0, {}, "prompt: expected a few words about the music, got an empty text"),
        (["x", ""], 0, {}, "prompt 2 of 2: expected a few words"),
        ("x" * 10_001, 0, {}, "prompt: expected at most 10000 characters, got 10001"),
        ([3], 0, {}, "prompt: expected text, got int"),
        (3, 0, {}, "prompts: expected a prompt or a list of prompts, got int"),
        (None, 0, {}, "prompts: expected a prompt or a list of prompts, got NoneType"),
        (b"x", 0, {}, "prompts: expected a prompt or a list of prompts, got bytes"),
        ({"x": 1}, 0, {}, "prompts: expected a prompt or a list of prompts, got dict"),
        ("x", -1, {}, "seed: expected a whole number from 0"),
        ("x", 1.5, {}, "seed: expected a whole number, got 1.5"),
        ("x", None, {}, "seed: expected a whole number, got None"),
        ("x", "12", {}, "seed: expected a whole number, got '12'"),
        ("x", True, {}, "seed: expected a whole number from 0"),
        ("x", [1, 2.5], {}, "seed: expected a whole number, got 2.5"),
        ("x", 2**63, {}, "seed: expected a whole number from 0"),
        ("x", [], {}, "seeds: expected at least one"),
        ("x", 0, {"seconds": -1}, "seconds: expected above 0 and at most 0.77"),
        ("x", 0, {"seconds": 0}, "seconds: expected above 0"),
        ("x", 0, {"seconds": 99.0}, "seconds: expected above 0 and at most 0.77, the model's longest, got 99.0"),
        ("x", 0, {"seconds": float("nan")}, "seconds: expected above 0"),
        ("x", 0, {"steps": 0}, "steps: expected a whole number from 1"),
        ("x", 0, {"stage1_steps": 1.5}, "steps: expected a whole number from 1"),
        ("x", 0, {"guidance": -1.0}, "guidance: expected a scale of 0 or more"),
        ("x", 0, {"sampler": "hoin"}, r"unknown sampler 'hoin'; expected one of dopri5, dpmpp_2m, .*heun"),
        ("x", 0, {"guidance": "strong"}, "unknown guidance 'strong'; expected one of adaptive_projected"),
        ("x", 0, {"sampler": "os.system"}, "os"),
        ("x", 0, {"sampler": "{bad"}, "sampler: expected a name or JSON"),
        ("x", 0, {"negative": ""}, "negative: expected a few words"),
        ("x", 0, {"sampler": 3}, "sampler: expected a name or a Sampler, got int"),
        ("x", 0, {"guidance": []}, "guidance: expected a name or a Guidance, got list"),
        ("x", 0, {"negative": 3}, "negative: expected text, got int"),
        ("x", 0, {"seconds": "long"}, "seconds: expected above 0 and at most 0.77, the model's longest, got long"),
        ("x", 0, {"samples": 0}, "unknown option samples; expected one of guidance"),
        ("x", 0, {"start": 3}, r"start: expected an audio file or audio \[channels, samples\], got int"),
        ("x", 0, {"start": torch.zeros(2, 800), "strength": "much"}, "strength: expected "),
        ("x", 0, {"step": 3}, "unknown option step; expected one of guidance"),
    ],
)
def test_wrong_requests_are_one_line(
    pipeline: TextToMusic, prompts: object, seeds: object, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        pipeline.stream(prompts, seeds, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_clip_prints_in_a_line(clips: list[Clip]) -> None:
    said = repr(clips[0])
    assert said.startswith(f"Clip(sample_rate=8000, prompt='{PROMPTS[0]}', seed=5, model=")
    assert len(said) < 200


def test_a_kind_of_audio_that_is_not_written_is_refused(clips: list[Clip], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format: expected one of wav, flac, ogg, got 'mp3'"):
        clips[0].save(tmp_path / "ballad.mp3")
    assert list(tmp_path.iterdir()) == []
    assert clips[0].save(tmp_path / "op. 3").name == "op. 3.wav"


def test_numpy_seeds_are_seeds(pipeline: TextToMusic, clips: list[Clip]) -> None:
    for seed in (np.array([5]), np.array(5), np.int64(5)):
        made = pipeline.generate(PROMPTS[0], seed)  # type: ignore[arg-type]
        assert same(made[0], clips[0])
        assert json.dumps(made[0].describe())


def test_wrong_embeddings_are_one_line(pipeline: TextToMusic) -> None:
    with pytest.raises(ValueError, match=r"embeddings: expected \[items, 32\], got \[1, 31\]"):
        pipeline.render(torch.zeros(1, 31))
    with pytest.raises(ValueError, match="seeds: expected 3, one for each embedding, or one for all, got 2"):
        pipeline.render(torch.zeros(3, 32), [1, 2])


def test_wrong_folders_are_one_line(folder: Path, tmp_path: Path) -> None:
    def refused(message: str, model: str | Path | None, **arguments: object) -> None:
        with pytest.raises(ValueError, match=message) as error:
            TextToMusic.load(model, **arguments)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)

    refused("model: no folder and no shipped model is called 'nonesuch'; shipped models: ", "nonesuch")
    if "default" not in shipped():
        refused("model: this installation has no default model", None)
    refused("expected text2muq, stable_audio_muq, vae in .*, got no text2muq", tmp_path)
    refused("tiny", folder)  # the encoder's package is not trusted
    if not torch.cuda.is_available():
        refused("device: cuda was asked for, but torch .* sees no CUDA GPU here", folder, device="cuda")
    refused("device: expected auto, cpu, cuda", folder, device="toaster")
    refused("dtype: expected one of float32, bfloat16, float16, got 'int8'", folder, dtype="int8", trust=tiny.TRUST)
    refused("lane is auto, a number of items above 0", folder, lane=0, trust=tiny.TRUST)

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "pipeline.json").write_text("{")
    refused("pipeline.json: expected JSON", copy, trust=tiny.TRUST)
    (copy / "pipeline.json").write_text('{"format": "else"}')
    refused("pipeline.json: expected format musegen-pipeline, version 1, got 'else'", copy, trust=tiny.TRUST)
    write_pipeline(copy, {"sampler": "hoin"}, {})
    refused("unknown sampler 'hoin'", copy, trust=tiny.TRUST)
    (copy / "pipeline.json").unlink()
    assert TextToMusic.load(copy, "cpu", trust=tiny.TRUST).plan().stable_audio_muq.steps == 100
    weights = copy / "vae" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    refused("model.safetensors", copy, trust=tiny.TRUST)
    shutil.rmtree(copy / "vae")
    shutil.copytree(copy / "stable_audio_muq", copy / "vae")
    refused("OobleckAutoencoder", copy, trust=tiny.TRUST)


def test_minilm_reads_the_prompt(tmp_path: Path) -> None:
    folder = tiny.save_pipeline(tmp_path / "toy", MiniLM(max_tokens=12))
    loaded = TextToMusic.load(folder, "cpu")  # nothing to trust: every class is musegen's own
    ballad, drums = loaded.generate(PROMPTS, 5, seconds=0.1)
    assert not same(ballad, drums)
    assert same(loaded.generate(PROMPTS[1], 5, seconds=0.1)[0], drums)
    assert ballad.fingerprint["text2muq"]["encoders"] == [MiniLM.revision]
    long = "a very long prompt about a piano " * 20
    with pytest.warns(UserWarning, match="is cut to 12"):
        assert loaded.generate(long, 5, seconds=0.1)[0].audio.std() > 0.1
