"""Figures of notebook 05, second half: runs compared in pairs, and what such a comparison can see."""

import math

from ..evidence import detectable_difference, paired_interval
from .style import BLUE, BROWN, GREEN, GREY, ORANGE, PINK, figure, recipe_style, styled
from .training import display_name, legend_above


@styled
def paired_runs(scores: dict[str, dict[int, float]], baseline: str = "vanilla", chance: float | None = 0.5):
    """Every run as a point. `scores`: {recipe: {seed: score in 0 .. 1}}; the same seeds for every recipe.

    See, left: the runs of one seed are joined by a line; a bar marks each recipe's mean. If the lines cross, the seed
    matters as much as the recipe. Right: the paired difference from `baseline` in points, run by run, with its mean
    and its 95% t interval. An interval that holds 0 allows no verdict.
    """
    recipes, seeds = list(scores), list(next(iter(scores.values())))
    fig, (left, right) = figure(1, 2, 3.2, width_ratios=[1, 1])
    for k, seed in enumerate(seeds):
        left.plot(
            range(len(recipes)), [scores[r][seed] for r in recipes], color="#999999", linewidth=1,
            linestyle=("-", "--", ":", "-.")[k % 4], label=f"seed {seed}",
        )  # fmt: skip
    for x, recipe in enumerate(recipes):
        look = recipe_style(recipe)
        values = [scores[recipe][seed] for seed in seeds]
        left.plot([x] * len(values), values, linestyle="", marker=look["marker"], color=look["color"], markersize=7)
        left.plot([x - 0.2, x + 0.2], [sum(values) / len(values)] * 2, color=look["color"], linewidth=3)
    left.set_xticks(range(len(recipes)), [_wrapped(r) for r in recipes])
    left.set(ylabel="validation accuracy", title="Each run, joined by seed", xlim=(-0.4, len(recipes) - 0.6))
    if chance is not None:
        left.axhline(chance, color=GREEN, linestyle=(0, (1, 2)), linewidth=2, label="chance")
    left.margins(y=0.12)
    others = [r for r in recipes if r != baseline]
    for x, recipe in enumerate(others):
        look = recipe_style(recipe)
        differences = [100 * (scores[recipe][seed] - scores[baseline][seed]) for seed in seeds]
        mean, low, high = paired_interval(differences)
        places = [x - 0.12 + 0.08 * k for k in range(len(seeds))]  # side by side, so that equal ones are seen
        right.plot(places, differences, linestyle="", marker=look["marker"], color=look["color"])
        if math.isfinite(low):
            right.errorbar(
                x + 0.05 + 0.08 * len(seeds),
                mean,
                yerr=[[mean - low], [high - mean]],
                fmt="_",
                color=look["color"],
                capsize=5,
                markersize=12,
            )
    right.axhline(0, color="black", linewidth=0.8)
    right.set_xticks(range(len(others)), [_wrapped(r) for r in others])
    right.set(title=f"Minus {display_name(baseline)}: 95% interval", ylabel="points", xlim=(-0.5, len(others) - 0.5))
    legend_above(fig, left)
    return fig


def _wrapped(recipe: str) -> str:
    return display_name(recipe).replace(", ", ",\n")


@styled
def detectable_curve(sd: float, n: int | None = None, effects: dict[str, float] | None = None, largest: int = 100):
    """What a paired comparison can see: the smallest detectable difference against the number of seeds.

    See: the curve falls fast at first, then only with the square root of the number of seeds. A horizontal line is an
    effect that someone claims; it can be seen only to the right of where the curve crosses it. A dot marks `n`.
    """
    seeds = sorted({*range(2, 21), *range(20, largest + 1, 5), *([n] if n else [])})
    curve = [detectable_difference(k, sd) for k in seeds]
    fig, axis = figure(1, 1, 3.0)
    axis.loglog(seeds, curve, color=BLUE, linewidth=2)
    for (name, effect), style in zip((effects or {}).items(), ("--", ":", "-."), strict=False):
        axis.axhline(effect, color=BROWN, linestyle=style, linewidth=1.2)
        axis.annotate(
            f"{name}: {effect:g}", (2, effect), xytext=(0, 3), textcoords="offset points", va="bottom", fontsize=9
        )
    if n:
        axis.plot(n, detectable_difference(n, sd), marker="o", color=ORANGE, markeredgecolor="black", markersize=9)
        axis.annotate(f"{n} seeds", (n, detectable_difference(n, sd)), xytext=(8, 4), textcoords="offset points")
    axis.set_xticks([x for x in (2, 3, 5, 10, 20, 50, 100, 200, 500) if x <= largest], minor=False)
    axis.set_xticks([], minor=True)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_yticks([y for y in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if min(curve) / 2 <= y <= max(curve) * 1.2])
    axis.set_yticks([], minor=True)
    axis.set(xlabel="paired seeds", ylabel="points", title=f"Smallest difference seen 4 times in 5 (sd {sd:g} points)")
    return fig


@styled
def gains_by_task(gains: dict[str, dict[str, float]], low: float | None = None, high: float | None = None):
    """Published gains: one row a model, one point a task, a diamond for the mean; a band for the range that is claimed.

    See: which points lie left of the band, and which single task pulls a mean to the right.
    """
    fig, axis = figure(1, 1, 0.9 + 0.55 * len(gains))
    tasks = list(next(iter(gains.values())))
    looks = zip("osv^*Px", (BLUE, ORANGE, GREEN, PINK, GREY, BROWN, "black"), strict=True)
    for task, (marker, color) in zip(tasks, looks, strict=False):
        axis.plot(
            [row[task] for row in gains.values()],
            range(len(gains)),
            marker=marker,
            color=color,
            linestyle="",
            label=task,
        )
    means = [sum(row.values()) / len(row) for row in gains.values()]
    axis.plot(means, range(len(gains)), marker="D", color="black", markersize=8, linestyle="", label="mean", zorder=1)
    if low is not None and high is not None:
        axis.axvspan(low, high, color="#999999", alpha=0.25, linewidth=0, hatch="//", label=f"{low:g} to {high:g}")
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(gains)), list(gains))
    axis.set_ylim(len(gains) - 0.5, -0.5)
    axis.set_xlabel("points above plain fine-tuning")
    legend_above(fig, axis)
    return fig
