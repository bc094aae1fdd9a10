"""The figure of notebook 03's widget: the child on the map of the network."""

import math

import numpy as np

from ...recorder import NUMBERED_BLOCK
from ..child import short_kind
from ..style import BLUE, BROWN, PALE, SEQUENTIAL, styled
from .canvas import canvas, place, ticks

_ROW, _MAP = 0.232, 1.7  # inches: a row of the map, and its width
_FILLED = {"fill": True, "facecolor": BLUE, "alpha": 0.65, "hatch": "///", "edgecolor": "white"}


@styled
def child_panels(
    shares: dict[str, float | None],
    rates: dict[str, float],
    p: float,
    edges,
    counts,
    threshold: float | None,
    overlap: float,
    other: str,
):
    """Where the child lies, where its threshold lies, and what it shares with another task's child.

    Args:
        shares: {parameter name: share of its entries that trains}; None outside the masked scope.
        rates: {kind of tensor: the same over all blocks}.
        edges, counts: histogram of the scores over powers of ten, as shares of all scores.
        threshold: the lowest score in the child; None if all train.
        overlap: the share of the child that the child for the task `other` holds too. Chance is p.

    See: bright rows train almost whole, dark rows hardly at all; their rate stands beside their name.
    """
    kinds = list(dict.fromkeys(map(short_kind, shares)))
    fig = canvas(0.95 + _ROW * max(len(kinds), 13))
    _draw_map(fig, shares, kinds, rates, p)
    _draw_scores(fig, edges, counts, threshold)
    _draw_overlap(fig, p, overlap, other)
    return fig


def _draw_map(fig, shares, kinds: list[str], rates, p: float) -> None:
    """One axis without ticks, in units of a row and a block: most of the time would go into making ticks."""
    block = {name: int(NUMBERED_BLOCK.search(name)[1]) for name in shares}
    blocks = sorted(set(block.values()))
    high, wide = len(kinds), len(blocks)
    grid = np.full((high, wide), np.nan)
    for name, share in shares.items():
        grid[kinds.index(short_kind(name)), blocks.index(block[name])] = np.nan if share is None else share
    axis = place(fig, 2.2, 0.35, _MAP + 0.34, _ROW * high)
    axis.set_axis_off()
    axis.text(0, -0.3, "share that trains", fontsize=10.5)
    axis.fill([0, wide, wide, 0], [0, 0, high, high], color="#E4E4E4", zorder=-1)
    look = {"cmap": SEQUENTIAL, "vmin": 0, "vmax": 1, "aspect": "auto", "interpolation": "nearest"}
    axis.imshow(grid, extent=(0, wide, high, 0), **look)
    inch = wide / _MAP
    small = {"fontsize": 9, "va": "center"}
    for row, kind in enumerate(kinds):
        rate = f"{rates[kind]:.2f}" if kind in rates else "     –"
        axis.text(-0.06 * inch, row + 0.5, f"{kind}   {rate}", ha="right", **small)
    for column in range(0, wide, math.ceil(wide / 8)):
        axis.text(column + 0.5, high + 0.55, str(blocks[column]), ha="center", **small)
    axis.text(wide / 2, high + 1.5, "block (0: next to the input)", ha="center", va="center")
    left_out = [row for row, kind in enumerate(kinds) if kind not in rates]
    if left_out:
        middle = sum(left_out) / len(left_out) + 0.5
        axis.text(wide / 2, middle, "outside the scope:\ntrains whole", ha="center", va="center")
    bar = wide + 0.18 * inch, wide + 0.32 * inch
    axis.imshow(np.linspace(0, 1, 64)[:, None], extent=(*bar, 0, high), **look)
    for share in (0, 0.5, 1):
        axis.text(bar[1] + 0.06 * inch, high * (1 - share), f"{share:g}", **small)
    axis.plot(bar[0] - 0.06 * inch, high * (1 - p), ">", color="black", clip_on=False)
    axis.set(xlim=(0, wide + 0.34 * inch), ylim=(high, 0))


def _draw_scores(fig, edges, counts, threshold: float | None) -> None:
    axis = place(fig, 4.85, 0.35, 2.45, 1.8, "scores (filled: the child)")
    axis.stairs(counts, edges, color="black", linewidth=1)
    start = edges[0] if threshold is None else max(edges[0], math.log10(threshold or 1e-45))
    first = min(max(int(np.searchsorted(edges, start, side="right")) - 1, 0), len(counts) - 1)
    inside = np.concatenate([[start], edges[first + 1 :]])
    axis.stairs(counts[first:], inside, **_FILLED)
    if threshold is not None:
        axis.axvline(start, color=BROWN, linewidth=2)
    line = "no threshold: all train" if threshold is None else "line: the threshold"
    high = 1.08 * float(max(counts))
    axis.set(xlim=(edges[0], edges[-1]), ylim=(0, high), xlabel=f"score ({line})", ylabel="entries")
    powers = range(math.ceil(edges[0]), math.floor(edges[-1]) + 1)
    ticks(axis, [(e, f"1e{e}") for e in powers[:: math.ceil(len(powers) / 4)]])
    axis.set_yticks([])


def _draw_overlap(fig, p: float, overlap: float, other: str) -> None:
    axis = place(fig, 4.85, 3.4, 2.45, 0.32)
    axis.set_axis_off()
    axis.text(0, 1.35, f"shared with the child for\n{other}: {overlap:.2f}", fontsize=10.5)
    axis.plot([0, 1, 1, 0, 0], [0, 0, 1, 1, 0], color=PALE, linewidth=1)
    axis.stairs([1], [0, overlap], baseline=0, **_FILLED)
    axis.plot([p, p], [-0.2, 1.1], color=BROWN, linewidth=2, linestyle="--")
    for share in (0, 0.5, 1):
        axis.text(share, -0.3, f"{share:g}", fontsize=9, ha="center", va="top")
    axis.text(0.5, -1.05, f"dashed: chance, {p:g}", ha="center", va="top")
    axis.set(xlim=(-0.005, 1.02), ylim=(-0.2, 1.15))
