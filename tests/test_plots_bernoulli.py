"""Notebook 01's numbers and figures: the statistics agree with many masks, and the figures show the data they get."""

import math

import pytest
import torch
from support import drawn

import childtune_lite as ct
from childtune_lite import plots

pytestmark = pytest.mark.filterwarnings("error")

PS = (1.0, 0.2, 1e-3)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def draw(gradient, p, seed=0):
    return ct.bernoulli_mask(gradient, p, torch.Generator().manual_seed(seed))


def texts(axis):
    return [text.get_text() for text in axis.texts]


# ---- numbers


def test_effective_entries():
    assert plots.effective_entries(torch.ones(7)) == pytest.approx(7)
    assert plots.effective_entries(torch.tensor([1e-3, 5.0, 0.0])) == pytest.approx(1, abs=1e-4)
    assert plots.effective_entries(-3 * normal(50, 40)) == pytest.approx(2000 / 3, rel=0.1)
    assert math.isnan(plots.effective_entries(torch.zeros(3)))


@pytest.mark.parametrize("p", [0.1, 0.3, 0.8])
@pytest.mark.parametrize("kind", ["normal", "shifted", "sparse"])
def test_expected_and_spread_are_those_of_many_masks(kind, p):
    g = normal(300)
    g = {"normal": g, "shifted": g + 1, "sparse": g * (torch.arange(300) % 3 == 0)}[kind]
    rows = [plots.mask_statistics(g, g * draw(g, p, seed) / p, p) for seed in range(400)]
    for name, row in rows[0].items():
        values = torch.tensor([other[name]["measured"] for other in rows], dtype=torch.float64)
        root_of_square = name in ("std", "norm", "cosine")
        center = values.square().mean().sqrt() if root_of_square else values.mean()
        assert abs(center - row["expected"]) < 5 * values.std() / math.sqrt(400), name
        assert values.std().item() == pytest.approx(row["spread"], rel=0.2), name


def test_p_1_changes_nothing_and_has_no_spread():
    g = normal(3, 4)
    for row in plots.mask_statistics(g, g, 1.0).values():
        assert row["measured"] == pytest.approx(row["before"]) == pytest.approx(row["expected"])
        assert row["spread"] == 0


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("shape", [(1,), (3, 4), (2, 3, 4)])
def test_statistics_of_any_shape_where_all_may_be_dropped(shape, p):
    g = normal(*shape)
    statistics = plots.mask_statistics(g, g * 0, p)
    assert statistics["zeros"]["measured"] == 1
    assert math.isnan(statistics["cosine"]["measured"])
    assert list(statistics) == ["mean", "std", "norm", "zeros", "cosine"]


def test_table_is_aligned_and_shows_what_it_was_given():
    g = normal(50)
    statistics = plots.mask_statistics(g, g * draw(g, 0.5) / 0.5, 0.5)
    lines = plots.mask_statistics_table(statistics, digits=4).splitlines()
    assert len(lines) == 6
    assert len({len(line) for line in lines}) == 1
    assert lines[5].split() == ["cosine", *(f"{value:.4f}" for value in statistics["cosine"].values())]


# ---- pictures


@pytest.mark.parametrize("p", PS)
def test_grids_show_gradient_mask_and_product(p):
    g = normal(3, 4)
    m = draw(g, p)
    left, middle, right = drawn(plots.mask_grids(g, m, p)).axes
    for axis, values in ((left, g), (middle, m), (right, g * m / p)):
        torch.testing.assert_close(torch.tensor(axis.images[0].get_array()), values)
    assert left.images[0].get_clim() == right.images[0].get_clim()
    assert texts(left)[0] == f"{g[0, 0]:.2f}"
    assert texts(middle) == [str(int(value)) for value in m.flatten()]
    assert [text == "0" for text in texts(right)] == (m.flatten() == 0).tolist()
    assert len(right.patches) == int((m == 0).sum())
    assert f"{int(m.sum())} of 12" in middle.get_title()


@pytest.mark.parametrize("shape", [(5,), (8, 6), (9, 6), (8, 3, 3, 3)])
def test_grids_of_any_shape(shape):
    g = normal(*shape)
    fig = drawn(plots.mask_grids(g, draw(g, 0.3), 0.3))
    axis = fig.axes[0]
    assert axis.images[0].get_array().size == g.numel()
    numbered = len(axis.texts) > 0
    assert numbered == (shape in [(5,), (8, 6)])


def test_grids_of_zeros():
    drawn(plots.mask_grids(torch.zeros(2, 2), torch.zeros(2, 2), 0.5))


@pytest.mark.parametrize("p", [1.0, 0.2])
@pytest.mark.parametrize("entry", [-0.2, 0.0])
def test_running_average_is_the_mean_of_the_first_masks(entry, p):
    kept = draw(torch.empty(500), p)
    axis = drawn(plots.mask_running_average(entry, kept, p)).axes[0]
    divided, plain = (torch.as_tensor(line.get_ydata(), dtype=torch.float64) for line in axis.lines[:2])
    assert len(divided) == 500
    assert divided[-1].item() == pytest.approx(entry * kept.mean().item() / p, abs=1e-6)
    assert divided[9].item() == pytest.approx(entry * kept[:10].mean().item() / p, abs=1e-6)
    torch.testing.assert_close(plain, divided * p)


def test_running_average_of_one_mask():
    drawn(plots.mask_running_average(1.0, torch.ones(1), 0.5))


@pytest.mark.parametrize("p", PS)
def test_histograms_split_zeros_from_the_rest(p):
    g = normal(2_000)
    h = g * draw(g, p) / p
    before, after = drawn(plots.mask_histograms(g, h)).axes
    zeros = (h == 0).double().mean().item()
    assert sum(patch.get_height() for patch in before.patches) == pytest.approx(1)
    assert sum(patch.get_height() for patch in after.patches) == pytest.approx(1)
    assert texts(before) == []
    assert texts(after) == ([] if p == 1 else [f"exactly 0: {zeros:.1%}"])
    assert before.get_xlim() == after.get_xlim()


def test_histograms_of_zeros():
    drawn(plots.mask_histograms(torch.zeros(10), torch.zeros(10)))


def test_variances_are_plotted_against_the_formula():
    g = normal(3, 4)
    variances = {p: g**2 * (1 - p) / p for p in (0.8, 0.1)}
    axis = drawn(plots.mask_variances(g, variances)).axes[0]
    assert [line.get_label() for line in axis.lines] == ["p = 0.1", "p = 0.8", "measured = formula"]
    for line, p in zip(axis.lines, (0.1, 0.8), strict=False):
        x, y = (torch.as_tensor(data) for data in line.get_data())
        torch.testing.assert_close(x, y, rtol=1e-6, atol=0)
        torch.testing.assert_close(y.float(), variances[p].flatten())
    assert len({line.get_marker() for line in axis.lines[:2]}) == 2


def test_variances_at_p_1_are_all_zero():
    drawn(plots.mask_variances(normal(5), {1.0: torch.zeros(5)}))


@pytest.mark.parametrize("ps", [(1.0,), (0.2,), (0.001, 0.5, 1.0)])
def test_against_p_shows_points_on_formulas(ps):
    measured = {p: {"norm": p**-0.5, "zeros": 1 - p, "cosine": p**0.5} for p in ps}
    axes = drawn(plots.mask_against_p(measured)).axes
    for axis, key in zip(axes, ("norm", "cosine", "zeros"), strict=True):
        formula, points = axis.lines
        assert list(points.get_xdata()) == sorted(ps)
        assert list(points.get_ydata()) == [measured[p][key] for p in sorted(ps)]
        assert float(formula.get_ydata()[0]) == pytest.approx(measured[min(ps)][key])


@pytest.mark.parametrize("p", [1.0, 0.2])
def test_cosines_one_row_for_each_kind(p):
    samples = {name: (p**0.5 * (1 + 0.01 * normal(200, seed=i))) for i, name in enumerate("ab")}
    axes = drawn(plots.mask_cosines(samples, p)).axes
    assert [axis.get_title(loc="left") for axis in axes] == list("ab")
    for axis in axes:
        assert axis.lines[0].get_xdata()[0] == pytest.approx(p**0.5)
        assert sum(axis.patches[0].get_data().values) == pytest.approx(1)
    assert f"{p**0.5:.3f}" in axes[-1].get_xlabel()


def test_cosines_of_one_mask():
    drawn(plots.mask_cosines({"only": torch.tensor([1.0])}, 1.0))


@pytest.mark.parametrize("p", [1.0, 0.2])
def test_by_layer_shows_every_layer_but_not_the_sum(p):
    names = ["embeddings", "all", "layer 0", "head"]
    before = {name: {"zeros": z, "cosine": 1.0} for name, z in zip(names, (0.9, 0.5, 0.0, 0.0), strict=True)}
    after = {name: {"zeros": 1 - p * (1 - row["zeros"]), "cosine": p**0.5} for name, row in before.items()}
    left, right = drawn(plots.mask_by_layer(before, after, p)).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["embeddings", "layer 0", "head"]
    _, open_circles, squares, ticks = left.lines
    assert list(open_circles.get_xdata()) == [0.9, 0.0, 0.0]
    assert list(squares.get_xdata()) == list(ticks.get_xdata()) == [after[n]["zeros"] for n in names if n != "all"]
    assert list(right.lines[1].get_xdata()) == [p**0.5] * 3


def test_global_style_is_left_alone():
    import matplotlib as mpl

    size = mpl.rcParams["font.size"]
    plots.mask_grids(normal(3, 4), torch.ones(3, 4), 1.0)
    assert mpl.rcParams["font.size"] == size
