"""Figures of notebook 05: loss and gradients while a network trains.

Data in are plain records: `Result.steps` and `Result.gradients`. Runs compared with each other:
`comparison.py`.
"""

import math

from .style import GREEN, SEQUENTIAL, figure, recipe_style, styled

STATISTICS = {
    "norm": "norm",
    "std": "standard deviation",
    "zeros": "share of zeros",
    "cosine": "cosine with unmasked",
    "mean": "mean",
}
_NAMES = {
    "vanilla_sqrt_p": "vanilla, lr · √p", "vanilla_slower": "vanilla, slower", "D_random": "D, random",
    "D_lowest": "D, lowest", "D_per_batch": "D, per batch", "head_only": "head", "bitfit": "BitFit", "lora": "LoRA",
    "mixout": "Mixout", "decay_to_parent": "decay to parent",
}  # fmt: skip


def display_name(recipe: str) -> str:
    return _NAMES.get(recipe, recipe)


def _line(recipe: str, marker: bool = True) -> dict:
    look = dict(recipe_style(recipe), label=display_name(recipe))
    return look if marker else {**look, "marker": ""}


def running_mean(values, window: int) -> list[float]:
    """The mean of each value and up to `window` - 1 values before it."""
    return [sum(part) / len(part) for i in range(len(values)) if (part := values[max(0, i + 1 - window) : i + 1])]


@styled
def training_curves(runs: dict[str, list[dict]], window: int = 8):
    """Loss and learning rate over the steps, one line a run. `runs`: {recipe: Result.steps}.

    See: the thin line is the loss of each batch, which is noisy; the thick line is its running mean over `window`
    steps. Right: what every recipe shares, the schedule.
    """
    fig, (left, right) = figure(1, 2, 3.0, width_ratios=[3, 2])
    for recipe, steps in runs.items():
        x, losses, look = [s["step"] for s in steps], [s["loss"] for s in steps], _line(recipe, marker=False)
        left.plot(x, losses, color=look["color"], alpha=0.3, linewidth=0.8)
        left.plot(x, running_mean(losses, window), **look, linewidth=2.0)
        right.plot(x, [s["lr"] for s in steps], **look, linewidth=2.0)
    left.axhline(math.log(2), color=GREEN, linestyle=":", linewidth=1.5, label="a coin's loss, ln 2")
    left.set(xlabel="step", ylabel="training loss", title=f"Loss (thick: mean of {window} steps)")
    right.set(xlabel="step", title="Learning rate", ylim=(0, None))
    right.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    right.yaxis.offsetText.set_fontsize(9)
    legend_above(fig, left)
    return fig


@styled
def gradient_lines(
    runs: dict[str, list[dict]],
    layer: str = "layer 0",
    p: float | None = None,
    statistics: tuple[str, ...] = ("norm", "std", "zeros", "cosine"),
):
    """Statistics of one layer's gradient as the optimizer sees it, over the recorded steps.

    `runs`: {recipe: Result.gradients}. `layer`: "embeddings", "layer 0", ..., "head" or "all". With p given, dotted
    lines stand at what a Bernoulli mask should give: 1 - p zeros, and a cosine of the square root of p.

    See: which lines lie on the dotted ones, and which move while the network learns.
    """
    rows = -(-len(statistics) // 2)
    fig, axes = figure(rows, min(2, len(statistics)), 0.7 + 2.2 * rows, sharex=True, squeeze=False)
    axes = axes.ravel()
    for axis, statistic in zip(axes, statistics, strict=False):
        for recipe, records in runs.items():
            axis.plot(
                [r["step"] for r in records],
                [r["layers"][layer][statistic] for r in records],
                **_line(recipe),
                linewidth=1.5,
            )
        expected = {"zeros": 1 - p, "cosine": math.sqrt(p)}.get(statistic) if p is not None else None
        if expected is not None:
            axis.axhline(expected, color=GREEN, linestyle=":", linewidth=1.5, zorder=0)
        if statistic in ("zeros", "cosine"):
            axis.set_ylim(-0.05, 1.08)
        elif statistic in ("norm", "std"):
            axis.set_ylim(0, None)
        axis.set_title(STATISTICS[statistic])
    for axis in axes[len(statistics) :]:
        axis.set_visible(False)
    for axis in axes[max(0, len(statistics) - 2) : len(statistics)]:
        axis.set_xlabel("step")
    legend_above(fig, axes[0], title=f"gradient of {layer}" if layer != "all" else "gradient of the whole network")
    return fig


@styled
def gradient_maps(runs: dict[str, list[dict]], statistic: str = "zeros"):
    """One heat map a recipe: layers (rows, the input below) against recorded steps (columns), on one colour scale.

    See: a map of one colour means that the mask treats all layers alike; stripes along a row mean that the layer's
    place in the network decides; changes along a row mean that training changes the gradient.
    """
    layers = [layer for layer in next(iter(runs.values()))[0]["layers"] if layer != "all"][::-1]
    grids = {r: [[rec["layers"][la][statistic] for rec in records] for la in layers] for r, records in runs.items()}
    known = [v for grid in grids.values() for row in grid for v in row if math.isfinite(v)]
    low, high = (0, 1) if statistic in ("zeros", "cosine") else (min(known), max(known))
    fig, axes = figure(1, len(runs), 0.9 + 0.27 * len(layers), sharey=True, squeeze=False)
    for axis, (recipe, grid) in zip(axes[0], grids.items(), strict=True):
        image = axis.imshow(grid, aspect="auto", cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="nearest")
        steps = [record["step"] for record in runs[recipe]]
        places = sorted({0, len(steps) // 2, len(steps) - 1})
        axis.set_xticks(places, [steps[i] for i in places])
        axis.set_yticks(range(len(layers)), layers)
        axis.set(xlabel="step", title=display_name(recipe))
    fig.colorbar(image, ax=axes[0].tolist(), label=STATISTICS[statistic], pad=0.01)
    return fig


def legend_above(fig, axis, title: str | None = None) -> None:
    """One row above all axes: never over the data."""
    handles, labels = axis.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=max(1, len(handles)), title=title)
