"""The baseline that a generative model has to beat: the same network, answering with the mean of all right answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from musegen.conditioning.conditioning import Conditioning
from musegen.flow.execution.base import Execution
from musegen.flow.guidance.base import Guidance
from musegen.flow.lanes import Lane
from musegen.flow.model import FlowModel, item_means
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.samplers.base import Progress, Sampler
from musegen.flow.sampling import count_items
from musegen.models.base import Condition, FlowNetwork


class RegressionModel(FlowModel):
    """Predicts E[data | condition] in one evaluation, and stands wherever a flow model does.

    The network sees zeros at time 0 in place of noisy data, so that it has as many parameters as in a flow model, and
    its answer has no chance in it: seeds, samplers, steps and guidance change nothing.

    Args:
        network: what predicts.
        conditioning: what it is told.
        normalise_output: give answers unit length, for embeddings that have it.
        isotropic: see `FlowModel`.
    """

    def __init__(
        self,
        network: FlowNetwork,
        conditioning: Conditioning,
        normalise_output: bool = False,
        isotropic: bool = False,
    ) -> None:
        super().__init__(network, conditioning, RectifiedFlow(), normalise_output, isotropic)

    def losses(
        self,
        data: Tensor,
        condition: Condition,
        time: Tensor,
        noise: Tensor,
        mask: Tensor | None = None,
        drop: Tensor | None = None,
    ) -> Tensor:
        """Mean squared error of the answer, in standardised space: 1 for a constant one. See `FlowModel.losses`.

        ``time``, ``noise`` and ``drop`` are not used.
        """
        data = self.statistics.standardise(data.float())
        return item_means((self._answer(data.shape[1:], condition, mask) - data).square(), mask)

    @torch.no_grad()
    def sample(
        self,
        condition: Condition,
        seeds: Sequence[int] | None,
        *,
        sampler: Sampler | None = None,
        steps: int = 1,
        guidance: Guidance | None = None,
        unconditional: Condition | None = None,
        lane: Lane = None,
        shape: Sequence[int] | None = None,
        x0: Tensor | None = None,
        start: Tensor | None = None,
        start_time: float = 0.0,
        progress: Progress | None = None,
        execution: Execution | None = None,
        narrowed: Callable[[int], object] | None = None,
    ) -> Tensor:
        """The answer to each condition, one item at a time. Of the options of `FlowModel.sample` only ``shape`` counts.

        Raises:
            ValueError: for music to start from, which a mean cannot.
        """
        if start is not None:
            raise ValueError("start: a regression model answers with a mean, and cannot begin with other music")
        items, told = count_items(condition, seeds, x0), condition.tokens.shape[0]
        shape = tuple(self.network.shape if shape is None else shape)
        answers = []
        for item in range(items):
            answers.append(self._answer(shape, condition[torch.tensor([item if told > 1 else 0])], None))
            if progress is not None:
                progress(item + 1, items)
        return self._restored(torch.cat(answers))

    def _answer(self, shape: Sequence[int], condition: Condition, mask: Tensor | None) -> Tensor:
        """The network's prediction for zeros at time 0, ``[batch, *shape]``, float32."""
        zeros = torch.zeros(condition.tokens.shape[0], *shape, device=condition.tokens.device)
        return self.network(zeros, zeros.new_zeros(len(zeros)), condition, mask).float()
