"""Networks that are told where a step ends: with a teacher's weights they are the teacher, and they can learn more."""

from __future__ import annotations

import pytest
import torch

from helpers import randomise
from musegen.models.base import Condition, FlowNetwork
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.models.jumping import JumpingDiffusionTransformer, JumpingEmbeddingTransformer

LATENTS = {"channels": 4, "frames": 8, "dim": 64, "depth": 2, "heads": 1, "condition_dim": 64, "vector_dim": 24}
MODULATED = {"modulated": True, "pool_condition": True}
EMBEDDING = {"dim": 32, "depth": 2, "heads": 2, "embedding_dim": 32, "embedding_tokens": 4, "text_dim": 16}


@pytest.mark.parametrize(
    ("plain", "jumping", "options"),
    [
        (DiffusionTransformer, JumpingDiffusionTransformer, LATENTS),
        (DiffusionTransformer, JumpingDiffusionTransformer, LATENTS | MODULATED),
        (EmbeddingTransformer, JumpingEmbeddingTransformer, EMBEDDING),
    ],
)
def test_with_a_teachers_weights_it_is_the_teacher(
    plain: type[FlowNetwork], jumping: type[FlowNetwork], options: dict[str, int]
) -> None:
    teacher, student = plain(**options), jumping(**options)
    randomise(teacher, seed=2)
    lacking, foreign = student.load_state_dict(teacher.state_dict(), strict=False)
    assert {name.split(".")[0] for name in lacking} == {"step_features", "to_step_embed"}
    assert not foreign
    assert student.config["class_path"].startswith("musegen.models.jumping.Jumping")
    x = torch.randn(3, *teacher.shape)
    vector = torch.randn(3, teacher.vector_dim) if teacher.vector_dim else None
    condition = Condition(torch.randn(3, 5, teacher.condition_dim), None, vector)
    begin, end = torch.tensor([0.0, 0.3, 0.6]), torch.tensor([1.0, 0.5, 0.7])
    both = torch.stack((begin, end), dim=1)
    expected = teacher(x, begin, condition)
    assert expected.std() > 0.1
    assert torch.equal(student(x, begin, condition), expected)
    assert torch.equal(student(x, both, condition), expected)
    student(x, both, condition).square().mean().backward()
    assert student.get_submodule("to_step_embed")[2].weight.grad.abs().max() > 0  # type: ignore[index,union-attr]
    randomise(student, seed=2)
    assert not torch.allclose(student(x, both, condition), student(x, begin, condition), atol=1e-3)
