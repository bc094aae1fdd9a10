"""The figures of notebook 02, and the functions of `updates` and `walks` that they show."""

import pytest
import torch
from support import drawn

from childtune_lite import plots, updates, walks

pytestmark = pytest.mark.filterwarnings("error")


GRADIENT = torch.tensor([1.0, 0.4])


@pytest.mark.parametrize("ps", [(1.0,), (0.01,), (1.0, 0.5, 0.2)])
def test_update_clouds(ps):
    clouds = {f"p = {p:g}": updates.cloud(GRADIENT, 2.0, 16, p, draws=500) for p in ps}
    fig = drawn(plots.update_clouds(clouds))
    for axis, (title, (x, mean, covariance)) in zip(fig.axes, clouds.items(), strict=True):
        assert axis.get_title() == title
        points = torch.cat([torch.tensor(c.get_offsets().data) for c in axis.collections])
        zeros = int((x == 0).all(1).sum())  # one cross stands for all of them
        assert len(points) == len(x) - max(zeros - 1, 0)
        edge = torch.tensor(axis.lines[0].get_xydata()) - mean
        radius = (edge @ torch.linalg.inv(covariance) * edge).sum(1).sqrt()
        assert torch.allclose(radius, torch.full_like(radius, 2.0))
        assert torch.allclose(torch.tensor(axis.lines[1].get_xydata())[0], mean)
    assert ("neither kept" in {t.get_text() for t in fig.legends[0].get_texts()}) == (min(ps) < 1)


def test_update_clouds_of_a_fixed_mask():
    """A covariance of rank one, as a fixed child has it, and a reach of one's own."""
    x = torch.stack([torch.randn(300, generator=torch.Generator().manual_seed(0)), torch.zeros(300)], 1)
    fig = drawn(plots.update_clouds({"D": (x, torch.zeros(2), torch.diag(torch.tensor([1.0, 0.0])))}, reach=4.0))
    assert fig.axes[0].get_xlim() == (-4, 4)


@pytest.mark.parametrize("ps", [[1.0], [0.001, 0.5], [0.2, 0.5, 1.0]])
def test_update_variances(ps):
    grid = torch.linspace(0.1, 1, 50)
    panel = {"grid": grid, "noise": 1 / grid, "gradient": (1 - grid) / grid, "p": ps}
    panel |= {"measured": [1 / p for p in ps], "error": [0.01] * len(ps)}
    fig = drawn(plots.update_variances({"divided": panel, "not divided": panel}))
    noise, gradient, total = fig.axes[0].lines[:3]
    assert torch.allclose(torch.tensor(total.get_ydata()), torch.tensor(noise.get_ydata() + gradient.get_ydata()))
    assert list(fig.axes[1].lines[3].get_ydata()) == panel["measured"]
    assert [t.get_text() for t in fig.legends[0].get_texts()] == [
        "noise term", "gradient term", "their sum", "measured",
    ]  # fmt: skip


@pytest.mark.parametrize("scaled", [True, False])
def test_variance_panel(scaled):
    panel = updates.variance_panel(1.5, 2.0, 16, scaled)
    drawn(plots.update_variances({"one": panel}))
    total = panel["noise"] + panel["gradient"]
    for p, measured, error in zip(panel["p"], panel["measured"], panel["error"], strict=True):
        formula = updates.theorem_covariance(torch.tensor([1.5]), 2.0, 16, p, scaled=scaled).item()
        nearest = total[(panel["grid"] - p).abs().argmin()].item()
        assert nearest == pytest.approx(formula, rel=0.05)
        assert abs(measured - formula) < 1.2 * error


@pytest.mark.parametrize("where", ["start", "walked", "all gone"])
def test_landscape_walkers(where):
    land = walks.Landscape()
    places = {
        "start": torch.zeros(600, 2),
        "walked": walks.walk([{"p": 0.2}], steps=150, walkers=600, keep=(150,)).positions[150][0],
        "all gone": torch.tensor([3.0, 0.0]).repeat(600, 1),
    }[where]
    fig = drawn(plots.landscape_walkers(land, {"one": places, "two": places}, shown=300))
    inside, left = fig.axes[0].lines
    gone = land.outside(*places.T).float().mean().item()
    total = len(inside.get_xdata()) + len(left.get_xdata())
    assert abs(total - 300) <= 1
    assert len(left.get_xdata()) == round(gone * 300)
    assert not land.outside(*torch.tensor(inside.get_xydata()).T).any()


@pytest.mark.parametrize("n", [1, 3, 7])
def test_escape_curves(n):
    steps = list(range(0, 100, 5))
    share = torch.linspace(0, 0.9, len(steps))
    curves = {f"arm {i}": (steps, share, share - 0.01, share + 0.01) for i in range(n)}
    fig = drawn(plots.escape_curves(curves))
    assert len(fig.axes[0].lines) == n
    assert torch.equal(torch.tensor(fig.axes[0].lines[0].get_ydata()), share)


@pytest.mark.parametrize("ps", [[1.0], [1.0, 0.01, 0.3]])
def test_escape_against_p(ps):
    values = [(p, max(p - 0.05, 0), min(p + 0.05, 1)) for p in ps]
    fig = drawn(plots.escape_against_p(ps, {"mask": values, "batch": values}))
    assert list(fig.axes[0].lines[0].get_ydata()) == sorted(ps)
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == [f"{p:g}" for p in sorted(ps)]


def test_gradient_grids():
    matrix = torch.arange(12.0).reshape(3, 4) - 5
    zeros = torch.zeros(3, 4)
    fig = drawn(plots.gradient_grids({"first": {"a": matrix, "b": zeros}, "second": {"a": matrix.T, "b": zeros.T}}))
    assert torch.equal(torch.tensor(fig.axes[0].images[0].get_array()), matrix)
    assert [len(axis.patches) for axis in fig.axes] == [1, 12, 1, 12]
    assert [axis.get_title() for axis in fig.axes] == ["a", "b", "", ""]


# ---- the numbers behind them
CORRELATED = torch.tensor([[2.0, 1.2], [1.2, 1.0]])


@pytest.mark.parametrize("noise", [0.0001, 2.0, CORRELATED], ids=["little", "isotropic", "correlated"])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize(("p", "batch"), [(1.0, 4), (0.5, 1), (0.05, 16)])
def test_the_formula_lies_in_the_sampling_interval(noise, scaled, p, batch):
    g = torch.tensor([1.0, -0.3])
    x = updates.simulate_updates(g, noise, batch, p, rate=0.3, draws=200_000, scaled=scaled, seed=3)
    m = updates.moments(x)
    mean, covariance = (
        updates.theorem_mean(g, p, 0.3, scaled),
        updates.theorem_covariance(g, noise, batch, p, 0.3, scaled),
    )
    assert ((m["mean"] - mean).abs() < 4.5 * m["mean_error"] + 1e-6).all()
    assert ((m["covariance"] - covariance).abs() < 4.5 * m["covariance_error"] + 1e-6).all()


def test_gradient_of_the_landscape_is_its_derivative():
    land = walks.Landscape()
    x, y = (torch.randn(50, dtype=torch.float64, requires_grad=True) for _ in "xy")
    wanted = torch.autograd.grad(land.loss(x, y).sum(), (x, y))
    for a, b in zip(land.gradient(x, y), wanted, strict=True):
        assert torch.allclose(a, b)
    assert not land.outside(torch.tensor(0.0), torch.tensor(0.0))
    assert land.outside(torch.tensor(3.0), torch.tensor(0.0))


def test_a_walk_without_noise_stays_and_arms_do_not_disturb_each_other():
    assert walks.walk([{}], steps=50, walkers=10, noise=0.0).share(0)[0] == 0
    result = walks.walk([{"p": 0.2}, {"p": 0.2, "scaled": False}], steps=300, walkers=500, keep=(0, 300))
    assert result.positions[0].abs().max() == 0
    assert result.share(0)[0] > 0.4 > 0.05 > result.share(1)[0]
    assert result.share(0, 100)[0] < result.share(0)[0]


def test_a_curve_is_the_share_step_by_step_and_can_be_stretched():
    result = walks.walk([{"p": 0.2}], steps=100, walkers=200)
    steps, share, low, high = result.curve(0, every=20)
    assert steps == [0, 20, 40, 60, 80, 100]
    assert (share[-1], low[-1], high[-1]) == result.share(0)
    assert result.curve(0, 20, stretch=5)[1][-1] == result.share(0, 20)[0]


def test_intervals_hold_the_formulas():
    rows = updates.intervals(torch.tensor([1.0, 0.0]), 2.0, 16, 0.2, rate=0.5, draws=100_000)
    assert all(low <= formula <= high for formula, low, high in rows.values())


def test_wilson():
    low, high = walks.wilson(0, 20)
    assert low == 0
    assert high == pytest.approx(0.1611, abs=1e-4)
    assert walks.wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert walks.wilson(20, 20)[1] == 1
