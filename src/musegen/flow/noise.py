"""Noise that belongs to an item, not to a batch: every draw is a function of the item's seed and of what it is for.

Generation draws on the CPU from numpy's Philox4x64-10, whose bits are the same on every machine (torch's CPU generator
differs between instruction sets and between lengths). Training draws on the device of the batch from Philox4x32-10,
written in plain tensor arithmetic, so that two devices that share a batch draw what one device would have drawn.

Both generators are those of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011),
https://doi.org/10.1145/2063384.2063405.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy
import torch
from torch import Tensor

MASK = 0xFFFFFFFF
"""The low 32 bits."""

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
"""The round constants of Philox4x32, from the paper."""

UNIFORM, NORMAL = 0, 1
"""Last counter word of training's draws: a uniform and a normal of one stream share no bits."""


def hash_seed(*parts: int | str) -> int:
    """Hash integers and strings to a seed, 0 … 2⁶³ − 1, the same on every machine and in every process.

    ``hash_seed(1, "2")``, ``hash_seed("1", "2")`` and ``hash_seed("12")`` all differ.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        text = f"{'i' if isinstance(part, int) else 's'}{part}".encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    return int.from_bytes(digest.digest(), "little") >> 1


def item_noise(seeds: Sequence[int], shape: Sequence[int], stream: str | int = 0, step: int = 0) -> Tensor:
    """Standard normal noise for generation, drawn per item.

    An item's noise depends on its seed, the stream and the step, and on nothing else. It extends: numbers are drawn
    along the last axis from its beginning, so that the noise of a longer item (more frames) starts with the noise of a
    shorter one.

    Args:
        seeds: one seed per item, 0 … 2⁶⁴ − 1.
        shape: shape of one item.
        stream: what the noise is for; a string is hashed.
        step: which step of a sampler draws.

    Returns:
        ``[batch, *shape]``, float32, on the CPU.

    Raises:
        ValueError: for a seed or a step that is negative or wider than 64 bits.
    """
    stream = hash_seed(stream) if isinstance(stream, str) else stream
    drawn = torch.empty(len(seeds), *_last_first(shape), dtype=torch.float32)
    for item, seed in zip(drawn, seeds, strict=True):
        for name, number in (("seed", seed), ("stream", stream), ("step", step)):
            if not 0 <= number < 2**64:
                raise ValueError(f"a {name} is an integer from 0 to 2**64 - 1, got {number}")
        key = numpy.array([seed, stream], dtype=numpy.uint64)
        counter = numpy.array([0, 0, step, 0], dtype=numpy.uint64)
        generator = numpy.random.Generator(numpy.random.Philox(key=key, counter=counter))
        # float64, then rounded: all but 0.03 % of the numbers are an exact integer times an exact constant
        item.copy_(torch.from_numpy(generator.standard_normal(tuple(item.shape))))
    return _last_last(drawn)


def training_uniform(seeds: Tensor, stream: int = 0) -> Tensor:
    """One uniform number per item, for training.

    Args:
        seeds: one seed per item, ``[batch]``, int64, not negative.
        stream: what the number is for, 0 … 2³² − 1.

    Returns:
        ``[batch]``, float32, inside (0, 1) without its ends, on the device of ``seeds``; the same bits on all devices.
    """
    first = philox(_block_counter(1, stream, UNIFORM, seeds.device), _key(seeds))[0]
    return _open_unit(first).squeeze(1)


def training_noise(seeds: Tensor, shape: Sequence[int], stream: int = 0) -> Tensor:
    """Standard normal noise for training, drawn per item on the device of the batch.

    It extends along the last axis as `item_noise` does. Its integers are the same on all devices; the numbers made of
    them differ by what logarithm and cosine differ by, a few units in the last place.

    Args:
        seeds: one seed per item, ``[batch]``, int64, not negative.
        shape: shape of one item.
        stream: what the noise is for, 0 … 2³² − 1.

    Returns:
        ``[batch, *shape]``, float32, on the device of ``seeds``.
    """
    count = math.prod(shape)
    words = philox(_block_counter(-(-count // 4), stream, NORMAL, seeds.device), _key(seeds))
    pairs = []
    for first, second in ((words[0], words[1]), (words[2], words[3])):
        # Box and Muller, "A note on the generation of random normal deviates" (1958)
        radius = torch.sqrt(-2.0 * torch.log(_open_unit(first)))
        angle = 2.0 * math.pi * _open_unit(second)
        pairs += [radius * torch.cos(angle), radius * torch.sin(angle)]
    flat = torch.stack(pairs, dim=-1).flatten(1)[:, :count]
    return _last_last(flat.reshape(len(seeds), *_last_first(shape)))


def philox(counter: Sequence[Tensor], key: Sequence[Tensor], rounds: int = 10) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32: four 32-bit words from a counter of four and a key of two.

    Args:
        counter: four int64 tensors that hold unsigned 32-bit words.
        key: two such tensors; all six broadcast.
        rounds: 10 in the paper's recommended variant.

    Returns:
        Four int64 tensors of unsigned 32-bit words.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        # a product of two 32-bit words wraps round int64, yet all its 64 bits are right
        product0, product1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        high0, high1 = (product0 >> 32) & MASK, (product1 >> 32) & MASK
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, product1 & MASK, high0 ^ c3 ^ k1, product0 & MASK
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1, c2, c3


def _key(seeds: Tensor) -> tuple[Tensor, Tensor]:
    """Split the seeds into two words each, ``[batch, 1]``."""
    if seeds.dtype != torch.int64 or seeds.ndim != 1:
        raise ValueError(f"seeds are int64 [batch], got {seeds.dtype} {list(seeds.shape)}")
    seeds = seeds.unsqueeze(1)
    return seeds & MASK, (seeds >> 32) & MASK


def _block_counter(blocks: int, stream: int, kind: int, device: torch.device) -> list[Tensor]:
    """Count blocks of four words, ``[1, blocks]``."""
    if not 0 <= stream <= MASK:
        raise ValueError(f"a training stream is an integer from 0 to 2**32 - 1, got {stream}")
    block = torch.arange(blocks, dtype=torch.int64, device=device).unsqueeze(0)
    return [block & MASK, block >> 32, torch.full_like(block, stream), torch.full_like(block, kind)]


def _open_unit(words: Tensor) -> Tensor:
    """Map 32-bit words to float32 inside (0, 1): the middles of 2²³ equal cells, all of them exact."""
    return ((words >> 9).to(torch.float32) + 0.5) * 2.0**-23


def _last_first(shape: Sequence[int]) -> tuple[int, ...]:
    return (*shape[-1:], *shape[:-1])


def _last_last(drawn: Tensor) -> Tensor:
    """Move the axis that was drawn first, after the batch, to the end."""
    return drawn.movedim(1, -1).contiguous() if drawn.ndim > 2 else drawn
