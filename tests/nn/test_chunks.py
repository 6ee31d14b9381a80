from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from musegen.nn.chunks import needed_inputs, windows


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 20))
def test_windows_tile_the_signal(frames, chunk, context):
    cuts = list(windows(frames, chunk, context))
    assert [cut.first for cut in cuts] == [0, *(cut.last for cut in cuts[:-1])]
    assert cuts[-1].last == frames
    assert len({cut.stop - cut.start for cut in cuts}) == 1
    for cut in cuts:
        assert 0 <= cut.start <= cut.first < cut.last <= cut.stop <= frames
        assert cut.start == 0 or cut.first - cut.start >= context
        assert cut.stop == frames or cut.stop - cut.last >= context


def test_an_empty_chunk_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        list(windows(10, 0, 1))


CHAINS = [
    [nn.Conv1d(1, 1, 7, dilation=3, padding=9), nn.Conv1d(1, 1, 8, stride=4, padding=2)],
    [nn.Conv1d(1, 1, 3, padding=1), nn.ConvTranspose1d(1, 1, 8, 4, padding=2), nn.Conv1d(1, 1, 7, padding=3)],
    [nn.ConvTranspose1d(1, 1, 4, 2, padding=1), nn.ConvTranspose1d(1, 1, 16, 8, padding=4)],
]


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("first", [40, 41, 47])
def test_needed_inputs_are_where_gradients_arrive(chain, first):
    last = first + 5
    network = nn.Sequential(*chain).double()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)  # positive: nothing cancels
    x = torch.randn(1, 1, 400, dtype=torch.double, requires_grad=True)
    network(x)[..., first : last + 1].sum().backward()
    assert x.grad is not None
    reached = x.grad[0, 0].nonzero().flatten()
    assert needed_inputs(chain, first, last) == (int(reached[0]), int(reached[-1]))
