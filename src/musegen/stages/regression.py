"""The baseline of stage 1: text to the mean embedding."""

from __future__ import annotations

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from musegen.conditioning.conditioning import Conditioning
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.regression import RegressionModel
from musegen.models.base import FlowNetwork
from musegen.stages.text2muq import Text2MuQFlow

BLIND = 1.0
"""Loss of the best constant answer, in standardised units: the data's variance."""


class Text2MuQRegression(Text2MuQFlow):
    """Predict E[embedding | caption] with stage 1's own network, to measure what sampling is worth.

    It trains, is exported and stands in a pipeline as stage 1 does; all clips of a prompt share one embedding.
    ``val/floor`` is the loss of the best constant answer.

    Args:
        network: what predicts; the same as that of the flow it is compared with.
        conditioning: what it is told.
        normalise_output: give answers unit length.
        standardise: measure mean and standard deviation when training begins, and learn in that scale.
        optimizer: over the trainable parameters; biases and norms get no weight decay.
        scheduler: of the learning rate, counted in optimizer steps.
        pretrained: start from these weights, of a regression or of a flow with the same network.
        compile: ``torch.compile`` the network for training.
        graphed: see `FlowStage`.
    """

    def __init__(
        self,
        network: FlowNetwork,
        conditioning: Conditioning,
        normalise_output: bool = True,
        standardise: bool = True,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        scheduler: LRSchedulerCallable | None = None,
        pretrained: str | None = None,
        compile: bool = False,
        graphed: bool = False,
    ) -> None:
        super().__init__(
            network,
            conditioning,
            RectifiedFlow(),
            condition_dropout=0.0,
            normalise_output=normalise_output,
            standardise=standardise,
            steps=1,
            optimizer=optimizer,
            scheduler=scheduler,
            pretrained=pretrained,
            compile=compile,
            graphed=graphed,
        )
        statistics = self.model.statistics  # which came with pretrained weights
        self.model = RegressionModel(network, conditioning, normalise_output)
        self.model.statistics = statistics

    def on_fit_start(self) -> None:
        """Measure the data; a mean is judged by the data's variance."""
        super().on_fit_start()
        if self.statistics.floor is not None:
            self.statistics.floor = BLIND
