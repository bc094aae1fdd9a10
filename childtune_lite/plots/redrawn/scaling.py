"""The figure of notebook 09's memory calculator."""

from ..scaling import PART_LOOKS, PART_NAMES
from ..style import BROWN, styled
from .canvas import canvas, place, ticks

CARDS = (16, 24, 80)  # GiB: memory of common GPUs


@styled
def memory_bars(rows: dict[str, dict[str, int]]):
    """One bar a recipe, split into parts, in GiB; dashed lines where a common GPU is full. Activations come on top.

    `rows`: {recipe: {part: bytes}}, parts as in `memory.training_bytes`.
    """
    fig = canvas(2.85)
    axis = place(fig, 0.85, 0.62, 6.0, 1.55)
    totals = [sum(row.values()) / 2**30 for row in rows.values()]
    reach = 1.18 * max(totals)
    left = [0.0] * len(rows)
    for part in next(iter(rows.values())):
        sizes = [row[part] / 2**30 for row in rows.values()]
        color, hatch = PART_LOOKS[part]
        axis.barh(range(len(rows)), sizes, left=left, color=color, hatch=hatch, edgecolor="white",
                  label=PART_NAMES.get(part, part))  # fmt: skip
        left = [a + b for a, b in zip(left, sizes, strict=True)]
    for row, total in enumerate(totals):
        axis.text(total, row, f" {total:.3g}", va="center", fontsize=9.5)
    near = 0.13 * reach  # a label's width
    for card in (c for c, smaller in zip(CARDS, (-reach, *CARDS), strict=False) if c < reach and c - smaller > near):
        axis.axvline(card, color=BROWN, linestyle="--", linewidth=1.2, zorder=0)
        axis.text(card, -0.62, f"{card} GiB card", ha="center", va="bottom", fontsize=9, color=BROWN)
    axis.set(xlim=(0, reach), ylim=(len(rows) - 0.5, -0.55), xlabel="GiB, without activations")
    step = next(s for s in (m * 10.0**e for e in range(-4, 4) for m in (1, 2, 5)) if reach / s <= 6)
    ticks(axis, [step * i for i in range(int(reach / step) + 1)], list(enumerate(rows)))
    fig.legend(loc="upper center", ncols=4, columnspacing=1.2, handlelength=1.8, bbox_to_anchor=(0.5, 1.0))
    return fig
