"""The views behind the widgets, over the whole grid of their controls, without a browser."""

import itertools
import math
import warnings

import pytest
import torch
from support import visit

import childtune_lite as ct
from childtune_lite.views import Choice, View
from childtune_lite.views import bernoulli as mask_view

# ---- what a view is made of


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"options": (1, 2), "value": 3}, "value=3"),
        ({"options": (1, 2), "value": 1, "kind": "wheel"}, "kind='wheel'"),
        ({"options": (1, 2), "value": 1, "names": ("one",)}, "names"),
        ({"options": (1, 2, 4), "value": 1, "kind": "play"}, "equally spaced"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        Choice("x", **arguments)


def test_the_grid_is_every_combination():
    view = View(lambda **_: None, {"a": Choice("a", (1, 2), 1), "b": Choice("b", ("x", "y", "z"), "x")}, "")
    assert [tuple(s.values()) for s in view.grid()] == list(itertools.product((1, 2), "xyz"))


# ---- 01: the mask explorer


def row(text, name):
    """The numbers of one line of the table: before, after, expected, +/-."""
    return [float(v) for v in next(line for line in text.splitlines() if line.startswith(name)).split()[1:]]


def test_mask_explorer_everywhere():
    """Over the full grid: it draws, and the table holds what the masked gradient itself gives."""
    view = ct.views.mask_explorer()
    for settings, text in visit(view):
        p, seed = settings["p"], settings["seed"]
        g = mask_view.toy_gradient(settings["shape"], settings["kind"], seed)
        h = g * ct.bernoulli_mask(g, p, torch.Generator().manual_seed(1000 + seed)) / p
        for name, before, after in (("mean", g.mean(), h.mean()), ("norm", g.norm(), h.norm())):
            assert row(text, name)[:2] == pytest.approx([before.item(), after.item()], abs=6e-4), settings
        assert row(text, "zeros")[1] == pytest.approx((h == 0).double().mean().item(), abs=6e-4)
        assert row(text, "norm")[2] == pytest.approx(g.norm().item() / math.sqrt(p), abs=6e-4)
        if h.any():
            assert row(text, "cosine")[1] == pytest.approx(
                (g.flatten() @ h.flatten() / g.norm() / h.norm()).item(), abs=6e-4
            )
        count = max(1, 1000 * settings["rounds"])
        assert f"mean of {count:,} mask" in text
        assert f"= {math.sqrt((1 - p) / (p * count)):.3f} |g|" in text


def test_mask_explorer_averages_as_many_masks_as_it_says():
    """The average is recomputed from masks drawn one round after the other; the distance must be its own."""
    gradient = mask_view.toy_gradient((8, 12), "normal", 0)
    generator, kept = torch.Generator().manual_seed(1000), torch.zeros(8, 12)
    sizes = [b - a for a, b in itertools.pairwise((0, *mask_view.CHECKPOINTS))]
    for size in sizes:
        kept += ct.bernoulli_mask(gradient.expand(size, 8, 12), 0.2, generator).sum(0)
    _, average, count, distances = mask_view.average_of_masks(((8, 12), "normal", 0), 0.2, 0, 2)
    assert count == 2000
    torch.testing.assert_close(average, gradient * kept / (2000 * 0.2))
    assert distances[2000] == pytest.approx(((average - gradient).norm() / gradient.norm()).item(), rel=1e-4)
    assert list(distances) == [1, 3, 10, 30, 100, 300, 1000, 2000]
    assert distances[2000] < 4 * math.sqrt(0.8 / (0.2 * 2000))


def test_no_view_warns_when_it_is_turned_into_a_picture():
    from childtune_lite.plots.style import png

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for view in (ct.views.mask_explorer(),):
            for name, choice in view.controls.items():
                for value in choice.options:
                    assert png(view.draw(**{**view.defaults, name: value})[0]).startswith(b"\x89PNG")
