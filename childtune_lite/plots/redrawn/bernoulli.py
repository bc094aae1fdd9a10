"""The figure of notebook 01's mask explorer."""

import math

import torch

from ..style import BLUE, BROWN, DIVERGING, GREY, styled
from .canvas import canvas, place, ticks

NUMBERED = 12  # entries up to which a grid shows its numbers
_LIMITS = [m * 10**e for e in range(5) for m in (1, 2, 5)]
_SIDE, _STEP = 1.74, 1.87  # inches: a grid, and from one grid to the next


@styled
def mask_panels(gradient, mask, average, p: float, count: int, distances: dict[int, float]):
    """Gradient, mask, masked gradient and the average of `count` masked ones as aligned grids; histogram; convergence.

    Args:
        gradient, mask, average: tensors of one shape; more than two dimensions are folded into a matrix.
        distances: {number of masks averaged: distance of their average from the gradient, as a share of its norm}.

    See: the same place in the four grids is the same entry. The fourth grid comes to look like the first.
    """
    grids = [t.detach().float().reshape(t.shape[0], -1) for t in (gradient, mask, average)]
    g, m, average = grids
    fig = canvas(4.6)
    _draw_grids(fig, (g, m, g * m / p, average), p, count)
    _draw_histogram(fig, g.flatten(), (g * m / p).flatten())
    _draw_distances(fig, p, distances)
    return fig


def _draw_grids(fig, grids, p: float, count: int) -> None:
    limit = grids[0].abs().max().item() or 1.0
    signed, kept = {"cmap": DIVERGING, "vmin": -limit, "vmax": limit}, {"cmap": "Greys", "vmin": 0, "vmax": 1.6}
    titles = (
        "gradient g",
        f"m: {int(grids[1].sum())} of {grids[1].numel()} kept",
        f"m · g / p, at p = {p:g}",
        "mean of 1 mask" if count == 1 else f"mean of {count:,} masks",
    )
    axis = place(fig, 0.08, 0.3, 3 * _STEP + _SIDE, _SIDE)
    axis.set_axis_off()
    for i, (title, values) in enumerate(zip(titles, grids, strict=True)):
        left, look = i * _STEP, kept if i == 1 else signed
        axis.text(left, _SIDE + 0.06, title, fontsize=10.5)
        image = axis.imshow(
            values.numpy(), extent=(left, left + _SIDE, 0, _SIDE), aspect="auto", interpolation="nearest", **look
        )
        if values.numel() <= NUMBERED:
            _number(axis, image, values, left)
    axis.vlines([i * _STEP + e for i in range(4) for e in (0, _SIDE)], 0, _SIDE, color="#888888", linewidth=0.8)
    axis.hlines([0, _SIDE] * 4, *zip(*((i * _STEP, i * _STEP + _SIDE) for i in (0, 0, 1, 1, 2, 2, 3, 3)), strict=True),
                color="#888888", linewidth=0.8)  # fmt: skip
    axis.set(xlim=(-0.02, 3 * _STEP + _SIDE + 0.02), ylim=(-0.02, _SIDE + 0.02))


def _number(axis, image, values, left: float) -> None:
    rows, columns = values.shape
    for r, line in enumerate(values.tolist()):
        for c, value in enumerate(line):
            red, green, blue, _ = image.cmap(image.norm(value))
            ink = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black"
            x, y = left + (c + 0.5) * _SIDE / columns, _SIDE - (r + 0.5) * _SIDE / rows
            text = f"{value:g}" if value in (0, 1) else f"{value:.{1 if abs(value) < 99.5 else 0}f}"
            axis.text(x, y, text, ha="center", va="center", fontsize=9, color=ink)


def _draw_histogram(fig, before, after) -> None:
    axis = place(fig, 0.78, 2.62, 3.4, 1.45, "entries, before (line) and after (filled)")
    reach = max(before.abs().max().item(), after.abs().max().item())
    limit = next(value for value in _LIMITS if value >= reach)
    edges = torch.linspace(-limit, limit, 42)
    floor = math.log10(0.4 / before.numel())
    for values, look in ((after, {"fill": True, "color": BLUE, "alpha": 0.65}), (before, {"color": "black"})):
        shares = torch.histogram(values[values != 0], edges)[0] / values.numel()
        axis.stairs(shares.clamp(min=1e-9).log10().clamp(min=floor).numpy(), edges.numpy(), baseline=floor, **look)
    zeros = (after == 0).float().mean().item()
    if zeros:
        width = 2 * limit / 41
        axis.bar(0, math.log10(zeros) - floor, width, floor, facecolor="white", edgecolor=BROWN, hatch="////")
        axis.text(-width, math.log10(zeros), f"exactly 0: {zeros:.0%}", ha="right", va="center", color=BROWN)
    axis.set(xlim=(-limit, limit), ylim=(floor, 0.25), xlabel="value of an entry", ylabel="share")
    ticks(axis, (-limit, 0, limit), [(e, f"{10.0**e:g}") for e in range(math.ceil(floor), 1)])


def _draw_distances(fig, p: float, distances: dict[int, float]) -> None:
    axis = place(fig, 5.0, 2.62, 2.15, 1.45, "distance of the mean from g")
    if p < 1:
        start = 0.5 * math.log10((1 - p) / p)
        axis.plot([0, 4], [start, start - 2], color=GREY, linestyle="--", linewidth=1.5)
        axis.text(3.85, 1.27, "dashed: formula", ha="right", va="top", fontsize=9, color=GREY)
    points = {n: d for n, d in distances.items() if d > 0}
    axis.plot([math.log10(n) for n in points], [math.log10(d) for d in points.values()], "o", color=BROWN)
    if not points:
        axis.text(2, -0.75, "0: nothing is dropped", ha="center", va="center")
    axis.set(xlim=(-0.15, 4), ylim=(-2.9, 1.4), xlabel="masks averaged", ylabel="share of |g|")
    ticks(axis, [(e, f"{10**e:,}") for e in (0, 2, 4)], [(e, f"{10.0**e:g}") for e in (-2, -1, 0, 1)])
