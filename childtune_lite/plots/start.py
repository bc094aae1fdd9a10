"""Figures of notebook 00: one minute of training, which entries moved, what the paper reports."""

import numpy as np

from .style import GREY, PALE, RECIPE_STYLE, figure, styled


@styled
def one_minute(losses, steps_per_epoch, before, after, chance=0.5):
    """A short training run.

    Left: the loss at each step (dots) and its mean over each epoch (bars). Right: the accuracy on sentences that the
    run did not see, before and after, against guessing.
    """
    fig, (left, right) = figure(1, 2, height=2.9, width_ratios=(1.9, 1))
    losses = np.asarray(losses, dtype=float)
    left.plot(np.arange(1, len(losses) + 1), losses, ".", color=PALE, label="one step")
    for start in range(0, len(losses), steps_per_epoch):
        part = losses[start : start + steps_per_epoch]
        left.plot(
            (start + 0.5, start + len(part) + 0.5),
            (part.mean(),) * 2,
            color=RECIPE_STYLE["F"]["color"],
            lw=3,
            label="mean of an epoch" if start == 0 else None,
        )
    left.set(xlabel="step", ylabel="loss", title="Loss on the training sentences", ylim=(0, losses.max() * 1.3))
    left.legend(loc="upper right", ncols=2, handletextpad=0.4)
    bars = right.bar(
        ["before", "after"], [before, after], color=[PALE, RECIPE_STYLE["F"]["color"]], width=0.6, hatch=["//", ""]
    )
    right.bar_label(bars, fmt="%.2f", padding=2, fontsize=9)
    right.plot((-0.5, 1.5), (chance, chance), color="black", ls="--", lw=1)
    right.text(1.55, chance, "guessing", ha="left", va="center", fontsize=9)
    right.set(ylim=(0, 1.08), xlim=(-0.6, 2.5), ylabel="accuracy", title="Unseen sentences")
    return fig


@styled
def moved_entries(panels):
    """Which entries of a weight matrix are no longer what the parent had.

    panels: {title: boolean matrix, True where an entry has moved}. Dark cells have moved, white ones are exactly the
    parent's. The share that moved stands under each panel.
    """
    fig, axes = figure(1, len(panels), height=3.2, squeeze=False)
    for ax, (title, moved) in zip(axes[0], panels.items(), strict=True):
        moved = np.asarray(moved, dtype=float)
        ax.imshow(moved, cmap="Greys", vmin=0, vmax=1.2, interpolation="nearest")
        share = moved.mean()
        text = f"{share:.0%} moved" if share in (0, 1) or 0.01 <= share <= 0.99 else f"{share:.2%} moved"
        ax.set(title=title, xlabel=text, xticks=[], yticks=[])
        for side in ax.spines.values():
            side.set(visible=True, color=GREY)
    return fig


@styled
def gains(rows, promised):
    """Points gained over plain fine-tuning, one line a network.

    rows: {network: {"F": gain, "D": gain}}. promised: (lowest, highest) as the abstract says; shaded. A marker to the
    left of the shaded band is a gain below the promise; to the left of the line at 0, a loss.
    """
    fig, ax = figure(height=2.9)
    low, high = promised
    ax.axvspan(low, high, facecolor="#F2F2F2", edgecolor="#DADADA", hatch="//", lw=0)
    ax.axvline(0, color="black", lw=1)
    for y, values in enumerate(rows.values()):
        for recipe, shift in (("F", -0.17), ("D", 0.17)):
            style = {k: v for k, v in RECIPE_STYLE[recipe].items() if k != "linestyle"}
            ax.plot([values[recipe]], [y + shift], ls="none", ms=8, label=f"Child-Tuning_{recipe}" * (y == 0), **style)
            ax.annotate(
                f"{values[recipe]:+.2f}",
                (values[recipe], y + shift),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85},
            )
    ends = [value for values in rows.values() for value in values.values()] + [0, low, high]
    ax.set(
        yticks=range(len(rows)),
        yticklabels=list(rows),
        ylim=(len(rows) - 0.4, -1.0),
        xlim=(min(ends) - 0.5, max(ends) + 1.0),
        xlabel="points gained over plain fine-tuning, average of four tasks",
    )
    ax.text((low + high) / 2, -0.72, "what the abstract promises", ha="center", va="center", fontsize=9,
            bbox={"boxstyle": "square,pad=0.2", "fc": "#F2F2F2", "ec": "none"})  # fmt: skip
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return fig
