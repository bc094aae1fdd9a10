"""Notebook 04's view over the whole grid of its controls: two entries through an optimizer."""

import warnings

import pytest
import torch
from support import visit

import childtune_lite as ct
from childtune_lite.plots.style import png
from childtune_lite.views import optimizers as entries_view

STEPS, RATE = entries_view.STEPS, entries_view.RATE


def by_hand(optimizer, method, decay, kept, p):
    """One entry with gradient 1, the optimizer's rule written out: the weight, m and v after each step."""
    w, m, v, rows = 1.0, 0.0, 0.0, []
    for t, keep in enumerate(kept.tolist(), 1):
        if method == "D" and not keep:  # the optimizer does not hold it
            rows.append((w, None, None))
            continue
        seen = (1 / p if method == "F" else 1.0) * keep
        if optimizer == "AdamW":
            w -= RATE * decay * w
            m, v = 0.9 * m + 0.1 * seen, 0.999 * v + 0.001 * seen**2
            w -= RATE * m / (1 - 0.9**t) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
        else:
            seen += decay * w
            m = seen + (0.9 * m if optimizer == "SGD, momentum" else 0)
            w -= RATE * m
        rows.append((w, m if optimizer != "SGD" else None, v if optimizer == "AdamW" else None))
    return [list(column) for column in zip(*rows, strict=True)]


def test_two_entries_everywhere():
    """Over the full grid: every curve is the optimizer's rule, and the table counts what the curves show."""
    for settings, text in visit(ct.views.two_entries()):
        optimizer, method, p, decay = settings.values()
        followed = entries_view.follow(optimizer, method, p, decay)
        lines = {line[:18].rstrip(): line[18:].split() for line in text.splitlines()}
        for label, entry in followed.items():
            weight, m, v = by_hand(optimizer, method, decay, entry["kept"], p)
            assert entry["weight"].tolist() == pytest.approx(weight, rel=1e-6, abs=1e-6), (settings, label)
            assert torch.allclose(entry["step"].cumsum(0), entry["weight"] - 1)
            for name, expected in (("m", m), ("v", v)):
                if expected[0] is None:
                    assert entry[name] is None, (settings, label)
                else:
                    assert entry[name].tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6), (settings, label)
            kept, moved, leaked, end = lines[label]
            steps = [b - a for a, b in zip([1.0, *weight], weight, strict=False)]
            assert int(kept) == int(entry["kept"].sum())
            assert int(moved) == sum(step != 0 for step in steps), (settings, label)
            assert int(leaked) == sum(step != 0 and not k for step, k in zip(steps, entry["kept"], strict=True))
            assert float(end) == pytest.approx(weight[-1], abs=6e-4)
            assert "-0.000" not in end


def test_the_two_are_the_one_kept_most_and_the_one_kept_least():
    for p in (0.1, 0.8):
        entries, kept = entries_view.two_of("F", p)
        assert torch.equal(kept[7], ct.BernoulliMask(p, seed=0).keep("w", (entries_view.ENTRIES,), 7))
        count = kept.sum(0)
        assert count[entries["kept often"]] == count.max() > STEPS * p
        assert count[entries["kept seldom"]] == count.min() < STEPS * p
        entries, kept = entries_view.two_of("D", p)
        assert kept[:, entries["in the child"]].all()
        assert not kept[:, entries["outside the child"]].any()
        assert kept[0].sum() == round(p * entries_view.ENTRIES)


def leaked(optimizer, method, decay):
    """How often each of the two moves while it is masked, p = 0.2."""
    followed = entries_view.follow(optimizer, method, 0.2, decay)
    return [int(((entry["step"] != 0) & ~entry["kept"]).sum()) for entry in followed.values()]


@pytest.mark.parametrize(
    ("method", "decay", "still"),
    [("F", 0.0, ["SGD"]), ("D", 0.0, "all"), ("D", 1.0, "all"), ("D, gradient only", 0.0, "all"), ("F", 1.0, [])],
)
def test_the_notebooks_story(method, decay, still):
    """Momentum leaks in F and not in D; decay moves masked entries, except where the optimizer holds the child only."""
    for optimizer in entries_view.OPTIMIZERS:
        quiet = still == "all" or optimizer in still
        assert (leaked(optimizer, method, decay) == [0, 0]) == quiet, optimizer
    assert leaked("AdamW", "D, gradient only", 1.0) == [0, STEPS]


def test_the_picture_shows_the_curves_and_every_kept_step():
    view = ct.views.two_entries()
    for changed in ({}, {"optimizer": "SGD"}, {"method": "D"}, {"method": "D, gradient only", "decay": 1.0}):
        settings = {**view.defaults, **changed}
        figure, _ = view.draw(**settings)
        followed = list(entries_view.follow(*settings.values()).values())
        head, *panels = figure.axes
        assert [len(marks.get_segments()) for marks in head.collections] == [2 * int(e["kept"].sum()) for e in followed]
        for axis, name in zip(panels, ("m", "v", "step", "weight"), strict=True):
            curves = [torch.tensor(line.get_ydata()) for line in axis.lines if len(line.get_ydata()) == STEPS]
            wanted = [entry[name] for entry in followed if entry[name] is not None]
            assert len(curves) == len(wanted)
            assert all(torch.equal(a.double(), b) for a, b in zip(curves, wanted, strict=True))
            low, high = axis.get_ylim()
            assert all(low < curve.min() and curve.max() < high for curve in curves)
            assert bool(axis.texts) == (len(wanted) < 2)  # says that there is none


def test_no_picture_warns():
    view = ct.views.two_entries()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, choice in view.controls.items():
            for value in choice.options:
                assert png(view.draw(**{**view.defaults, name: value})[0]).startswith(b"\x89PNG")
