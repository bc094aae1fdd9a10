"""The figure of notebook 07's widget: what fewer examples cost, and whether an arm costs less."""

import math

from ..study import forest_row
from ..style import SKY, recipe_style, styled
from ..training import display_name
from .canvas import canvas, place, ticks


@styled
def example_panels(curves: dict[str, dict[int, dict[int, float]]], n: int, baseline: str, ylabel: str):
    """Left: score against the number of examples, a line an arm through the means, a mark a run; a band at `n`.
    Right: at n, each arm minus the baseline, pair by pair, with the mean and its 95% t interval.

    `curves`: {arm: {number of examples: {seed: score}}}, the same numbers and seeds for all arms.
    """
    fig = canvas(3.1)
    left, right = place(fig, 0.7, 0.6, 3.7, 1.95), place(fig, 5.6, 0.6, 1.75, 1.95)
    numbers = sorted(next(iter(curves.values())))
    places = [math.log10(x) for x in numbers]
    for k, (arm, points) in enumerate(curves.items()):
        look, shift = recipe_style(arm), 0.02 * (k - (len(curves) - 1) / 2)
        xs = [x + shift for x in places]
        left.plot(xs, [_mean(points[x].values()) for x in numbers], color=look["color"], linestyle=look["linestyle"],
                  linewidth=2, label=display_name(arm))  # fmt: skip
        for x, number in zip(xs, numbers, strict=True):
            runs = list(points[number].values())
            left.plot([x] * len(runs), runs, linestyle="", marker=look["marker"], color=look["color"], markersize=4)
    left.axvline(math.log10(n), color=SKY, linewidth=10, alpha=0.3, zorder=0)
    scores = [s for points in curves.values() for runs in points.values() for s in runs.values()]
    low, high = 5 * math.floor((min(scores) - 1) / 5), 5 * math.ceil((max(scores) + 1) / 5)
    left.set(xlim=(places[0] - 0.1, places[-1] + 0.1), ylim=(low, high), xlabel="training examples", ylabel=ylabel)
    step = 5 if high - low <= 30 else 10
    ticks(left, list(zip(places, [f"{x:,}" for x in numbers], strict=True)), list(range(low, high + 1, step)))
    others = [arm for arm in curves if arm != baseline]
    gaps = {(a, k): [v - curves[baseline][k][s] for s, v in curves[a][k].items()] for a in others for k in numbers}
    for y, arm in enumerate(others):
        forest_row(right, y, gaps[arm, n], recipe_style(arm))
    right.axvline(0, color="black", linewidth=0.8)
    # The same reach at every n, so that moving the slider moves the marks only.
    reach = 5 * max(1, math.ceil(1.2 * max(abs(gap) for row in gaps.values() for gap in row) / 5))
    right.set(xlim=(-reach, reach), ylim=(len(others) - 0.4, -0.6), xlabel=f"points above {display_name(baseline)}")
    ticks(right, [-reach, 0, reach], list(enumerate(display_name(arm) for arm in others)))
    fig.legend(*left.get_legend_handles_labels(), loc="upper center", ncols=len(curves), bbox_to_anchor=(0.33, 1.0))
    fig.text(0.863, 0.955, f"at {n:,} examples", ha="center", va="center", fontsize=9.5)
    return fig


def _mean(values) -> float:
    return sum(values) / len(values)
