"""Figures of notebook 03, second half: where the child lies in the network, and how children overlap."""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from ..recorder import NUMBERED_BLOCK
from .style import BLUE, BROWN, GREEN, GREY, MARKERS, SEQUENTIAL, figure, styled

_COLORS = (BLUE, BROWN, GREEN, GREY)
_BLOCK = re.compile(NUMBERED_BLOCK.pattern + "(.+)$")  # with the rest of the name
_SHORT = [("attention.self.", ""), ("attention.output.dense", "attention out"), ("attention.output.", "attention "),
          ("intermediate.dense", "FFN up"), ("output.dense", "FFN down"), ("output.LayerNorm", "FFN LayerNorm"),
          (".weight", ""), (".bias", " bias")]  # fmt: skip


def short_kind(name: str) -> str:
    """A parameter's name without its block and number, short enough for an axis: "query", "FFN up bias"."""
    found = _BLOCK.search(name)
    kind = found[2] if found else name
    for long, short in _SHORT:
        kind = kind.replace(long, short)
    return kind.strip()


def kept_by(child, group) -> dict:
    """{group: the share of its entries that is in the child}; `group` gives a parameter's group from its name."""
    kept, size = {}, {}
    for name, index in child.indices.items():
        of = group(name)
        kept[of] = kept.get(of, 0) + index.numel()
        size[of] = size.get(of, 0) + math.prod(child.shapes[name])
    return {of: kept[of] / size[of] for of in kept}


def keep_rates(child) -> dict[str, float]:
    """{kind of tensor: the share of its entries, over all blocks, that is in the child}."""
    return kept_by(child, short_kind)


@styled
def child_map(shares: Mapping[str, float], p: float):
    """Where the child lies: the share of each tensor's entries that trains, kinds of tensor against blocks.

    See: bright rows train almost whole, dark rows hardly at all. `shares` is {parameter name: share}; `p` is the share
    over all of them, marked on the colour bar.
    """
    found = {name: _BLOCK.search(name) for name in shares}
    blocks = sorted({int(m[1]) for m in found.values() if m})
    kinds = list(dict.fromkeys(short_kind(name) for name, m in found.items() if m))
    grid = np.full((len(kinds), len(blocks)), np.nan)
    for name, m in found.items():
        if m:
            grid[kinds.index(short_kind(name)), blocks.index(int(m[1]))] = shares[name]
    fig, ax = figure(height=1.2 + 0.27 * len(kinds))
    image = ax.imshow(grid, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(blocks)), [str(b) for b in blocks])
    ax.set_yticks(range(len(kinds)), kinds)
    ax.set_xlabel("block of the encoder (0: next to the input)")
    ax.spines[:].set_visible(False)
    if len(blocks) <= 12:
        for (row, column), share in np.ndenumerate(grid):
            if not np.isnan(share):
                ink = "black" if share > 0.55 else "white"
                ax.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=9, color=ink)
    bar = fig.colorbar(image, ax=ax, label="share of the entries that trains")
    bar.ax.axhline(p, color="white", linewidth=2)
    return fig


@styled
def child_matrices(masks: Mapping[str, object], block: int = 8):
    """One panel a matrix: the share that trains in each square of `block` x `block` entries.

    See: stripes. Whole rows (output units) and columns (input units) train or rest together.
    """
    fig, axes = figure(1, len(masks), height=3.4, squeeze=False)
    for ax, (title, mask) in zip(axes[0], masks.items(), strict=True):
        m = np.asarray(mask, dtype=float)
        rows, columns = (max(1, size // block) for size in m.shape)
        size = min(block, m.shape[0]), min(block, m.shape[1])
        shares = m[: rows * size[0], : columns * size[1]].reshape(rows, size[0], columns, size[1]).mean((1, 3))
        image = ax.imshow(
            shares, cmap=SEQUENTIAL, vmin=0, vmax=1, extent=(0, m.shape[1], m.shape[0], 0), interpolation="nearest"
        )
        ax.set(title=title, xlabel="input unit")
    axes[0][0].set_ylabel("output unit")
    fig.colorbar(image, ax=list(axes[0]), label=f"share of {block} x {block} entries", shrink=0.8)
    return fig


@styled
def child_overlaps(rows: Mapping[str, Sequence[float]], shares: Sequence[float]):
    """Overlap of children with the original child: a row a comparison, a marker a size of the child.

    See: how far each marker lies from the dotted line of its colour, which is what two random children share.
    `rows` is {label: overlaps, one for each of `shares`}; `shares` are the p of the children.
    """
    fig, ax = figure(height=1.2 + 0.31 * len(rows))
    places = np.arange(len(rows))
    for i, p in enumerate(shares):
        color = _COLORS[i % len(_COLORS)]
        values = [row[i] for row in rows.values()]
        ax.plot(
            values,
            places,
            linestyle="",
            marker=MARKERS[i % 6],
            markersize=max(4, 9 - 4 * i),
            color=color,
            label=f"$p_D$ = {p:g}",
        )
        ax.axvline(p, color=color, linestyle=":", linewidth=1.5, label=f"chance at {p:g}")
    ax.set_yticks(places, list(rows))
    ax.invert_yaxis()
    ax.set(xlim=(-0.03, 1.03), xlabel="share of the original child that the other child holds too")
    ax.grid(axis="y", color="#EEEEEE")
    ax.set_axisbelow(True)
    fig.legend(loc="outside upper center", ncols=2 * len(shares))
    return fig
