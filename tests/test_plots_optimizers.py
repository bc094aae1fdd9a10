"""The figures of notebook 04: each draws what it is given, without a warning, at the edges too."""

import pytest
import torch
from support import drawn

from childtune_lite import plots

pytestmark = pytest.mark.filterwarnings("error")


def axes_of(fig):
    return drawn(fig).axes


def line(axis, label):
    return next(artist for artist in axis.lines if artist.get_label() == label)


def ydata(axis, label):
    return torch.as_tensor(list(line(axis, label).get_ydata()), dtype=torch.float64)


def texts(fig):
    return [text.get_text() for legend in fig.legends for text in legend.get_texts()]


@pytest.mark.parametrize("p", [1e-3, 0.2, 0.99])
def test_scale_cancels_draws_the_changes_and_both_limits(p):
    sizes, values = [1e-2, 1e-6, 1e-10], [1e-5, 0.1, 1 - p]
    fig = plots.scale_cancels(sizes, {"a": values, "b": values[::-1]}, p=p)
    (axis,) = axes_of(fig)
    assert list(line(axis, "a").get_xdata()) == sizes
    assert list(line(axis, "b").get_ydata()) == values[::-1]
    assert line(axis, "eps = 1e-08").get_xdata()[0] == 1e-8
    assert line(axis, f"1 - p = {1 - p:.2g}").get_ydata()[0] == 1 - p
    assert axis.xaxis_inverted()


@pytest.mark.parametrize("ps", [[1.0], [0.01, 0.2, 1.0]])
def test_drift_against_p_draws_ratios_and_bands(ps):
    ratios = {"SGD": dict.fromkeys(ps, 1.0), "AdamW": {p: p**0.5 for p in ps}}
    mean, spread = torch.linspace(0, -1, 30), torch.linspace(0, 0.2, 30)
    paths = {"vanilla": (mean, spread), "F": (mean / 2, spread), "vanilla_sqrt_p": (mean / 2, spread * 0)}
    left, right = axes_of(plots.drift_against_p(ratios, paths))
    assert list(line(left, "AdamW").get_xdata()) == ps
    assert ydata(left, "AdamW").tolist() == [p**0.5 for p in ps]
    assert torch.equal(ydata(right, "F"), (mean / 2).double())
    band = torch.as_tensor(right.collections[0].get_paths()[0].vertices)[:, 1]
    assert band.min().item() == pytest.approx(-1.2)
    assert band.max().item() == pytest.approx(0.0)
    assert len({artist.get_linestyle() for artist in right.lines}) == 3


@pytest.mark.parametrize("p", [1e-3, 0.3, 1.0])
def test_trained_shares_stacks_to_one_and_labels_what_trains(p):
    rows = {
        "small": {"filter": 0.5, "ours": 0.5},
        "other": {"filter": 0.0, "ours": 0.7},
        "all": {"filter": 1, "ours": 1},
    }
    fig = plots.trained_shares(rows, p)
    left, right = axes_of(fig)
    for axis, rule in ((left, "filter"), (right, "ours")):
        outside, child, frozen = axis.containers
        for bars, row in zip(zip(outside, child, frozen, strict=True), rows.values(), strict=True):
            widths = [bar.get_width() for bar in bars]
            assert widths == pytest.approx([1 - row[rule], p * row[rule], (1 - p) * row[rule]])
        assert outside[0].get_hatch()
        assert [text.get_text() for text in axis.texts] == [f"{1 - r[rule] * (1 - p):.0%}" for r in rows.values()]
        assert axis.get_title() == rule
    assert [label.get_text() for label in left.get_yticklabels()] == list(rows)
    assert texts(fig) == ["always trains", "the child", "frozen"]


@pytest.mark.parametrize("seeds", [1, 3])
def test_paired_arms_joins_the_runs_of_a_seed(seeds):
    schedules = {"with warmup": [1e-4, 2e-4, 0.0], "without": [2e-4, 1e-4, 0.0]}
    results = {"with warmup": [0.5 + i for i in range(seeds)], "without": [0.6 + i for i in range(seeds)]}
    left, right = axes_of(plots.paired_arms(schedules, results, "loss"))
    assert list(line(left, "without").get_ydata()) == schedules["without"]
    pairs = [list(artist.get_ydata()) for artist in right.lines[:seeds]]
    assert pairs == [list(pair) for pair in zip(*results.values(), strict=True)]
    assert right.get_ylabel() == "loss"
    assert [label.get_text() for label in right.get_xticklabels()] == list(results)
