"""Figures of notebook 09: what a training step costs, in time and in memory."""

import statistics

from .style import BLUE, BROWN, GREY, ORANGE, SKY, figure, styled

# Each part has its colour and its hatch.
PART_LOOKS = {
    "weights": (GREY, ""),
    "gradients": (SKY, "////"),
    "moments": (BLUE, ""),
    "child": (ORANGE, "...."),
    "activations": ("white", "xxxx"),
}
PART_NAMES = {"moments": "AdamW's moments", "child": "child (indices, copies)"}


@styled
def bytes_by_part(rows: dict[str, dict[str, float]]):
    """One bar a recipe: the bytes of a training step, split into parts, in MiB.

    Args:
        rows: {recipe: {part: bytes}}; parts as in `memory.training_bytes`, and "activations".

    See: which part shrinks with the child, which one only in the lean mode, and which never.
    """
    fig, axis = figure(1, 1, 1.3 + 0.42 * len(rows))
    places = list(range(len(rows)))
    left = [0.0] * len(rows)
    for part in next(iter(rows.values())):
        sizes = [row[part] / 2**20 for row in rows.values()]
        color, hatch = PART_LOOKS[part]
        axis.barh(
            places, sizes, left=left, color=color, edgecolor="white" if hatch != "xxxx" else BROWN, hatch=hatch,
            label=PART_NAMES.get(part, part),
        )  # fmt: skip
        left = [a + b for a, b in zip(left, sizes, strict=True)]
    for place, total in zip(places, left, strict=True):
        axis.text(total, place, f" {total:.0f} MiB", va="center", fontsize=9)
    axis.set(yticks=places, yticklabels=list(rows), xlabel="MiB", xlim=(0, 1.13 * max(left)))
    axis.invert_yaxis()
    fig.legend(loc="outside upper center", ncols=5, columnspacing=1.0, handlelength=1.6)
    return fig


@styled
def step_ratios(ratios: dict[str, list[float]]):
    """The time of an optimizer step as a multiple of the plain one's: each measured step a dot, the median a stroke.

    See: the axis is logarithmic. 1, the dotted line, is the optimizer without a mask.
    """
    fig, axis = figure(1, 1, 0.9 + 0.5 * len(ratios))
    for place, values in enumerate(ratios.values()):
        middle = statistics.median(values)
        axis.plot(values, [place] * len(values), "o", color=SKY, markersize=6, alpha=0.7)
        axis.plot([middle], [place], "|", color=BLUE, markersize=20, markeredgewidth=3)
        axis.text(middle, place - 0.3, f"{middle:.1f}x", ha="center", va="bottom", fontsize=9.5)
    axis.axvline(1, color="black", linewidth=1, linestyle=":")
    axis.set_yticks(range(len(ratios)), list(ratios))
    axis.set_ylim(len(ratios) - 0.5, -0.75)
    top = max(max(values) for values in ratios.values())
    axis.set(xscale="log", xlim=(0.5, 2.2 * top), xlabel="time of a step, as a multiple of plain AdamW's")
    marks = [m for m in (0.5, 1, 2, 5, 10, 20, 50, 100) if m <= 2.2 * top]
    axis.set_xticks(marks, [f"{m:g}" for m in marks])
    axis.minorticks_off()
    return fig
