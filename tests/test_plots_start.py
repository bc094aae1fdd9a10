"""The figures of notebook 00: they draw what they are given, over edge cases too, and say nothing on stderr."""

import numpy as np
import pytest
from support import drawn

import childtune_lite as ct
from childtune_lite.plots import drawing
from childtune_lite.plots.style import BROWN


def texts(ax):
    return [text.get_text() for text in ax.texts]


def thick_lines(ax):
    return [line for line in ax.lines if line.get_color() == BROWN and line.get_linestyle() == "-"]


@pytest.mark.parametrize("make", [ct.plots.idea, ct.plots.readme_figure])
def test_the_drawing_names_its_parts(make):
    said = " ".join(texts(drawn(make()).axes[0])).replace("\n", " ")
    for word in ("parent network", "child network", "gradient mask", "Child-Tuning_F", "task-free", "Child-Tuning_D",
                 "task-driven", "Fisher information", "Forward pass", "Backward pass"):  # fmt: skip
        assert word in said


@pytest.mark.parametrize("make", [ct.plots.idea, ct.plots.readme_figure])
def test_nothing_in_the_drawing_is_cut_or_small(make):
    fig = drawn(make())
    whole = fig.bbox
    for text in fig.axes[0].texts:
        box = text.get_window_extent()
        assert whole.x0 <= box.x0
        assert box.x1 <= whole.x1, text.get_text()
        assert whole.y0 <= box.y0
        assert box.y1 <= whole.y1, text.get_text()
        assert text.get_fontsize() >= 9


@pytest.mark.parametrize("make", [ct.plots.idea, ct.plots.readme_figure])
def test_texts_of_the_drawing_do_not_overlap(make):
    fig = drawn(make())
    boxes = [(t.get_text(), t.get_window_extent()) for t in fig.axes[0].texts if t.get_text()]
    for i, (one, a) in enumerate(boxes):
        for other, b in boxes[i + 1 :]:
            assert not a.overlaps(b), (one, other)


def test_the_drawing_updates_every_line_above_and_the_child_below():
    above_and_below = thick_lines(drawn(ct.plots.idea()).axes[0])
    below = thick_lines(drawn(ct.plots.readme_figure()).axes[0])
    child = int(drawing.F_MASKS[0].sum() + drawing.LAST_LAYER.sum())
    assert len(below) == child
    assert len(above_and_below) == 15 + child  # 3 * 3 and 3 * 2 lines in the network above


def test_the_drawing_multiplies_right():
    said = texts(drawn(ct.plots.readme_figure()).axes[0])
    mask = drawing.F_MASKS[0]
    for value in (drawing.GRADIENT * mask / mask.mean())[mask == 1]:
        assert f"{value:.1f}" in said
    assert f"here {mask.sum()} of 9" in " ".join(said)


@pytest.mark.parametrize("k", [0, 1, 3, 9])
def test_top_mask_keeps_the_k_highest(k):
    mask = drawing.top_mask(drawing.SCORES, k)
    assert mask.sum() == k
    if 0 < k < 9:
        assert drawing.SCORES[mask == 1].min() > drawing.SCORES[mask == 0].max()


@pytest.mark.parametrize(("steps", "per_epoch"), [(60, 20), (1, 1), (7, 3)])
def test_one_minute_draws_the_losses_and_their_means(steps, per_epoch):
    losses = np.linspace(0.7, 0.3, steps)
    left, right = drawn(ct.plots.one_minute(losses, per_epoch, 0.5, 1.0)).axes
    assert np.array_equal(left.lines[0].get_ydata(), losses)
    means = [line.get_ydata()[0] for line in left.lines[1:]]
    assert np.allclose(means, [losses[i : i + per_epoch].mean() for i in range(0, steps, per_epoch)])
    assert [bar.get_height() for bar in right.patches] == [0.5, 1.0]
    assert "guessing" in texts(right)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 1.0])
def test_moved_entries_shows_the_matrices(share):
    moved = np.random.default_rng(0).random((40, 40)) < share
    axes = drawn(ct.plots.moved_entries({"one": moved, "all": np.ones((40, 40), dtype=bool)})).axes
    assert np.array_equal(axes[0].images[0].get_array() > 0, moved)
    assert axes[0].get_title() == "one"
    assert axes[1].get_xlabel() == "100% moved"
    assert (axes[0].get_xlabel() == "0% moved") == (not moved.any())


@pytest.mark.parametrize("networks", [1, 4])
def test_gains_draws_every_number(networks):
    rows = {f"network {i}": {"F": -0.09 + i, "D": 0.51 + i} for i in range(networks)}
    ax = drawn(ct.plots.gains(rows, promised=(1.5, 8.6))).axes[0]
    points = {round(float(line.get_xdata()[0]), 2) for line in ax.lines if line.get_marker() in ("s", "^")}
    assert points == {round(v, 2) for row in rows.values() for v in row.values()}
    assert {"-0.09", "+0.51"} <= set(texts(ax))
    assert ax.get_xlim()[0] < -0.09
    assert ax.get_xlim()[1] > 8.6
