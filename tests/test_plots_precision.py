"""The figure of what float16 can hold: it shows the entries it was given, and moves them by the scale."""

import math

import pytest
import torch
from support import drawn

from childtune_lite import plots


@pytest.mark.parametrize("scale", [1.0, 65536.0])
def test_the_window_is_float16s_and_the_scale_moves_every_entry(scale):
    smallest, largest = (torch.finfo(torch.float16).smallest_normal * 2.0**-10, torch.finfo(torch.float16).max)
    fig = drawn(plots.float16_window(torch.tensor([0.0, 1e-9, -1e-9, 3e-4, 2e-2]), scale))
    axis = fig.axes[0]
    window = axis.patches[0]
    assert window.get_x() == pytest.approx(math.log10(smallest))
    assert window.get_x() + window.get_width() == pytest.approx(math.log10(largest))
    before, after = (patch.get_data() for patch in axis.patches[1:])
    for values in (before.values, after.values):
        assert values.sum() == pytest.approx(1)  # every entry that is not zero
        assert values.max() == pytest.approx(0.5)
    first = [edges[values.argmax()] for values, edges, _ in (before, after)]
    assert first[1] - first[0] == pytest.approx(math.log10(scale), abs=0.25)
