"""The figures of notebook 02's widgets: the cloud of updates, and the walk out of the sharp minimum."""

import functools
import math

import torch

from ..style import BLUE, PINK, SEQUENTIAL, styled
from ..updates import KEPT, ellipse
from .canvas import canvas, place, ticks

_SHOWN = 1500  # points of a cloud that are drawn
_SIZES = (2.6, 2.8, 3.2, 3.4)  # of the markers of KEPT
_REACH = [m * 10.0**e for e in range(-2, 4) for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)]
_MAP = (-3.6, 8.4, -4.2, 4.2)  # the part of the landscape that is shown


@styled
def cloud_panels(updates, kept, mean, covariance, title: str):
    """Updates of two weights as points under the theorem's ellipse; their moments beside the theorem's.

    Args:
        updates, kept: (pairs, 2), the updates, and whether the mask kept the entry at this step.
        mean, covariance: the theorem's, (2,) and (2, 2).

    See: under SGD measured and theorem agree, whatever the shape of the cloud. Under other optimizers they do not.
    """
    fig = canvas(4.35)
    edge = ellipse(mean, covariance, points=100)
    extent = max(edge.abs().max().item(), torch.quantile(updates[:_SHOWN].abs().max(1).values, 0.997).item())
    reach = next(value for value in _REACH if value >= extent)
    axis = place(fig, 0.72, 0.35, 3.5, 3.5, title)
    axis.plot((-reach, reach, math.nan, 0, 0), (0, 0, math.nan, -reach, reach), color="#CCCCCC", linewidth=0.8)
    points, (first, second) = updates[:_SHOWN], kept[:_SHOWN].T
    kinds = (first & second, first & ~second, ~first & second, ~first & ~second)
    for (_, color, marker), size, kind in reversed(list(zip(KEPT, _SIZES, kinds, strict=True))):  # the rarest on top
        chosen = points[kind]
        if len(chosen) and not chosen.any():  # all at 0: one mark says it better than a thousand
            axis.plot(0, 0, marker, color=color, markersize=8, mec="white", mew=0.6, zorder=3)
        else:
            axis.plot(*chosen.T.tolist(), marker, color=color, markersize=size, mew=0, alpha=0.5)
    axis.plot(*edge.T.tolist(), color="black", linewidth=1.5, zorder=4)
    axis.plot(*mean.tolist(), "+", color="black", markersize=12, mew=2, zorder=5)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="update of weight 1", ylabel="update of weight 2")
    ticks(axis, (-reach, 0, reach), (-reach, 0, reach))
    _draw_moments(fig, updates, mean, covariance)
    _draw_key(fig)
    return fig


def _draw_moments(fig, updates, mean, covariance) -> None:
    axis = place(fig, 5.2, 0.35, 2.05, 1.5, "size of mean and std")
    theory = [v for pair in zip(mean.abs().tolist(), covariance.diagonal().sqrt().tolist(), strict=True) for v in pair]
    found = [v for pair in zip(updates.mean(0).abs().tolist(), updates.std(0).tolist(), strict=True) for v in pair]
    axis.hlines((0, 1, 2, 3), -2.3, 1.6, color="#DDDDDD", linewidth=0.8)
    axis.plot([math.log10(v) for v in theory], (0, 1, 2, 3), "D", color="black", mfc="none", markersize=9, mew=1.4)
    axis.plot([math.log10(v) for v in found], (0, 1, 2, 3), "o", color=PINK, markersize=5, mec="black", mew=0.5)
    axis.set(xlim=(-2.3, 1.6), ylim=(3.5, -0.5))
    ticks(axis, [(e, f"{10.0**e:g}") for e in (-2, -1, 0, 1)], enumerate(("mean 1", "std 1", "mean 2", "std 2")))


def _draw_key(fig) -> None:
    axis = place(fig, 4.6, 2.3, 2.7, 1.95)
    axis.set_axis_off()
    line, hollow = {"color": "black"}, {"color": "black", "mfc": "none"}
    rows = [
        ("above: theorem (SGD)", {"marker": "D", "markersize": 8, "mew": 1.4, **hollow}),
        ("above: measured", {"marker": "o", "color": PINK, "mec": "black", "mew": 0.5}),
        ("theorem (SGD): 2 std", {"marker": "", "linestyle": "-", "linewidth": 1.5, **line}),
        ("theorem (SGD): mean", {"marker": "+", "markersize": 11, "mew": 2, **line}),
        *((label, {"marker": marker, "color": color, "markersize": 6, "mew": 0}) for label, color, marker in KEPT),
    ]
    for y, (label, look) in enumerate(rows):
        axis.plot((0, 0.11, 0.22), (y, y, y), **{"linestyle": "none", "markevery": (1, 2), **look})
        axis.text(0.34, y, label, va="center", fontsize=9.5)
    axis.set(xlim=(0, 2.7), ylim=(len(rows) - 0.5, -0.5))


@functools.lru_cache(maxsize=4)
@torch.no_grad()
def _ground(landscape):
    """The map of the loss as an image in steps of colour, computed once."""
    import matplotlib as mpl

    left, right, bottom, top = _MAP
    y, x = torch.meshgrid(torch.linspace(top, bottom, 210), torch.linspace(left, right, 300), indexing="ij")
    level = (landscape.loss(x, y) / 1.15 * 13).floor().clamp(0, 13) / 13
    colors = mpl.colormaps[SEQUENTIAL](level.numpy())[..., :3]
    return (255 * (0.25 + 0.75 * colors)).astype("uint8")


@styled
def walk_panels(landscape, places, left, curve: tuple, total: int, title: str):
    """Walkers on the map of the loss at one step, and the share that has left the sharp bowl up to this step.

    Args:
        places, left: (walkers, 2) and (walkers,): where they are, and whether they have been outside the dashed circle.
        curve: (steps, shares, lows, highs) up to this step, of `total`.

    See: how soon the curve rises, and where those that left are spread.
    """
    fig = canvas(3.5)
    axis = place(fig, 0.55, 0.35, 3.9, 2.65, title)
    x0, x1, y0, y1 = _MAP
    axis.imshow(_ground(landscape), extent=_MAP, aspect="auto", interpolation="nearest")
    _draw_circle(axis, landscape)
    low, high = torch.tensor([x0 + 0.08, y0 + 0.08]), torch.tensor([x1 - 0.08, y1 - 0.08])
    places = places.clamp(low, high)  # who is off the map stands at its edge
    axis.plot(*places[left].T.tolist(), "x", color=PINK, markersize=4, mew=1.2)
    axis.plot(*places[~left].T.tolist(), ".", color="white", mec="black", mew=0.3, markersize=5)
    axis.text(x1, y1 + 0.14, "× has left", ha="right", va="bottom", fontsize=9.5)
    axis.set(xlim=(x0, x1), ylim=(y0, y1), xlabel="weight 1", ylabel="weight 2")
    ticks(axis, ((0, "0 sharp"), (landscape.distance, f"{landscape.distance:g} flat"), 6), (-3, 0, 3))
    steps, shares, lows, highs = curve
    share = place(fig, 5.2, 0.35, 2.1, 2.4, "share that has left")
    share.fill_between(steps, lows, highs, color=BLUE, alpha=0.25, lw=0)
    share.plot(steps, shares, color=BLUE, linewidth=2)
    share.plot(steps[-1], shares[-1], "o", color=BLUE, markersize=6, clip_on=False)
    share.set(xlim=(0, total), ylim=(0, 1.02), xlabel="step")
    ticks(share, (0, total // 2, total), (0, 0.5, 1))
    return fig


def _draw_circle(axis, landscape) -> None:
    """Where both bowls are equally low: the points whose distances from the two middles have a fixed ratio."""
    ratio = landscape.flat / (landscape.sharp - landscape.flat)
    middle, radius = -ratio * landscape.distance, landscape.distance * math.sqrt(ratio + ratio**2)
    turn = [i * math.pi / 50 for i in range(101)]
    axis.plot(
        [middle + radius * math.cos(a) for a in turn], [radius * math.sin(a) for a in turn], "--", color="black",
        linewidth=1.3,
    )  # fmt: skip
