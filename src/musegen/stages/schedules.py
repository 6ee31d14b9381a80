"""Learning-rate schedules, counted in optimizer steps."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class WarmUpCosine(LambdaLR):
    """Linear warm-up, a plateau, then a cosine down to a fraction of the peak.

    Args:
        optimizer: whose learning rate is the peak.
        steps: length of the run, optimizer steps; `FitMinutes` may set another. A run that goes on has the length that
            it is given now, not the one that its checkpoint was made with.
        warm_up: steps of linear warm-up.
        decay_from: share of the run after which the learning rate begins to fall.
        floor: final learning rate as a share of the peak.
    """

    def __init__(
        self, optimizer: Optimizer, steps: int, warm_up: int = 500, decay_from: float = 0.0, floor: float = 0.02
    ) -> None:
        self._steps = steps  # in checkpoints, with all that is no function

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / max(1, warm_up))
            begin = max(warm_up, decay_from * self._steps)
            progress = min(1.0, max(0.0, (step - begin) / max(1.0, self._steps - begin)))
            return warm * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)

        super().__init__(optimizer, factor)

    @property
    def steps(self) -> int:
        """Length of the run; with another one, the learning rate is at once what it would have been with it."""
        return self._steps

    @steps.setter
    def steps(self, steps: int) -> None:
        if steps == self._steps:
            return
        self._steps = steps
        for group, base, factor in zip(self.optimizer.param_groups, self.base_lrs, self.lr_lambdas, strict=True):
            group["lr"] = base * factor(self.last_epoch)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint was, towards the end that is configured now."""
        configured = self.steps
        kept = {name: value for name, value in state_dict.items() if name != "steps"}
        super().load_state_dict(kept)
        self._steps = state_dict.get("_steps", state_dict.get("steps", configured))
        self.steps = configured


class InverseLR(LambdaLR):
    """The decay of Stable Audio Open's training: ``(1 + step / inv_gamma) ** -power`` after an exponential warm-up.

    Args:
        optimizer: whose learning rate is the peak.
        inv_gamma: steps after which the rate has fallen to ``2 ** -power`` of its peak.
        power: exponent of the decay.
        warm_up: the warm-up factor is ``1 - warm_up ** (step + 1)``; 0 turns it off.
    """

    def __init__(
        self, optimizer: Optimizer, inv_gamma: float = 1_000_000.0, power: float = 0.5, warm_up: float = 0.99
    ) -> None:
        def factor(step: int) -> float:
            return (1 - warm_up ** (step + 1)) * (1 + step / inv_gamma) ** -power

        super().__init__(optimizer, factor)
