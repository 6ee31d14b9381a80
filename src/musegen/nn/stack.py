"""Blocks one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from musegen.nn.attention import Memory
from musegen.nn.block import Block
from musegen.nn.rotary import Rotation


class Stack(nn.ModuleList):
    """A list of blocks that runs.

    Without gradients, what runs through blocks of half precision is float32: every block adds a little to it, and would
    otherwise round it every time.

    Args:
        blocks: what it holds.
        gradient_checkpointing: compute the inside of each block again for the gradient instead of keeping it.
    """

    def __init__(self, blocks: Iterable[Block], gradient_checkpointing: bool = False) -> None:
        super().__init__(blocks)
        self.gradient_checkpointing = gradient_checkpointing

    def __iter__(self) -> Iterator[Block]:
        return cast(Iterator[Block], super().__iter__())

    def memories(self, context: Tensor, mask: Tensor | None) -> tuple[Memory, ...]:
        """What cross-attention reads, for each block; see `CrossAttention.memory`."""
        return tuple(block.cross_attn.memory(context, mask) for block in self)

    def forward(
        self,
        x: Tensor,
        memory: Sequence[Memory],
        rotation: Rotation | None = None,
        mask: Tensor | None = None,
        modulation: Tensor | None = None,
    ) -> Tensor:
        """Run tokens ``[batch, tokens, dim]`` through every block.

        Args:
            x: tokens.
            memory: what `memories` returned.
            rotation: the tokens' positions; None without rotary positions.
            mask: True where a token may be read, ``[batch, tokens]``, at least one an item; None where every token may.
            modulation: what modulated blocks are told of each item, ``[batch, 6 · dim]``.

        Returns:
            The same shape; float32 without gradients.
        """
        if not torch.is_grad_enabled() and x.dtype in (torch.bfloat16, torch.float16):
            x = x.float()
        keys = None if mask is None else mask[:, None, None, :]
        again = self.gradient_checkpointing and torch.is_grad_enabled()
        for block, read in zip(self, memory, strict=True):
            if again:
                # nothing in a block is random: no generator's state to keep
                given = (block, x, read, rotation, keys, modulation)
                x = cast(Tensor, checkpoint(*given, use_reentrant=False, preserve_rng_state=False))
            else:
                x = block(x, read, rotation, keys, modulation)
        return x
