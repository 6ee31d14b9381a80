"""MusicBench with its true rows and its ugly ones: nothing crashes, nothing is lost silently, nothing leaks."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from corpora import bench_row, noise, put_audio, put_lines
from musegen.data.ingest.pack import Packing, pack
from musegen.data.ingest.splits import SplitRule
from musegen.data.random_access import ShardFolder
from musegen.data.sources.musicbench import MusicBench, base_clip
from musegen.data.verify import verify_folder

BASES = ["-0SdAVK79lg", "abc_efgh_12", "ZZZZZZZZZ_1"]


def clean_corpus(folder: Path, generation: str = "new") -> None:
    """Three recordings for training, each with two augmentations, and one for testing."""
    rows = []
    for number, base in enumerate(BASES):
        for suffix, where in (("", "data"), ("_1", "data_aug2"), ("_12", "data_aug3")):
            location = f"{where}/{base}{suffix}.wav"
            rows.append(bench_row(location, f"Caption {number}{suffix}."))
            put_audio(folder / "datashare" / location, seed=10 * number + len(suffix))
    put_audio(folder / "datashare" / "data" / "TestTestTes.wav", seed=99)
    put_lines(folder / "MusicBench_train.json", rows)
    for letter, caption in (("A", "A test."), ("B", "A test. The key is C.")):
        name = f"MusicBench_test_{letter}.json" if generation == "new" else f"MusicBench_test{letter}.json"
        put_lines(folder / name, [bench_row("data/TestTestTes.wav", caption, alt_caption="A test.", prompt_ch="")])


def test_the_recording_of_an_augmentation_is_known() -> None:
    assert base_clip("data_aug2/-0SdAVK79lg_1.wav") == "-0SdAVK79lg"
    assert base_clip("data/-0SdAVK79lg.wav") == "-0SdAVK79lg"
    assert base_clip("data/ZZZZZZZZZ_1.wav") == "ZZZZZZZZZ_1"
    assert base_clip("data_aug/ZZZZZZZZZ_1_3.wav") == "ZZZZZZZZZ_1"
    assert base_clip("audiodata/clip_2.wav") == "clip"
    assert base_clip("audiodata\\a long name of a clip_2_1.wav") == "a long name of a clip"
    assert base_clip("_1.wav") == "_1"


@pytest.mark.parametrize("generation", ["new", "old"])
def test_augmentations_stay_together_and_test_files_are_the_test_split(tmp_path: Path, generation: str) -> None:
    clean_corpus(tmp_path, generation)
    source = MusicBench(str(tmp_path))
    assert len(source) == 10
    assert {source.group(number) for number in range(9)} == set(BASES)
    assert [source.split(number) for number in range(10)] == [None] * 9 + ["test"]
    for seed in range(12):
        rule = SplitRule(val=0.4, test=0.1, seed=seed)
        sides = {base: {rule.of(source.group(n)) for n in range(9) if source.group(n) == base} for base in BASES}
        assert all(len(side) == 1 for side in sides.values())


def test_all_variants_of_a_caption_are_kept(tmp_path: Path) -> None:
    clean_corpus(tmp_path)
    source = MusicBench(str(tmp_path))
    first = source.pieces[0]
    assert first.captions == {
        "main": "Caption 0.",
        "alt": "Rephrased: Caption 0.",
        "main_chords": "Caption 0. The chord progression in this song is Am, F.",
        "main_beats": "Caption 0. The beat counts to 4.",
        "main_bpm": "Caption 0. The tempo of this song is Adagio.",
        "main_key": "Caption 0. The key of this song is A minor.",
        "main_all": "Caption 0. The chord progression in this song is Am, F. The beat counts to 4. "
        "The tempo of this song is Adagio. The key of this song is A minor.",
    }
    assert first.facts["key"] == "A minor"
    assert first.facts["beats"][0] == [0.5, 1.0]
    assert first.facts["licence"] == "CC-BY-SA-3.0"
    tested = source.pieces[9].captions
    assert tested["main"] == "A test."
    assert tested["main_2"] == "A test. The key is C."
    assert "alt" not in tested


def ugly_corpus(folder: Path) -> None:
    """Each row but the first is wrong in its own way."""
    good = "data/GoodGoodGoo.wav"
    rows = [
        bench_row(good),
        bench_row(good, "Another caption of the same clip"),
        bench_row("data/NoCaptionAA.wav", "", alt_caption=None),
        bench_row("data/NoMainBBBBB.wav", "  ", prompt_aug="It gets louder."),
        {"main_caption": "a row without a place"},
        bench_row("data/MissingCCCC.wav"),
        b'{"location": "data/HalfARowDDD.wav", ',
        b'{"location": "data/Latin1EEEEE.wav", "main_caption": "a caf\xe9 waltz", "bpm": NaN, "key": null}',
        bench_row("data/ZeroFFFFFFF.wav"),
        bench_row("data/NaNGGGGGGGG.wav"),
        bench_row("data/EightBitHHH.wav", bpm="fast", chords=[None], beats=[[1.0]], key=["C"], keyprob="?"),
        bench_row("data/ShortIIIIII.wav"),
        bench_row("data/StereoJJJJJ.wav"),
        bench_row("../../outside.wav"),
        bench_row("data_aug2/TestedTeste_3.wav"),
        bench_row("data/TwinTwinTwi.wav"),
        bench_row(17),  # type: ignore[arg-type]
    ]
    put_lines(folder / "MusicBench_train.json", rows)
    put_lines(folder / "MusicBench_test_A.json", [bench_row("data/TestedTeste.wav", "tested")])
    put_lines(folder / "MusicBench_test_B.json", [bench_row("data/TestedTeste.wav", "tested. In C.")])
    data = folder / "data"
    for number, name in enumerate(("GoodGoodGoo", "NoCaptionAA", "NoMainBBBBB", "Latin1EEEEE", "TestedTeste")):
        put_audio(data / f"{name}.wav", seed=number)
    (data / "ZeroFFFFFFF.wav").write_bytes(b"")
    broken = noise(1.5, 16000, 1)
    broken[7] = float("nan")
    soundfile.write(data / "NaNGGGGGGGG.wav", broken, 16000, subtype="FLOAT")
    put_audio(data / "EightBitHHH.wav", seed=6, subtype="PCM_U8")
    put_audio(data / "ShortIIIIII.wav", seconds=0.2)
    put_audio(data / "StereoJJJJJ.wav", rate=44100, channels=2, seed=8)
    (data / "TwinTwinTwi.wav").write_bytes((data / "GoodGoodGoo.wav").read_bytes())


def test_ugly_rows_are_named_and_the_others_packed(tmp_path: Path) -> None:
    corpus, out = tmp_path / "MusicBench", tmp_path / "out"
    ugly_corpus(corpus)
    source = MusicBench(str(corpus))
    report = pack(source, out, Packing(SplitRule(0, 0)))
    skipped = {kind: [skip.name for skip in skips] for kind, skips in report.kinds().items()}
    assert skipped == {
        "no caption": ["MusicBench_train.json:3 (data/NoCaptionAA.wav)"],
        "no location": ["MusicBench_train.json:5", "MusicBench_train.json:17"],
        "no audio file": ["MusicBench_train.json:6 (data/MissingCCCC.wav)"],
        "line cannot be read": ["MusicBench_train.json:7"],
        "audio file is empty": ["MusicBench_train.json:9 (data/ZeroFFFFFFF.wav)"],
        "audio holds NaN or infinity": ["MusicBench_train.json:10 (data/NaNGGGGGGGG.wav)"],
        "audio is too short": ["MusicBench_train.json:12 (data/ShortIIIIII.wav)"],
        "location leads out of the corpus": ["MusicBench_train.json:14 (../../outside.wav)"],
        "its recording is in the test set": ["MusicBench_train.json:15 (data_aug2/TestedTeste_3.wav)"],
        "audio is there already, under another name": ["MusicBench_train.json:16 (data/TwinTwinTwi.wav)"],
    }
    assert report.kept == {"train": 5, "test": 1}
    said = str(report)
    assert "skipped 1, no audio file: MusicBench_train.json:6 (data/MissingCCCC.wav): " in said
    assert "band-limited 5 of 6: nothing above 8.0 kHz; all files: 16000 Hz 5, 44100 Hz 1. What is band-" in said
    assert "noted 1, 8 bits" in said
    folder = ShardFolder(out / "train", ["audio"])
    samples = {sample.facts["location"]: sample for sample in map(folder.__getitem__, range(len(folder)))}
    good = samples["data/GoodGoodGoo.wav"].facts
    assert good["captions"]["main_2"] == "Another caption of the same clip"
    assert good["group"] == "GoodGoodGoo"
    assert samples["data/NoMainBBBBB.wav"].facts["captions"]["main"].startswith("Rephrased")
    assert samples["data/Latin1EEEEE.wav"].facts["captions"] == {"main": "a café waltz"}
    assert not {"tempo", "key", "chords", "beats"} & set(samples["data/EightBitHHH.wav"].facts)
    assert verify_folder(out / "train").problems == []
    # rows that are merged: two of the good clip, two of the tested one
    assert len(source) + len(source.lost) == 17 + 2 - 2


def test_what_is_no_musicbench_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="expected the folder of MusicBench"):
        MusicBench(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"expected MusicBench_train\.json"):
        MusicBench(str(tmp_path))
    put_lines(tmp_path / "MusicBench_train.json", [bench_row("data/MissingCCCC.wav")])
    with pytest.raises(ValueError, match=r"got nothing of 1 pieces: no audio file 1 \(MusicBench_train.json:1"):
        pack(MusicBench(str(tmp_path)), tmp_path / "out", Packing())
    assert not (tmp_path / "out" / "train").exists()
