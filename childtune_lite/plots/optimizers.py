"""Figures of notebook 04: what an optimizer makes of a masked gradient."""

import torch

from .style import BLUE, BROWN, GREEN, GREY, ORANGE, RECIPE_STYLE, figure, styled


@styled
def scale_cancels(sizes, changes: dict[str, list[float]], p: float, eps: float = 1e-8):
    """How much the factor 1/p changes what Adam does, against the size of the gradient.

    Args:
        sizes: typical size of the gradient.
        changes: {label: relative change of the weights' movement when the factor 1/p is left out}, at most four.

    See: nothing for large gradients. Only near eps, the dotted line, does the factor matter; far below it Adam is
    linear, and without the factor everything moves p times as far (a change of 1 - p, the dashed line).
    """
    fig, axis = figure(1, 1, 3.2)
    looks = ((BLUE, "o", "-"), (BROWN, "^", "--"), (GREEN, "s", "-."), (ORANGE, "D", ":"))
    for (label, values), (color, marker, line) in zip(changes.items(), looks, strict=False):
        axis.plot(sizes, values, color=color, marker=marker, linestyle=line, label=label)
    axis.axvline(eps, color="black", linewidth=1, linestyle=":", label=f"eps = {eps:g}")
    axis.axhline(1 - p, color=GREY, linewidth=1, linestyle=(0, (6, 3)), label=f"1 - p = {1 - p:.2g}")
    axis.set(xscale="log", yscale="log", xlabel="size of the gradient", ylabel="relative change")
    axis.invert_xaxis()
    fig.legend(loc="outside upper center", ncols=4, columnspacing=1.2)
    return fig


@styled
def drift_against_p(ratios: dict[str, dict[float, float]], paths: dict[str, tuple]):
    """How far masked weights drift, compared with unmasked ones.

    Args:
        ratios: {optimizer: {p: drift with the mask / drift without}}, at most three optimizers.
        paths: {recipe of RECIPE_STYLE: (mean, standard deviation) of the weights after each step}.

    See: left, under SGD the drift stays; under Adam it follows sqrt(p). Right, the control with the smaller learning
    rate drifts as F does, but its band, the spread over entries, is narrower.
    """
    fig, (left, right) = figure(1, 2, 3.4)
    grid = torch.linspace(0, 1, 200, dtype=torch.float64)
    left.plot(grid, grid.sqrt(), color="black", linewidth=1, linestyle=":", label="$\\sqrt{p}$")
    looks = ((GREEN, "x", 5), (BROWN, "s", 9), (BLUE, "o", 7))
    for (label, row), (color, marker, size) in zip(ratios.items(), looks, strict=False):
        filled = "full" if marker == "o" else "none"
        left.plot(list(row), list(row.values()), marker, color=color, markersize=size, fillstyle=filled, label=label)
    left.set(xlim=(0, 1.04), ylim=(0, 1.12), xlabel="p, the share kept", ylabel="drift, F / vanilla")
    left.legend(loc="lower right")
    for recipe, (mean, spread) in paths.items():
        look = RECIPE_STYLE[recipe]
        mean, spread = (torch.as_tensor(t).detach().double() for t in (mean, spread))
        steps = range(1, len(mean) + 1)
        right.plot(steps, mean, color=look["color"], linestyle=look["linestyle"], label=recipe, linewidth=2)
        for edge in (mean - spread, mean + spread):
            right.plot(steps, edge, color=look["color"], linestyle=look["linestyle"], linewidth=0.9)
        # F's band lies over the control's: hatched and empty, so that both are seen.
        empty = {"facecolor": "none", "edgecolor": look["color"], "hatch": "////", "alpha": 0.5}
        filled = {"color": look["color"], "alpha": 0.35}
        right.fill_between(steps, mean - spread, mean + spread, lw=0, **(empty if recipe == "F" else filled))
    right.set(xlabel="step", ylabel="weight: mean, and its spread")
    right.legend(loc="lower left")
    return fig


@styled
def trained_shares(rows: dict[str, dict[str, float]], p: float):
    """What share of each network a rule for names puts under the mask, and what trains at share p.

    Args:
        rows: {network: {rule: share of all entries that the rule masks}}; every network with the same rules.

    See: the hatched part is outside the mask and always trains; the dark part is the child; the rest is frozen. A bar
    that is hatched all along has no mask at all.
    """
    rules = list(dict.fromkeys(rule for row in rows.values() for rule in row))
    fig, axes = figure(1, len(rules), 1.1 + 0.42 * len(rows), sharey=True, squeeze=False)
    places = list(range(len(rows)))
    for axis, rule in zip(axes[0], rules, strict=True):
        scope = [row[rule] for row in rows.values()]
        outside, child = [1 - s for s in scope], [p * s for s in scope]
        both = [o + c for o, c in zip(outside, child, strict=True)]
        frozen = [1 - b for b in both]
        axis.barh(places, outside, color="white", edgecolor=BROWN, hatch="////", label="always trains")
        axis.barh(places, child, left=outside, color=BLUE, edgecolor=BLUE, label="the child")
        axis.barh(places, frozen, left=both, color="#DDDDDD", edgecolor="#BBBBBB", label="frozen")
        for place, share in zip(places, both, strict=True):
            axis.text(1.02, place, f"{share:.0%}", va="center", fontsize=9)
        axis.set(title=rule, xlim=(0, 1.16), xticks=[0, 0.5, 1], xlabel=f"share of the network, $p_D$ = {p:g}")
    axes[0, 0].set(yticks=places, yticklabels=list(rows))
    axes[0, 0].invert_yaxis()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=3)
    return fig


@styled
def paired_arms(schedules: dict[str, list[float]], results: dict[str, list[float]], ylabel: str):
    """Two arms of a paired comparison: what differs between them, and what came out, seed by seed.

    Args:
        schedules: {arm: learning rate at each step}.
        results: {arm: one number a seed, in the same order}.

    See: left, the only difference between the arms. Right, each grey line is one seed; if the lines do not agree in
    direction, the difference is inside the noise.
    """
    fig, (left, right) = figure(1, 2, 3.2)
    looks = ((BLUE, "s", "-"), (BROWN, "^", "--"))
    for (arm, values), (color, _, line) in zip(schedules.items(), looks, strict=False):
        left.plot(range(len(values)), values, color=color, linestyle=line, label=arm)
    left.set(xlabel="step", ylabel="learning rate")
    left.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    left.xaxis.get_major_locator().set_params(integer=True)
    for seed in zip(*results.values(), strict=True):
        right.plot(range(len(seed)), seed, color=GREY, linewidth=1, zorder=0)
    for place, (values, (color, marker, _)) in enumerate(zip(results.values(), looks, strict=False)):
        right.plot([place] * len(values), values, marker, color=color, markersize=7)
    right.set(xticks=range(len(results)), xticklabels=list(results), xlim=(-0.5, len(results) - 0.5), ylabel=ylabel)
    fig.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return fig
