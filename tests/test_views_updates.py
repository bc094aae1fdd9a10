"""Notebook 02's views over the whole grid of their controls: the cloud of updates, and the walk out of the minimum."""

import math
import warnings

import pytest
import torch
from support import visit

import childtune_lite as ct
from childtune_lite.plots.style import png
from childtune_lite.views import updates as cloud_view
from childtune_lite.views import walks as walk_view
from childtune_lite.walks import Landscape, walk, wilson


def numbers(text, start):
    """The numbers of the one line that begins with `start`."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    return [float(v) for v in line[28:].split()]


# ---- the cloud


def test_update_cloud_everywhere():
    """Over the full grid: the theorem's line is its formula, the measured line follows it exactly where it should."""
    n, g = cloud_view.PAIRS, cloud_view.SLOPE
    for settings, text in visit(ct.views.update_cloud()):
        p, batch, rate = settings["p"], settings["batch"], settings["rate"]
        stds = [rate * math.sqrt(4 / (p * batch) + (1 - p) / p * x * x) for x in g]
        theorem = [-rate * g[0], stds[0], -rate * g[1], stds[1]]
        assert numbers(text, "theorem, SGD") == pytest.approx([*theorem, 1 - p], abs=6e-3), settings
        *found, zeros = numbers(text, f"measured, {settings['optimizer']}")
        if settings["optimizer"] == "SGD":
            for k in (0, 1):
                assert found[2 * k] == pytest.approx(theorem[2 * k], abs=5 * stds[k] / n**0.5 + 6e-4), settings
                # the fourth power of a rare long step makes the std of a std: kurtosis 3/p at most, and some
                assert found[2 * k + 1] == pytest.approx(stds[k], rel=5 * math.sqrt(3 / p / n), abs=6e-4), settings
            assert zeros == pytest.approx(1 - p, abs=0.02)
        elif settings["optimizer"] == "Adam":
            assert zeros == 0
            assert abs(found[0]) < rate
        else:  # a sum of past updates, each 0.9 times the one after it
            assert zeros == 0
            for k in (0, 1):
                std = stds[k] / math.sqrt(1 - 0.81)
                assert found[2 * k] == pytest.approx(10 * theorem[2 * k], abs=5 * std / n**0.5 + 2e-3 * rate), settings
                assert found[2 * k + 1] == pytest.approx(std, rel=5 * math.sqrt(3 / p / n)), settings


def by_hand(p, batch, rate, optimizer):
    """The same updates without torch.optim: its rules written out, on the module's masks."""
    memory = [[torch.zeros(cloud_view.PAIRS) for _ in "mv"] for _ in "12"]
    generator = torch.Generator().manual_seed(0)
    for step in range(cloud_view.STEPS_BEFORE[optimizer] + 1):
        moved = []
        for k, (m, v) in enumerate(memory):
            seen = cloud_view.SLOPE[k] + 2 / batch**0.5 * torch.randn(cloud_view.PAIRS, generator=generator)
            seen = seen * ct.BernoulliMask(p, seed=0).keep(f"0.{k}", seen.shape, step) / p
            if optimizer == "Adam":
                m.mul_(0.9).add_(0.1 * seen)
                v.mul_(0.999).add_(0.001 * seen**2)
                t = step + 1
                moved.append(-rate * m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8))
            else:
                m.mul_(0.9 if optimizer == "SGD, momentum" else 0).add_(seen)
                moved.append(-rate * m)
    return torch.stack(moved, 1)


@pytest.mark.parametrize("optimizer", cloud_view.OPTIMIZERS)
def test_the_clouds_are_the_optimizers_updates(optimizer):
    updates, kept = cloud_view.last_update(0.3, 4, optimizer)
    expected = by_hand(0.3, 4, 0.5, optimizer)
    # The weights have gone a long way: differences of float32 numbers of size 100 hold four digits.
    torch.testing.assert_close(0.5 * updates, expected, rtol=1e-3, atol=1e-3)
    assert kept.double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(updates != 0, kept) == (optimizer == "SGD")
    text = ct.views.update_cloud().draw(p=0.3, batch=4, rate=0.5, optimizer=optimizer)[1]
    stats = [v for pair in zip(expected.mean(0), expected.std(0), strict=True) for v in pair]
    assert numbers(text, "measured")[:4] == pytest.approx([v.item() for v in stats], abs=2e-3)


def test_the_cloud_lies_within_the_axes_and_the_ellipse_too():
    view = ct.views.update_cloud()
    for settings in view.grid():
        if settings["batch"] == 16:
            axis = view.draw(**settings)[0].axes[0]
            reach = axis.get_xlim()[1]
            assert (-reach, reach) == axis.get_xlim() == axis.get_ylim()
            points = torch.cat([torch.tensor(line.get_xydata()) for line in axis.lines if line.get_marker() in "os^X"])
            edge = next(line for line in axis.lines if line.get_zorder() == 4).get_xydata()
            assert abs(edge).max() <= reach, settings
            assert (points.abs().amax(1) > reach).double().mean().item() < 0.02, settings


# ---- the walk


def test_escape_walk_everywhere():
    """Over the full grid: the counts are recounted, the interval is Wilson's, nobody comes back from having left."""
    before = {}
    for settings, text in visit(ct.views.escape_walk()):
        *setting, step = settings.values()
        result, _ = walk_view.escape(*setting)
        left = int((result.left_at <= step).sum())
        low, high = wilson(left, walk_view.WALKERS)
        share = left / walk_view.WALKERS
        assert f"step {step}: {left} of 400 walkers have left, {share:.2f} [{low:.2f}, {high:.2f}]" in text
        std = settings["rate"] * 8 / math.sqrt(settings["p"] * settings["batch"])
        assert f"sqrt(p B) = {std:.3f}" in text
        assert ("not of Adam" in text) == (settings["optimizer"] == "Adam")
        assert left >= before.get(tuple(setting), 0)
        before[tuple(setting)] = left
        outside = Landscape().outside(*result.positions[step][0].T)
        assert not (outside & (result.left_at[0] > step)).any()  # whoever is seen outside has left


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_the_walk_is_the_optimizers(optimizer):
    """Its rule written out on the module's masks gives the same places after 100 steps."""
    p, batch, rate = 0.5, 10, 0.05
    place, m, v = torch.zeros(3, 2, walk_view.WALKERS)
    generator = torch.Generator().manual_seed(0)
    for t in range(1, 101):
        seen = torch.randn(place.shape, generator=generator) * 8 / batch**0.5 + torch.stack(
            Landscape().gradient(*place)
        )
        seen = seen * ct.BernoulliMask(p, seed=0).keep("0.0", seen.shape, t - 1) / p
        m, v = 0.9 * m + 0.1 * seen, 0.999 * v + 0.001 * seen**2
        adam = m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        place = place - rate * (adam if optimizer == "Adam" else seen)
    result, _ = walk_view.escape(p, batch, rate, optimizer)
    torch.testing.assert_close(result.positions[100][0], place.T, rtol=1e-3, atol=1e-3)


def test_under_sgd_the_walk_agrees_with_the_notebooks():
    """`walks.walk` has its own mask, noise and update: the shares must agree within both intervals' reach."""
    settings = [(p, batch) for p in (0.25, 0.5, 1.0) for batch in (10, 20, 40)]
    reference = walk([{"p": p, "batch": batch} for p, batch in settings], steps=600, walkers=2000, noise=8.0, rate=0.02)
    for arm, setting in enumerate(settings):
        result, _ = walk_view.escape(*setting, 0.02, "SGD")
        share, low, high = result.share(0)
        error = (high - low) / 2
        assert share == pytest.approx(reference.share(arm)[0], abs=2.2 * error + 0.005), setting


def test_the_map_shows_every_walker_and_the_curve_ends_now():
    view = ct.views.escape_walk()
    for changed in ({}, {"step": 0}, {"step": 600}, {"rate": 0.05, "batch": 10}):
        settings = {**view.defaults, **changed}
        figure, text = view.draw(**settings)
        ground, curve = figure.axes
        crosses = next(line for line in ground.lines if line.get_marker() == "x").get_xydata()
        dots = next(line for line in ground.lines if line.get_marker() == ".").get_xydata()
        assert f": {len(crosses)} of {len(crosses) + len(dots)} walkers" in text
        for line in (crosses, dots):
            for k, (low, high) in enumerate((ground.get_xlim(), ground.get_ylim())):
                assert ((line[:, k] >= low) & (line[:, k] <= high)).all()
        x, y = curve.lines[-1].get_xydata()[-1]
        assert (x, y) == (settings["step"], len(crosses) / walk_view.WALKERS)


def test_the_dashed_circle_is_where_both_bowls_are_equally_low():
    figure, _ = ct.views.escape_walk().draw(**ct.views.escape_walk().defaults)
    circle = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--").get_xydata()
    sharp, flat = Landscape().bowls(*torch.tensor(circle).T)
    torch.testing.assert_close(sharp, flat)


@pytest.mark.parametrize("make", [ct.views.update_cloud, ct.views.escape_walk])
def test_no_picture_warns(make):
    view = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, choice in view.controls.items():
            for value in choice.options:
                assert png(view.draw(**{**view.defaults, name: value})[0]).startswith(b"\x89PNG")


def test_what_the_notebook_says_one_sees():
    """The sentences under the two widgets, over all settings."""
    final = {
        tuple(s.values())[:4]: walk_view.escape(*tuple(s.values())[:4])[0].share(0)
        for s in ct.views.escape_walk().grid()
        if s["step"] == 0
    }
    alike = [final[p, batch, 0.02, "SGD"] for p, batch in ((0.25, 40), (0.5, 20), (1.0, 10))]
    assert max(low for _, low, _ in alike) < min(high for *_, high in alike)  # all three intervals overlap
    for (*setting, optimizer), (share, *_) in final.items():
        if optimizer == "Adam":
            assert share < final[(*setting, "SGD")][0] or share == 0

    def longer(p, batch):
        """How much longer than wide the ellipse is."""
        variances = ct.updates.theorem_covariance(torch.tensor(cloud_view.SLOPE), cloud_view.NOISE, batch, p).diagonal()
        return (variances[0] / variances[1]).item()

    controls = ct.views.update_cloud().controls
    for batch in controls["batch"].options:
        lengths = [longer(p, batch) for p in controls["p"].options]
        assert lengths == sorted(lengths, reverse=True)
        assert lengths[-1] == 1
    for p in controls["p"].options[:-1]:
        lengths = [longer(p, batch) for batch in controls["batch"].options]
        assert lengths == sorted(lengths)
