from __future__ import annotations

import pytest

from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.guidance.interval import Interval
from musegen.flow.samplers.base import Sampler
from musegen.flow.samplers.heun import Heun
from musegen.flow.samplers.torchdiffeq import TorchDiffEq
from musegen.flow.settings import SAMPLERS, SamplingSettings
from musegen.plugins import choose, class_path, names

SETTINGS = SamplingSettings(Heun(), 10, Interval(ClassifierFree(3.0), 0.1, 0.6))


def test_settings_survive_their_recipe() -> None:
    again = SamplingSettings.from_recipe(SETTINGS.recipe())
    assert again.recipe() == SETTINGS.recipe()
    assert isinstance(again.sampler, Heun)


def test_a_number_sets_the_scale_inside_a_wrapper() -> None:
    changed = SETTINGS.override(guidance=7.0).guidance
    assert isinstance(changed, Interval)
    assert isinstance(changed.guidance, ClassifierFree)
    assert (changed.guidance.scale, changed.start, changed.end) == (7.0, 0.1, 0.6)
    assert SETTINGS.recipe()["guidance"]["init_args"]["guidance"]["init_args"]["scale"] == 3.0


def test_nothing_chosen_changes_nothing() -> None:
    assert SETTINGS.override() == SETTINGS


def test_short_names_in_a_recipe() -> None:
    settings = SamplingSettings.from_recipe({"sampler": "heun", "steps": 3, "guidance": 2})
    assert settings.recipe() == SamplingSettings(Heun(), 3, ClassifierFree(2.0)).recipe()


def test_every_sampler_has_a_short_name() -> None:
    known = names(Sampler, SAMPLERS)
    assert {"euler", "midpoint", "heun", "rk4", "dopri5", "dpmpp_2m", "dpmpp_3m_sde", "pingpong"} <= set(known)
    assert "base" not in known
    for name in known:
        built = choose(name, Sampler, SAMPLERS)
        assert type(built).__module__ == f"{SAMPLERS}.{name}"
        assert class_path(name.replace("_", "-"), Sampler, SAMPLERS) == built.config["class_path"]


def test_a_choice_may_be_a_recipe_in_json() -> None:
    recipe = '{"class_path": "musegen.flow.samplers.torchdiffeq.TorchDiffEq", "init_args": {"method": "rk4"}}'
    built = choose(recipe, Sampler, SAMPLERS)
    assert isinstance(built, TorchDiffEq)
    assert built.method == "rk4"
    assert choose(built, Sampler, SAMPLERS) is built


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "expected sampler, steps and guidance, got no guidance and no sampler and no steps"),
        ({"sampler": "base", "steps": 1, "guidance": 1}, "unknown sampler 'base'; expected one of dopri5"),
        ({"sampler": "heun", "steps": "x", "guidance": 1}, "steps: expected a whole number"),
        ({"sampler": 3, "steps": 1, "guidance": 1}, "sampler: expected a name or a Sampler, got int"),
        (
            {"sampler": {"class_path": "musegen.flow.guidance.rescaled.Rescaled"}, "steps": 1, "guidance": 1},
            "sampler: expected a Sampler, got musegen.flow.guidance.rescaled.Rescaled",
        ),
        ({"sampler": "heun", "steps": 1, "guidance": float("nan")}, "guidance: expected a scale of 0 or more"),
    ],
)
def test_wrong_settings_are_one_line(recipe: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        SamplingSettings.from_recipe(recipe)
    assert "\n" not in str(error.value)
