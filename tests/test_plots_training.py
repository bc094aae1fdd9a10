"""The figures of notebook 05 draw what they are given."""

import math

import numpy as np
import pytest
from support import drawn

from childtune_lite import plots
from childtune_lite.plots.training import running_mean

LAYERS = ("embeddings", "layer 0", "layer 1", "head", "all")
RECIPES = ("vanilla", "F", "D", "vanilla_sqrt_p", "D_random", "D_lowest", "head_only", "of_your_own")


pytestmark = pytest.mark.filterwarnings("error")


def line_steps(n):
    return [{"step": i, "epoch": 0, "loss": 0.7 - 0.01 * i, "lr": 1e-4 * (i + 1), "grad_norm": 1.0} for i in range(n)]


def gradient_records(steps, zeros=0.7):
    record = {"mean": -1e-6, "std": 2e-4, "norm": 0.5, "zeros": zeros, "cosine": 0.55}
    return [
        {"step": s, "layers": {layer: {**record, "norm": 0.1 * i + s} for i, layer in enumerate(LAYERS)}} for s in steps
    ]


def legend_texts(fig):
    return [text.get_text() for legend in fig.legends for text in legend.get_texts()]


@pytest.mark.parametrize("n", [1, 2, 48])
def test_training_curves_show_loss_and_rate(n):
    steps = line_steps(n)
    fig = drawn(plots.training_curves({"F": steps, "vanilla": steps}, window=3))
    left, right = fig.axes
    raw, smooth = left.lines[:2]
    np.testing.assert_allclose(raw.get_ydata(), [s["loss"] for s in steps])
    np.testing.assert_allclose(smooth.get_ydata(), running_mean([s["loss"] for s in steps], 3))
    np.testing.assert_allclose(right.lines[0].get_ydata(), [s["lr"] for s in steps])
    assert {"F", "vanilla"} <= set(legend_texts(fig))


def test_running_mean():
    assert running_mean([1.0, 3.0, 5.0], 2) == [1.0, 2.0, 4.0]
    assert running_mean([], 2) == []


@pytest.mark.parametrize(("p", "steps"), [(None, [0, 4, 8]), (1.0, [0]), (0.3, [0, 4, 8]), (1e-4, [0, 4])])
def test_gradient_lines_show_the_layer_and_what_a_mask_should_give(p, steps):
    runs = {recipe: gradient_records(steps) for recipe in RECIPES}
    fig = drawn(plots.gradient_lines(runs, "layer 1", p=p))
    norm, _, zeros, cosine = fig.axes
    np.testing.assert_allclose(norm.lines[0].get_ydata(), [0.2 + s for s in steps])
    assert len(norm.lines) == len(RECIPES)
    if p is None:
        assert len(zeros.lines) == len(RECIPES)
    else:
        assert zeros.lines[-1].get_ydata()[0] == pytest.approx(1 - p)
        assert cosine.lines[-1].get_ydata()[0] == pytest.approx(math.sqrt(p))


@pytest.mark.parametrize("statistics", [("zeros",), ("norm", "mean", "cosine")])
def test_gradient_lines_of_some_statistics(statistics):
    fig = drawn(plots.gradient_lines({"F": gradient_records([0, 4])}, "all", 0.3, statistics))
    assert [axis.get_title() for axis in fig.axes if axis.get_visible()] == [
        {"zeros": "share of zeros", "cosine": "cosine with unmasked"}.get(s, s) for s in statistics
    ]


@pytest.mark.parametrize(
    ("statistic", "recipes", "steps"),
    [("zeros", ("vanilla", "F", "D"), [0, 4, 8, 12]), ("norm", ("F",), [0]), ("mean", ("F", "D"), [0, 4])],
)
def test_gradient_maps_show_layers_by_steps(statistic, recipes, steps):
    runs = {recipe: gradient_records(steps) for recipe in recipes}
    fig = drawn(plots.gradient_maps(runs, statistic))
    axes = [axis for axis in fig.axes if axis.images]
    assert [axis.get_title() for axis in axes] == list(recipes)
    shown = np.asarray(axes[0].images[0].get_array())
    expected = [[r["layers"][layer][statistic] for r in runs[recipes[0]]] for layer in ("head", "layer 1", "layer 0")]
    np.testing.assert_allclose(shown[:3], expected)
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["head", "layer 1", "layer 0", "embeddings"]


def test_a_gradient_of_zeros_has_no_cosine_and_is_drawn_all_the_same():
    records = gradient_records([0, 4])
    records[0]["layers"]["layer 0"]["cosine"] = float("nan")
    drawn(plots.gradient_maps({"F": records}, "cosine"))
    drawn(plots.gradient_lines({"F": records}, "layer 0"))


def test_paired_interval_is_that_of_scipy():
    from scipy import stats

    mean, low, high = plots.paired_interval([1.0, 2.0, 4.0])
    expected = stats.ttest_1samp([1.0, 2.0, 4.0], 0.0).confidence_interval(0.95)
    assert mean == pytest.approx(7 / 3)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert plots.paired_interval([1.0]) == (1.0, -math.inf, math.inf)
    assert plots.paired_interval([2.0, 2.0]) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("seeds", [1, 2, 3, 7])
def test_paired_runs_show_every_run_and_every_difference(seeds):
    scores = {r: {s: 0.5 + 0.01 * s + 0.02 * i for s in range(seeds)} for i, r in enumerate(RECIPES[:4])}
    fig = drawn(plots.paired_runs(scores))
    left, right = fig.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [scores[r][0] for r in scores])
    points = [line.get_ydata() for line in right.lines if len(line.get_ydata()) == seeds][:1]
    np.testing.assert_allclose(points[0], [2.0] * seeds)
    assert [t.get_text() for t in right.get_xticklabels()] == ["F", "D", "vanilla,\nlr · √p"]


def test_detectable_difference():
    assert plots.detectable_difference(1, 1.0) == math.inf
    assert plots.detectable_difference(1000, 1.0) == pytest.approx((1.96 + 0.8416) / math.sqrt(1000), rel=0.01)
    assert plots.detectable_difference(3, 2.0) == pytest.approx(2 * plots.detectable_difference(3, 1.0))


@pytest.mark.slow
def test_detectable_difference_is_seen_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n, tests = 10, 20_000
    draws = rng.normal(plots.detectable_difference(n, 1.0), 1.0, (tests, n))
    t = draws.mean(1) / (draws.std(1, ddof=1) / math.sqrt(n))
    assert (abs(t) > 2.262).mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("sd", "n", "effects"), [(1.5, 3, {"a": 1.5, "b": 0.7}), (0.1, None, None), (20.0, 2, {})])
def test_detectable_curve_falls_and_marks_n(sd, n, effects):
    fig = drawn(plots.detectable_curve(sd, n, effects))
    x, y = fig.axes[0].lines[0].get_data()
    assert (np.diff(y) < 0).all()
    assert y[0] == pytest.approx(plots.detectable_difference(int(x[0]), sd))
    for effect in effects or {}:
        assert any(effect in text.get_text() for text in fig.axes[0].texts)


@pytest.mark.parametrize("band", [(None, None), (1.5, 8.6)])
def test_gains_by_task_show_each_task_and_the_mean(band):
    gains = {"A": {"t": 1.0, "u": 3.0}, "B": {"t": -1.0, "u": 0.0}}
    fig = drawn(plots.gains_by_task(gains, *band))
    t, u, mean = fig.axes[0].lines[:3]
    assert list(t.get_xdata()) == [1.0, -1.0]
    assert list(u.get_xdata()) == [3.0, 0.0]
    assert list(mean.get_xdata()) == [2.0, -0.5]
    assert ("1.5 to 8.6" in legend_texts(fig)) == (band[0] is not None)
