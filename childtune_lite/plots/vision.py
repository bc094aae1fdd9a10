"""Figures of notebook 08: a small vision transformer, its digits, and where its child lies."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ..recorder import NUMBERED_BLOCK
from .child import kept_by
from .style import BLUE, BROWN, DIVERGING, SEQUENTIAL, figure, styled

# Which part of a ViT a parameter belongs to; the first that matches. Names of transformers 4 and 5.
_PARTS = (
    ("patch filters", r"patch_embeddings"), ("positions", r"position_embeddings"), ("class token", r"cls_token"),
    ("head", r"^classifier"), ("LayerNorm", r"layernorm"), ("query", r"q_proj|query"), ("key", r"k_proj|key"),
    ("value", r"v_proj|value"), ("attention out", r"o_proj|attention\.output"),
    ("MLP", r"mlp|intermediate|output\.dense"),
)  # fmt: skip


def vit_part(name: str) -> tuple[str, int | None]:
    """The part of a vision transformer that a parameter belongs to, and its block's number: ("key", 2).

    None stands for a parameter outside the numbered blocks: ("patch filters", None).
    """
    block = NUMBERED_BLOCK.search(name)
    part = next((part for part, pattern in _PARTS if re.search(pattern, name)), "other")
    return part, int(block[1]) if block else None


def vit_shares(child) -> dict[tuple[str, int | None], float]:
    """{(part, block): the share of its entries that is in the child}, weights and biases together."""
    return kept_by(child, vit_part)


@styled
def digit_patches(images: Sequence, labels: Sequence[int], patch: int = 2):
    """Digits as the network gets them: pixels in grey, the borders of the patches as lines.

    See: one patch alone, four pixels, says almost nothing; the network must put sixteen of them together.
    """
    fig, axes = figure(1, len(images), 1.25, squeeze=False)
    for axis, image, label in zip(axes[0], images, labels, strict=True):
        pixels = np.asarray(image, dtype=float)
        height, width = pixels.shape
        axis.imshow(pixels, cmap="gray_r", extent=(0, width, height, 0), interpolation="nearest")
        for at in range(0, width + 1, patch):
            axis.axvline(at, color=BLUE, linewidth=0.8)
        for at in range(0, height + 1, patch):
            axis.axhline(at, color=BLUE, linewidth=0.8)
        axis.set(title=str(int(label)), xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    return fig


@styled
def vit_child(shares: Mapping[tuple[str, int | None], float], p: float):
    """Where the child lies. Left: parts of the blocks, block by block. Right: what stands outside the blocks.

    `shares` as `vit_shares` gives it; `p` is the share over all, a dashed line on the right.

    See: the share of each part's entries that trains, 0 to 1. Compare blocks with each other, and parts with p.
    """
    blocks = sorted({block for _, block in shares if block is not None})
    inside = list(dict.fromkeys(part for part, block in shares if block is not None))
    inside.sort(key=[part for part, _ in _PARTS].index)
    outside = [part for part, block in shares if block is None]
    grid = np.array([[shares[part, block] for block in blocks] for part in inside])
    fig, (left, right) = figure(1, 2, 1.0 + 0.3 * max(len(inside), len(outside)), width_ratios=[3, 2])
    image = left.imshow(grid, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(grid):
        left.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=9,
                  color="black" if share > 0.55 else "white")  # fmt: skip
    left.set_xticks(range(len(blocks)), [f"block {block}" for block in blocks])
    left.set_yticks(range(len(inside)), inside)
    left.spines[:].set_visible(False)
    left.set_title("Inside the blocks")
    fig.colorbar(image, ax=left, label="share that trains")
    right.barh(range(len(outside)), [shares[part, None] for part in outside], color=BLUE)
    for row, part in enumerate(outside):
        share = shares[part, None]
        right.text(share, row, f" {share:.2f}", va="center", fontsize=9)
    right.axvline(p, color=BROWN, linestyle="--", linewidth=1.5, label="all parts together")
    right.set_yticks(range(len(outside)), outside)
    right.set(xlim=(0, 1.2), ylim=(len(outside) - 0.4, -0.6), title="Outside them")
    right.set_xticks([0, 0.5, 1])
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12))
    return fig


@styled
def patch_maps(maps: Mapping[str, object], digits: int = 2):
    """One square map a title: a number for each patch, at the patch's place in the image; each has its own scale.

    See: which patches stand out in one map, and whether they do in the next.
    """
    fig, axes = figure(1, len(maps), 2.7, squeeze=False)
    for axis, (title, values) in zip(axes[0], maps.items(), strict=True):
        grid = np.asarray(values, dtype=float)
        low, high = grid.min(), max(grid.max(), grid.min() + 1e-12)
        axis.imshow(grid, cmap=SEQUENTIAL, vmin=low, vmax=high)
        for (row, column), value in np.ndenumerate(grid):
            axis.text(column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=9,
                      color="black" if value > low + 0.55 * (high - low) else "white")  # fmt: skip
        axis.set(title=title, xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    return fig


@styled
def filters_before_after(before: object, after: object, count: int = 12):
    """The patch filters that moved most: above as they were, in the middle tuned, below the difference.

    `before`, `after`: (filters, height, width). All panels share one scale, so a pale third row means little change.

    See: do the filters keep their pattern, or do they become others?
    """
    before, after = (np.asarray(values, dtype=float) for values in (before, after))
    moved = np.sqrt(((after - before) ** 2).sum((1, 2)))
    chosen = np.argsort(-moved, kind="stable")[:count]
    reach = max(np.abs(before[chosen]).max(), np.abs(after[chosen]).max(), 1e-12)
    fig, axes = figure(3, len(chosen), 2.3, squeeze=False)
    for row, (name, values) in enumerate({"before": before, "after": after, "change": after - before}.items()):
        for column, which in enumerate(chosen):
            axis = axes[row][column]
            image = axis.imshow(values[which], cmap=DIVERGING, vmin=-reach, vmax=reach)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(True)
        axes[row][0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    fig.colorbar(image, ax=axes, label="weight", pad=0.01)
    return fig
