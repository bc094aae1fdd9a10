"""Figures of notebooks 06 and 07: the rows of a study, as paired differences, curves and lines through a minimum."""

import math

from ..evidence import paired_interval
from .style import GREEN, GREY, figure, recipe_style, styled
from .training import display_name, legend_above


@styled
def paired_forest(
    panels: dict[str, dict[str, list[float]]], detectable: dict[str, float] | None = None,
    xlabel: str = "points above vanilla", same_scale: bool = False,
):  # fmt: skip
    """Paired differences from plain fine-tuning, one panel a task, one row an arm.

    Args:
        panels: {title: {arm: [difference in points, one a seed]}}; the same arms in every panel.
        same_scale: one x axis for all panels, so that they can be compared.
        detectable: {title: points}; a shaded band from minus to plus that, in which such a study sees nothing.

    See: each small mark is one seed; the large one is their mean, with its 95% t interval. An interval that crosses
    the line at zero allows no verdict.
    """
    arms = list(next(iter(panels.values())))
    fig, axes = figure(1, len(panels), 1.25 + 0.4 * len(arms), sharex=same_scale, sharey=True, squeeze=False)
    for axis, (title, rows) in zip(axes[0], panels.items(), strict=True):
        if detectable and math.isfinite(detectable[title]):
            axis.axvspan(-detectable[title], detectable[title], color="#999999", alpha=0.18, linewidth=0)
        for y, arm in enumerate(arms):
            forest_row(axis, y, rows[arm], recipe_style(arm))
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set(title=title)
    axes[0][0].set_yticks(range(len(arms)), [display_name(arm) for arm in arms])
    axes[0][0].set_ylim(len(arms) - 0.4, -0.6)
    fig.supxlabel(xlabel, fontsize=10)
    return fig


def forest_row(axis, y: float, values: list[float], look: dict) -> None:
    """One arm's pairs as small marks, their mean as a large one, and its 95% t interval."""
    mean, low, high = paired_interval(values)
    axis.plot(values, [y + 0.2] * len(values), linestyle="", marker=look["marker"], color=look["color"], markersize=4)
    if math.isfinite(low):
        axis.plot([low, high], [y - 0.08] * 2, color=look["color"], linewidth=2.2)
    axis.plot([mean], [y - 0.08], marker="o", color=look["color"], markeredgecolor="black", markersize=7)


@styled
def arm_scores(
    panels: dict[str, dict[str, list[float]]], ylabel: str = "score", chance: dict[str, float] | None = None
):
    """The score of every run, one panel a task, one column an arm; a stroke at the mean.

    panels: {title: {arm: [score, one a seed]}}. chance: {title: score without learning}, a dotted line.

    See: how far the seeds of one arm lie apart, against how far the arms lie apart.
    """
    arms = list(next(iter(panels.values())))
    fig, axes = figure(1, len(panels), 3.4, squeeze=False)
    for axis, (title, rows) in zip(axes[0], panels.items(), strict=True):
        for x, arm in enumerate(arms):
            look, values = recipe_style(arm), rows[arm]
            axis.plot([x] * len(values), values, linestyle="", marker=look["marker"], color=look["color"])
            axis.plot([x - 0.3, x + 0.3], [sum(values) / len(values)] * 2, color=look["color"], linewidth=2.5)
        if chance:
            axis.axhline(chance[title], color=GREEN, linestyle=":", linewidth=1.5)
        axis.set(title=title, xlim=(-0.6, len(arms) - 0.4))
        axis.set_xticks(range(len(arms)), [display_name(arm) for arm in arms], rotation=50, ha="right")
    axes[0][0].set_ylabel(ylabel)
    return fig


@styled
def loss_along(lines: dict[str, dict[str, tuple[list[float], list[float]]]]):
    """The loss along a straight line through a tuned network. `lines`: {panel: {arm: (distances, losses)}}.

    See: how steeply the loss rises along the sharpest direction, and how little along a random one.
    """
    fig, axes = figure(1, len(lines), 3.2, sharey=True, squeeze=False)
    for axis, (title, arms) in zip(axes[0], lines.items(), strict=True):
        for arm, (distances, losses) in arms.items():
            look = recipe_style(arm)
            axis.plot(distances, losses, color=look["color"], linestyle=look["linestyle"], marker=look["marker"],
                      markersize=4, label=display_name(arm))  # fmt: skip
        axis.axvline(0, color=GREY, linewidth=0.8)
        axis.set(title=title, xlabel="distance along the line")
    axes[0][0].set_ylabel("loss")
    legend_above(fig, axes[0][0])
    return fig


@styled
def layer_bars(shares: dict[str, dict[str, list[float]]], ylabel: str):
    """One group of bars a layer, one bar an arm, from the mean over seeds; a thin stroke from least to most.

    shares: {arm: {layer: [value, one a seed]}}.

    See: which layers moved, and whether an arm spreads its movement differently.
    """
    layers = list(next(iter(shares.values())))
    fig, axis = figure(1, 1, 3.3)
    width = 0.8 / len(shares)
    for k, (arm, rows) in enumerate(shares.items()):
        places = [i - 0.4 + width * (k + 0.5) for i in range(len(layers))]
        means = [sum(rows[layer]) / len(rows[layer]) for layer in layers]
        axis.bar(places, means, width, color=recipe_style(arm)["color"], hatch=("", "//", "..", "xx", "--")[k % 5],
                 edgecolor="white", label=display_name(arm))  # fmt: skip
        axis.vlines(places, [min(rows[la]) for la in layers], [max(rows[la]) for la in layers], color="black",
                    linewidth=1)  # fmt: skip
    axis.set_xticks(range(len(layers)), layers)
    axis.set(ylabel=ylabel)
    legend_above(fig, axis)
    return fig
