"""A flow model: a network, what it is told, and the path it was trained on. Both stages are instances of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from musegen.conditioning.conditioning import Conditioning
from musegen.config import Configurable
from musegen.flow.execution.base import Execution
from musegen.flow.guidance.base import Guidance
from musegen.flow.guided import real_tokens
from musegen.flow.lanes import Lane
from musegen.flow.paths.base import Path, expand
from musegen.flow.samplers.base import Progress, Sampler
from musegen.flow.sampling import Request, count_items, seeds_of
from musegen.models.base import Condition, FlowNetwork
from musegen.nn.standardise import Standardiser


class FlowModel(Configurable, nn.Module):
    """Learns and samples p(data | condition).

    The network sees standardised data; the statistics are part of the checkpoint.

    Args:
        network: what predicts.
        conditioning: what it is told.
        path: between noise and data.
        normalise_output: give samples unit length, for embeddings that have it.
        isotropic: standardise by one number for all channels, so that angles between centred items stay.
    """

    statistics: Standardiser

    def __init__(
        self,
        network: FlowNetwork,
        conditioning: Conditioning,
        path: Path,
        normalise_output: bool = False,
        isotropic: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.conditioning = conditioning
        self.path = path
        self.normalise_output = normalise_output
        self.statistics = Standardiser(network.shape[0], isotropic=isotropic)

    def condition(self, batch: Mapping[str, Any], one_by_one: bool = False) -> Condition:
        """Make what the network is told of a batch: captions, embeddings, seconds.

        Args:
            batch: what the conditioners read, as many items of each.
            one_by_one: condition every item by itself, so that its bits do not depend on its neighbours: for sampling.

        Raises:
            ValueError: if the batch lacks something, or, one by one, has no items, or more of one thing than another.
        """
        if not one_by_one:
            return self.conditioning(batch)
        columns = {key: batch[key] for key in self.conditioning.keys if key in batch}
        lengths = {key: len(column) for key, column in columns.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise ValueError(f"condition: expected as many items of each, and at least one, got {lengths}")
        items = max(lengths.values(), default=1)
        alone = ({key: column[item : item + 1] for key, column in columns.items()} for item in range(items))
        return Condition.concatenate([self.conditioning(batch) for batch in alone])

    def losses(
        self,
        data: Tensor,
        condition: Condition,
        time: Tensor,
        noise: Tensor,
        mask: Tensor | None = None,
        drop: Tensor | None = None,
    ) -> Tensor:
        """Mean squared error of the network's prediction, in standardised space.

        Args:
            data: ``[batch, *shape]``.
            condition: what each item is told.
            time: flow time of each item, ``[batch]``.
            noise: standard normal, shaped like ``data``.
            mask: True where a frame is real, ``[batch, frames]``; padding counts nothing. None where every frame is.
            drop: True for items whose tokens are replaced by the network's null, ``[batch]``; None for no item.

        Returns:
            The mean over each item's elements, ``[batch]``, float32.
        """
        data = self.statistics.standardise(data.float())
        if drop is not None:
            condition = drop_tokens(condition, self.network.null(condition), drop)
        x = self.path.interpolate(data, noise, time)
        prediction = self.network(x, time, condition, mask)
        return item_means((prediction.float() - self.path.target(data, noise, time)).square(), mask)

    @torch.no_grad()
    def sample(
        self,
        condition: Condition,
        seeds: Sequence[int] | None,
        *,
        sampler: Sampler,
        steps: int,
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
        """Sample items.

        An item's result depends on its condition and its seed, and not on the other items; see `musegen.flow.lanes`.
        The state is float32, whatever the network computes in.

        Args:
            condition: what each item is told; a single one is told to every item.
            seeds: one for each item. May be None if ``x0`` is given: what is drawn on the way then follows from it.
            sampler: the method.
            steps: of the sampler's grid.
            guidance: None for the conditional prediction alone.
            unconditional: what guidance leads away from, one for all items or one for each; None for the null.
            lane: items an execution: a number, ``"auto"``, or None for the device's own, which is reproducible.
            shape: of an item, where it differs from the network's: more or fewer frames.
            x0: the noise to start from, ``[items, *shape]``, standard normal, in place of the seeds'.
            start: data to start from, ``[items or 1, *shape]``: noised up to ``start_time`` and generated anew.
            start_time: 0 without ``start``; the nearer to 1, the more of it stays.
            progress: told how many steps of how many are done, summed over the items.
            execution: how the network's evaluations are run; None for one after another, as written.
            narrowed: told the width of a lane that memory suffices for, where it does not for ``lane``.

        Returns:
            ``[items, *shape]``, float32, in the data's own scale, on the model's device.

        Raises:
            ValueError: for arguments that do not fit each other.
        """
        items = count_items(condition, seeds, x0, unconditional)
        shape = tuple(self.network.shape if shape is None else shape)
        if (start is None) != (start_time == 0):
            raise ValueError(f"start_time: expected one above 0 with start, and 0 without, got {start_time}")
        for name, given, counts in (("x0", x0, (items,)), ("start", start, (1, items))):
            if given is not None and given.shape not in [(count, *shape) for count in counts]:
                raise ValueError(f"{name}: expected shape {[items, *shape]}, got {list(given.shape)}")
        device = next(self.network.parameters()).device
        origin = torch.zeros(1, *shape) if start is None else self.statistics.standardise(start.to(device).float())
        request = Request(
            network=self.network,
            path=self.path,
            condition=condition,
            unconditional=unconditional,
            guidance=guidance,
            sampler=sampler,
            times=sampler.times(steps, self.path, start_time),
            seeds=seeds_of(x0) if seeds is None and x0 is not None else list(seeds or ()),
            origin=origin.to(device),
            x0=x0,
            execution=execution,
            narrowed=narrowed,
        )
        return self._restored(request.run(lane, progress))

    def _restored(self, samples: Tensor) -> Tensor:
        """Standardised samples in the data's own scale, of unit length if data has that."""
        data = self.statistics.restore(samples)
        return nn.functional.normalize(data.flatten(1), dim=1).view_as(data) if self.normalise_output else data


def item_means(errors: Tensor, mask: Tensor | None) -> Tensor:
    """The mean over each item's elements, ``[batch]``, of errors ``[batch, *shape]``; over its real frames alone.

    Args:
        errors: of each element.
        mask: True where a frame is real, ``[batch, frames]``; None where every frame is.
    """
    if mask is None:
        return errors.flatten(1).mean(1)
    return (errors.mean(1) * mask).sum(1) / mask.sum(1).clamp(min=1)


def drop_tokens(condition: Condition, null: Condition, drop: Tensor) -> Condition:
    """Replace the tokens of some items by those of the null condition; the global vector stays.

    Args:
        condition: what each item is told.
        null: as many items and tokens.
        drop: True for items that are told nothing, ``[batch]``.
    """
    tokens = torch.where(expand(drop, condition.tokens), null.tokens, condition.tokens)
    mask = condition.mask
    if mask is not None or null.mask is not None:
        mask = torch.where(drop.unsqueeze(1), real_tokens(null), real_tokens(condition))
    return Condition(tokens, mask, condition.vector)
