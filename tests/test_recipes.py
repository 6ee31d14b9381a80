from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from torch import nn

from musegen.conditioning.conditioning import Conditioning
from musegen.config import Configurable
from musegen.flow.guidance.base import Guidance
from musegen.flow.model import FlowModel
from musegen.flow.paths.base import Path as FlowPath
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.samplers.base import Sampler
from musegen.models.base import FlowNetwork
from musegen.models.oobleck import OobleckAutoencoder
from musegen.recipes import build

COSINE = {"class_path": "musegen.flow.paths.cosine.CosinePath"}
SECONDS = {"class_path": "musegen.conditioning.seconds.SecondsConditioner", "init_args": {"reads": "seconds_total"}}
CODEC = "musegen.models.oobleck.OobleckAutoencoder"


class Parts(Configurable):
    """Every kind of argument."""

    def __init__(
        self,
        path: FlowPath | None,
        paths: Sequence[FlowPath] = (),
        named: dict[str, FlowPath] | None = None,
        number: float = 0.0,
        whole: int | str = 0,
        switch: bool = False,
        word: Literal["one", "two"] = "one",
        sizes: list[int] | None = None,
        pair: tuple[int, int] = (1, 2),
        anything: Any = None,
    ) -> None:
        super().__init__()
        self.given = (path, paths, named, number, whole, switch, word, sizes, pair, anything)


def parts(**arguments: Any) -> Parts:
    config = {"class_path": f"{__name__}.Parts", "init_args": {"path": None, **arguments}}
    return build(config, Parts, trust=[__name__])


def test_every_kind_of_argument() -> None:
    made = parts(
        path=COSINE,
        paths=[COSINE, COSINE],
        named={"a": COSINE},
        number=1,
        whole="auto",
        switch=True,
        word="two",
        sizes=[1, 2],
        pair=[3, 4],
        anything={"class_path": "os.system"},
    )
    path, paths, named, *rest = made.given
    assert type(path) is type(named["a"]) is type(paths[1]) is CosinePath  # type: ignore[index]
    assert rest == [1, "auto", True, "two", [1, 2], (3, 4), {"class_path": "os.system"}]
    again = build(made.config, Parts, trust=[__name__])
    assert again.config == made.config


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"path": SECONDS}, "model.path: expected a Path, got musegen.conditioning.seconds.SecondsConditioner"),
        ({"path": "musegen.flow.paths.cosine.CosinePath"}, "model.path: expected Path or None, got 'musegen"),
        ({"paths": [COSINE, 3]}, r"model.paths\[1\]: expected Path, got 3"),
        ({"named": {"a": SECONDS}}, "model.named.a: expected a Path"),
        ({"number": True}, "model.number: expected float, got True"),
        ({"number": "1"}, "model.number: expected float, got '1'"),
        ({"whole": 1.5}, "model.whole: expected int or str, got 1.5"),
        ({"switch": 1}, "model.switch: expected bool, got 1"),
        ({"word": "three"}, "model.word: expected Literal"),
        ({"sizes": [1, "2"]}, r"model.sizes\[1\]: expected int, got '2'"),
        ({"numbr": 1, "x": 2}, "Parts has no argument numbr, x; expected among: path, paths"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        parts(**arguments)
    assert "\n" not in str(error.value)


HOSTILE = [
    "os.system",
    "builtins.eval",
    "subprocess.Popen",
    "musegen.cli.main",
    "musegen.cli.os.system",
    "musegen.checkpoints.torch.load",
    "musegen.config.Configurable",
    "musegen.config.functools",
    "musegen.flow.model.Conditioning",  # imported there, not defined
    "musegen.flow.paths.base.Path",  # only a base
    "musegen.models.oobleck.ResidualUnit",
    "musegen.__main__.x",
    "musegen.models.oobleck.OobleckAutoencoder.__init__",
    "musegen.models.oobleck.OobleckAutoencoder.encode",
    "musegen..models",
    "musegen",
    ".os.system",
    "musegen.models.oobleck.Oobleck Autoencoder",
    "musegen/../os.system",
    "musegen_evil.Model",
    "musegen." + "a" * 300,
    "",
    None,
    7,
    ["os", "system"],
]


@pytest.mark.parametrize("class_path", HOSTILE, ids=[str(path)[:60] for path in HOSTILE])
@pytest.mark.parametrize("slot", [FlowModel, FlowPath, nn.Module])
def test_hostile_class_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, class_path: Any, slot: type) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "musegen_evil.py").write_text(f"open({str(canary)!r}, 'w')\nclass Model: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=r"expected|no class") as error:
        build({"class_path": class_path, "init_args": {"command": f"touch {canary}"}}, slot)
    assert "\n" not in str(error.value)
    assert not canary.exists()


def test_a_class_is_named_where_it_is_defined() -> None:
    with pytest.raises(ValueError, match=r"which is no class that musegen\.interop\.exchange defines"):
        build({"class_path": "musegen.interop.exchange.OobleckAutoencoder"}, OobleckAutoencoder)


def test_a_nested_recipe_is_of_its_own_slot() -> None:
    config = {
        "class_path": "musegen.flow.model.FlowModel",
        "init_args": {
            "network": {"class_path": CODEC},
            "conditioning": {"class_path": "musegen.conditioning.conditioning.Conditioning"},
            "path": COSINE,
        },
    }
    with pytest.raises(ValueError, match=f"model.network: expected a FlowNetwork, got {CODEC}"):
        build(config, FlowModel)
    with pytest.raises(ValueError, match=r"expected a Sampler, got musegen.flow.paths.cosine.CosinePath"):
        build(COSINE, Sampler)
    with pytest.raises(ValueError, match="Conditioning needs conditioners, cross_attention"):
        build({"class_path": "musegen.conditioning.conditioning.Conditioning"}, Conditioning)
    assert issubclass(FlowNetwork, Configurable)
    assert issubclass(Guidance, Configurable)


PLUGIN = """
import pathlib
pathlib.Path({canary!r}).touch()
from musegen.config import Configurable
from musegen.flow.paths.cosine import CosinePath
class Mine(CosinePath):
    def __init__(self, sharpness: float = 1.0) -> None:
        super().__init__()
        self.sharpness = sharpness
class Starry(Configurable):
    def __init__(self, *args, **kwargs) -> None:
        super().__init__()
"""


def test_a_plugin_is_imported_on_trust_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "canary"
    package = tmp_path / "kazoo"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "paths.py").write_text(PLUGIN.format(canary=str(canary)))
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = {"class_path": "kazoo.paths.Mine", "init_args": {"sharpness": 2.0}}
    for trust in ([], ["kazo"], ["kazoo2"], ["kazoo.other"]):
        with pytest.raises(ValueError, match="--trust-plugins kazoo"):
            build(recipe, FlowPath, trust)
        assert not canary.exists()
    with pytest.raises(ValueError, match="trust: expected the name of a package"):
        build(recipe, FlowPath, ["kazoo;os"])
    made = build(recipe, FlowPath, ["kazoo"])
    assert canary.exists()
    assert made.sharpness == 2.0  # type: ignore[attr-defined]
    assert build(made.config, FlowPath, ["kazoo"]).config == made.config
    with pytest.raises(ValueError, match=r"expected a Path, got kazoo.paths.Starry"):
        build({"class_path": "kazoo.paths.Starry"}, FlowPath, ["kazoo"])


def test_shapes_of_a_recipe() -> None:
    for config in (None, [], "x", {}, {"class_path": CODEC, "args": []}, {"class_path": CODEC, "init_args": [1]}):
        with pytest.raises(ValueError, match=r"model: (init_args: )?expected"):
            build(config, OobleckAutoencoder)  # type: ignore[arg-type]
    deep: Any = COSINE
    for _ in range(40):
        deep = {"class_path": CODEC, "init_args": {"channels": deep}}
    with pytest.raises(ValueError, match="at most 32 levels"):
        build(deep, OobleckAutoencoder)
    with pytest.raises(ValueError, match="at most 100000 values"):
        build({"class_path": CODEC, "init_args": {"strides": [2] * 100_001}}, OobleckAutoencoder)


def test_what_a_constructor_refuses_is_one_line() -> None:
    with pytest.raises(ValueError, match="model: OobleckAutoencoder: expected even strides") as error:
        build({"class_path": CODEC, "init_args": {"multiples": [1], "strides": [3]}}, OobleckAutoencoder)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="model: OobleckAutoencoder: ") as error:
        build({"class_path": CODEC, "init_args": {"channels": -1}}, OobleckAutoencoder)
    assert "\n" not in str(error.value)
