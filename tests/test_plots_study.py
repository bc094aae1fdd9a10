"""Figures of the study: what they show is what they were given."""

import numpy as np
import pytest
from support import drawn

from childtune_lite import plots
from childtune_lite.evidence import paired_interval

ARMS = ("F", "D", "vanilla_sqrt_p", "bitfit", "lora", "mixout", "decay_to_parent", "of_your_own")


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_the_forest_shows_each_pair_its_mean_and_its_interval(seeds):
    panels = {t: {a: [k + 0.5 * i + s for s in range(seeds)] for i, a in enumerate(ARMS)} for k, t in enumerate("xy")}
    fig = drawn(plots.paired_forest(panels, {"x": 2.0, "y": float("inf")}))
    assert len(fig.axes) == 2
    for axis, rows in zip(fig.axes, panels.values(), strict=True):
        lines = iter(axis.lines)
        for values in rows.values():
            mean, low, high = paired_interval(values)
            np.testing.assert_allclose(next(lines).get_xdata(), values)
            if seeds > 1:
                np.testing.assert_allclose(next(lines).get_xdata(), [low, high])
            np.testing.assert_allclose(next(lines).get_xdata(), [mean])
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()][-2:] == ["decay to parent", "of_your_own"]
    assert len(fig.axes[0].patches) == 1  # the band of what cannot be seen
    assert not fig.axes[1].patches


def test_arm_scores_show_every_run():
    fig = drawn(plots.arm_scores({"x": {"F": [1.0, 3.0], "D": [2.0]}}, "accuracy", chance={"x": 0.5}))
    dots, stroke = fig.axes[0].lines[:2]
    assert list(dots.get_ydata()) == [1.0, 3.0]
    assert list(stroke.get_ydata()) == [2.0, 2.0]
    assert list(fig.axes[0].lines[-1].get_ydata()) == [0.5, 0.5]


def test_loss_along_and_layer_bars_show_what_they_get():
    fig = drawn(plots.loss_along({"top": {"F": ([-1.0, 0.0, 1.0], [2.0, 1.0, 3.0])}, "random": {"F": ([0.0], [1.0])}}))
    assert list(fig.axes[0].lines[0].get_ydata()) == [2.0, 1.0, 3.0]
    fig = drawn(plots.layer_bars({"F": {"layer 0": [1.0, 3.0]}, "D": {"layer 0": [0.5]}}, "moved"))
    assert [bar.get_height() for bar in fig.axes[0].patches] == [2.0, 0.5]
