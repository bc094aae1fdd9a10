"""The figures of notebook 03 draw what they are given, over the settings that a slider may reach, without a warning."""

import numpy as np
import pytest
import torch
from support import drawn

from childtune_lite import Child, plots
from childtune_lite.plots.child import short_kind

pytestmark = pytest.mark.filterwarnings("error")


def test_curvature_puts_every_peak_at_zero():
    thetas = np.linspace(-4, 4, 81)
    curves = {f"truth {t}": -((thetas - t) ** 2) * (t + 1) for t in (0, 1, 2)}
    ax = drawn(plots.fisher_curvature(thetas, curves, (0, 1, 2))).axes[0]
    for line, truth in zip(ax.lines, (0, 1, 2), strict=False):
        assert line.get_ydata().max() == 0
        assert abs(line.get_xdata()[line.get_ydata().argmax()]) < 1e-9
        assert line.get_label() == f"truth {truth}"


@pytest.mark.parametrize("sizes", [[1], [1, 2, 4], [1, 8, 64, 512]])
def test_batch_sizes_shows_measured_and_formula(sizes):
    measured = {"a": [2 / b for b in sizes], "b": [1 + 1 / b for b in sizes]}
    formula = {"a": [3 / b for b in sizes], "b": [2 + 1 / b for b in sizes]}
    lines = {line.get_label(): line for line in drawn(plots.fisher_batch_sizes(sizes, measured, formula)).axes[0].lines}
    for label in "ab":
        assert list(lines[f"{label}: measured"].get_ydata()) == measured[label]
        assert list(lines[f"{label}: formula"].get_ydata()) == formula[label]
        assert lines[f"{label}: measured"].get_marker() != "None"


@pytest.mark.parametrize("chosen", [[], [0], [0, 1, 2]])
def test_chosen_bars_hatch_exactly_the_chosen(chosen):
    scores = {"x": torch.tensor([0.0, 2.0, 1.0]), "y": torch.tensor([3.0])}
    picked = {"x": torch.tensor(chosen), "y": [0]}
    fig = drawn(plots.fisher_chosen({"before": (scores, picked), "after": (scores, {"x": [1], "y": []})}))
    assert [ax.get_title() for ax in fig.axes] == ["before", "after"]
    assert [bar.get_height() for bar in fig.axes[0].patches] == [0, 2, 1, 3]
    assert [bool(bar.get_hatch()) for bar in fig.axes[0].patches] == [i in chosen for i in range(3)] + [True]
    assert [t.get_text() for t in fig.axes[1].get_xticklabels()] == ["x0", "[x1]", "x2", "y0"]


@pytest.mark.parametrize("k", [1, 3, 5, 10])
def test_two_counts_hatch_the_kth_largest(k):
    keys = [3, 17, 17, 18, 33, 40, 40, 40, 63, 0]
    fig = drawn(plots.fisher_two_counts(keys, k))
    upper, lower = ([bar.get_hatch() for bar in ax.patches].index("xx") for ax in fig.axes)
    assert upper << 4 | lower == sorted(keys, reverse=True)[k - 1]
    assert sum(bar.get_height() for bar in fig.axes[0].patches) == len(keys)


def test_two_counts_refuse_a_k_that_is_too_large():
    with pytest.raises(ValueError, match="k=3"):
        plots.fisher_two_counts([1, 2], 3)


@pytest.mark.parametrize("threshold", [0.0, 1e-9, 1.0])
def test_histogram_has_area_one_and_the_threshold(threshold):
    draw = np.random.default_rng(0)
    names = ("query.weight", "key.weight", "value.weight", "attention.output.LayerNorm.weight", "output.dense.bias")
    scores = {f"layer.0.{name}": draw.lognormal(size=(20, 30)) for name in names}
    scores["layer.0.own.weight"] = np.zeros(4)
    ax = drawn(plots.fisher_histogram(scores, threshold, p=0.3)).axes[0]
    labels = [steps.get_label() for steps in ax.patches]
    assert labels == ["query, key", "value, output", "LayerNorm", "biases", "others"]
    for steps, label in zip(ax.patches, labels, strict=True):
        values, edges, _ = steps.get_data()
        assert (values * np.diff(edges)).sum() == pytest.approx(float(label != "others"))
    assert [line.get_xdata()[0] for line in ax.lines] == ([np.log10(threshold)] if threshold else [])


def test_histogram_of_zeros_only():
    drawn(plots.fisher_histogram({"layer.0.weight": torch.zeros(3)}, 0.0, p=1))


def test_keep_rates_join_the_blocks():
    scores = {f"layer.{b}.{kind}": torch.full((2, 2), b + 1.0) for b in range(2) for kind in ("query.weight", "x.bias")}
    rates = plots.keep_rates(Child.top({**scores, "layer.0.x.bias": torch.ones(2, 2) * 9}, p=0.75))
    assert rates == {"query": 0.5, "x bias": 1.0}


@pytest.mark.parametrize("blocks", [1, 6, 24])
@pytest.mark.parametrize("p", [0.001, 0.3, 1.0])
def test_child_map_shows_each_share_in_its_place(blocks, p):
    kinds = ("attention.self.query.weight", "output.LayerNorm.bias", "own.thing")
    shares = {f"net.layer.{b}.{k}": (b + i) / 30 for b in range(blocks) for i, k in enumerate(kinds)}
    del shares["net.layer.0.own.thing"]
    ax = drawn(plots.child_map({**shares, "head.weight": 1.0}, p)).axes[0]
    grid = ax.images[0].get_array()
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == ["query", "FFN LayerNorm bias"]
    assert grid.shape == (3 if blocks > 1 else 2, blocks)
    assert grid[1, blocks - 1] == pytest.approx(blocks / 30)
    if blocks > 1:
        assert np.ma.getmaskarray(np.ma.masked_invalid(grid))[2, 0]


def test_short_kinds():
    assert short_kind("bert.encoder.layer.10.attention.output.dense.bias") == "attention out bias"
    assert short_kind("h.0.intermediate.dense.weight") == "FFN up"
    assert short_kind("layer.3.attention.output.LayerNorm.weight") == "attention LayerNorm"


@pytest.mark.parametrize("shape", [(4, 4), (16, 24), (17, 33)])
def test_matrices_show_block_means(shape):
    mask = np.random.default_rng(1).random(shape) < 0.4
    fig = drawn(plots.child_matrices({"left": mask, "right": mask.T}, block=8))
    shown = fig.axes[0].images[0].get_array()
    assert shown[0, 0] == pytest.approx(mask[:8, :8].mean())
    assert fig.axes[1].images[0].get_array().shape == shown.shape[::-1]


@pytest.mark.parametrize("shares", [(0.3,), (0.3, 0.1), (1.0, 1e-4)])
def test_overlaps_mark_rows_and_chance(shares):
    rows = {"same": [1.0] * len(shares), "random": list(shares)}
    ax = drawn(plots.child_overlaps(rows, shares)).axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    for i, p in enumerate(shares):
        assert list(lines[f"$p_D$ = {p:g}"].get_xdata()) == [row[i] for row in rows.values()]
        assert list(lines[f"chance at {p:g}"].get_xdata()) == [p, p]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["same", "random"]
