"""The figure of notebook 05's live training: loss, p_F and the gradient of every layer, up to one step."""

import math

from ..style import BLUE, BROWN, SEQUENTIAL, styled
from ..training import STATISTICS, running_mean
from .canvas import canvas, place, ticks

_WINDOW = 8  # steps over which the thick line averages


@styled
def training_progress(steps: list[dict], records: list[dict], total: int, statistic: str):
    """Loss and p_F against the step, and one statistic of the masked gradient, layers against recorded steps.

    Args:
        steps, records: `Result.steps` and `Result.gradients`, as far as they are to be shown.
        total: steps of the whole run; the axes reach to its end from the start.
        statistic: a key of `plots.training.STATISTICS`.

    See: where p_F changes, zeros and cosine of all layers change at the very next step. The loss takes longer.
    """
    fig = canvas(4.4)
    at, losses = [s["step"] for s in steps], [s["loss"] for s in steps]
    loss = place(fig, 0.65, 0.32, 3.9, 1.35, f"training loss (thick: mean of {_WINDOW} steps)")
    loss.plot(at, losses, color=BLUE, linewidth=0.8, alpha=0.5)
    loss.plot(at, running_mean(losses, _WINDOW), color=BLUE, linewidth=2)
    top = max([1.0, *losses])
    loss.set(xlim=(0, total), ylim=(0, 1.05 * top))
    ticks(loss, _steps(total), (0, 0.5, 1) if top < 2 else (0, round(top / 2), round(top)))
    share = place(fig, 5.15, 0.32, 1.75, 1.35, "p_F")
    if steps:
        share.stairs([s["p"] for s in steps], [*at, at[-1] + 1], color=BROWN, linewidth=2, baseline=None)
    share.set(xlim=(0, total), ylim=(0, 1.08))
    ticks(share, (0, total), (0, 0.5, 1))
    _draw_layers(fig, records, total, statistic)
    return fig


def _draw_layers(fig, records: list[dict], total: int, statistic: str) -> None:
    layers = [name for name in records[0]["layers"] if name != "all"] if records else ["no step yet"]
    axis = place(fig, 0.95, 2.28, 5.0, 1.6, f"gradient after the mask, by layer: {STATISTICS[statistic]}")
    high = 1.0
    if records:
        grid = [[record["layers"][layer][statistic] for record in records] for layer in layers]
        known = [value for line in grid for value in line if math.isfinite(value)]
        high = 1.0 if statistic in ("zeros", "cosine") else float(f"{max(known):.2g}")
        every = records[1]["step"] if len(records) > 1 else total
        axis.imshow(
            grid, aspect="auto", interpolation="nearest", cmap=SEQUENTIAL, vmin=0, vmax=high,
            extent=(0, every * len(records), -0.5, len(layers) - 0.5), origin="lower",
        )  # fmt: skip
    axis.set(xlim=(0, total), ylim=(-0.5, len(layers) - 0.5), xlabel="step")  # the input at the bottom
    ticks(axis, _steps(total), list(enumerate(layers)))
    bar = place(fig, 6.2, 2.28, 0.18, 1.6)
    bar.imshow([[high * (1 - i / 63)] for i in range(64)], aspect="auto", cmap=SEQUENTIAL, extent=(0, 1, 0, high))
    bar.yaxis.tick_right()
    ticks(bar, (), ((0, "0"), (high / 2, f"{high / 2:.2g}"), (high, f"{high:.2g}")))


def _steps(total: int) -> tuple[int, ...]:
    return tuple(sorted({0, total // 4, total // 2, 3 * total // 4, total}))
