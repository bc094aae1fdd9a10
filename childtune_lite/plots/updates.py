"""Figures of notebook 02: the update under a mask, as a cloud, as a variance, and as a walk out of a minimum."""

import math

import torch

from .style import BLUE, BROWN, DIVERGING, GREEN, GREY, ORANGE, PINK, SEQUENTIAL, figure, styled

_LOOKS = ((GREY, "o", "-"), (GREEN, "D", "-."), (BLUE, "s", "--"), (BROWN, "^", ":"), (ORANGE, "v", (0, (5, 1))))
KEPT = (  # what the mask kept of a pair of entries: label, colour, marker
    ("both kept", BLUE, "o"),
    ("only weight 1 kept", ORANGE, "s"),
    ("only weight 2 kept", GREEN, "^"),
    ("neither kept", BROWN, "X"),
)


def ellipse(mean: torch.Tensor, covariance: torch.Tensor, radius: float = 2.0, points: int = 200) -> torch.Tensor:
    """The points at `radius` standard deviations around the mean, shape (points, 2)."""
    values, vectors = torch.linalg.eigh(covariance.double())
    turn = torch.linspace(0, 2 * math.pi, points, dtype=torch.float64)
    circle = torch.stack([turn.cos(), turn.sin()], 1)
    return mean.double() + radius * circle * values.clamp(min=0).sqrt() @ vectors.T


@styled
def update_clouds(clouds: dict[str, tuple], shown: int = 1500, height: float = 3.5, reach: float | None = None):
    """Updates of two weights as points, with the formula's mean and two-standard-deviation ellipse over them.

    Args:
        clouds: {title: (updates (draws, 2), mean (2,), covariance (2, 2))}, one panel each.
        shown: draws that are drawn.
        reach: how far the axes go from 0; default: as far as the points and ellipses.

    See: the ellipse has the cloud's centre and width. The cloud has a shape of its own: where the mask drops one of
    the two entries the point lies on an axis, where it drops both it lies at 0 (one cross for all of them).
    """
    fig, axes = figure(1, len(clouds), height, sharex=True, sharey=True, squeeze=False)
    extent, seen = 0.0, {}
    for axis, (title, (updates, mean, covariance)) in zip(axes[0], clouds.items(), strict=True):
        points = updates[:shown].double()
        kept = points != 0
        kinds = (kept.all(1), kept[:, 0] & ~kept[:, 1], ~kept[:, 0] & kept[:, 1], ~kept.any(1))
        for (label, color, marker), kind in zip(KEPT, kinds, strict=True):
            if kind.any():
                chosen = points[kind][: 1 if label == "neither kept" else None]
                size = 70 if label == "neither kept" else 1.75 if marker == "o" else 9
                seen[label] = axis.scatter(
                    *chosen.T, s=size, color=color, marker=marker, linewidths=0, alpha=1 if size == 70 else 0.45,
                    zorder=3 if size == 70 else 2,
                )  # fmt: skip
        edge = ellipse(mean, covariance)
        (seen["formula: 2 standard deviations"],) = axis.plot(*edge.T, color="black", linewidth=1.4, zorder=4)
        (seen["formula: mean"],) = axis.plot(*mean, "+", color="black", markersize=11, mew=1.8, zorder=5)
        axis.axhline(0, color="#CCCCCC", linewidth=0.8, zorder=0)
        axis.axvline(0, color="#CCCCCC", linewidth=0.8, zorder=0)
        axis.set(title=title, xlabel="update of weight 1", aspect="equal")
        extent = max(extent, edge.abs().max().item(), torch.quantile(points.abs().max(1).values, 0.998).item())
    reach = 1.05 * extent if reach is None else reach
    axes[0, 0].set(ylabel="update of weight 2", xlim=(-reach, reach), ylim=(-reach, reach))
    order = [label for label, *_ in KEPT if label in seen] + [label for label in seen if label.startswith("formula")]
    legend = fig.legend(
        [seen[label] for label in order], order, loc="outside lower center", ncols=3, columnspacing=1.4,
        handletextpad=0.4,
    )  # fmt: skip
    for handle in legend.legend_handles:
        if hasattr(handle, "set_sizes"):
            handle.set_sizes([40])
            handle.set_alpha(1)
    return fig


@styled
def update_variances(panels: dict[str, dict]):
    """The variance of one weight's update against p, split into the formula's two terms, with measured points.

    Args:
        panels: {title: {"grid": p, "noise": term, "gradient": term, "p": [...], "measured": [...], "error": [...]}}.

    See: with the division both terms grow as p falls. Without it the noise term falls with p, and the gradient's
    term is largest in the middle.
    """
    fig, axes = figure(1, len(panels), 3.3, squeeze=False)
    for axis, (title, panel) in zip(axes[0], panels.items(), strict=True):
        noise, gradient = panel["noise"], panel["gradient"]
        axis.plot(panel["grid"], noise, "--", color=BLUE, label="noise term")
        axis.plot(panel["grid"], gradient, "-.", color=BROWN, label="gradient term")
        axis.plot(panel["grid"], noise + gradient, color="black", label="their sum")
        axis.errorbar(
            panel["p"], panel["measured"], panel["error"], fmt="o", color="black", mfc="white", capsize=3,
            label="measured", zorder=5,
        )  # fmt: skip
        axis.set(title=title, xlabel="p, the share kept", xlim=(0, 1.04))
        axis.set_ylim(0, None)
    axes[0, 0].set_ylabel("variance of the update")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return fig


@styled
def landscape_walkers(landscape, walkers: dict[str, torch.Tensor], shown: int = 400):
    """A map of the loss with a sharp and a flat minimum, and where the walkers are, one panel for each setting.

    Args:
        landscape: has `loss(x, y)`, `outside(x, y)` and `distance` (`walks.Landscape`).
        walkers: {title: positions (walkers, 2)}.

    See: the dashed circle bounds the sharp bowl. Walkers inside it are dots, those outside it crosses.
    """
    fig, axes = figure(1, len(walkers), 2.6, sharex=True, sharey=True, squeeze=False)
    x, y = torch.meshgrid(
        torch.linspace(-3.2, landscape.distance + 3.2, 241), torch.linspace(-3.6, 3.6, 181), indexing="xy"
    )
    loss, outside = landscape.loss(x, y), landscape.outside(x, y).float()
    levels = torch.linspace(0, 1.15, 14).tolist()
    for axis, (title, places) in zip(axes[0], walkers.items(), strict=True):
        ground = axis.contourf(x, y, loss, levels, cmap=SEQUENTIAL, extend="max", alpha=0.75)
        axis.contour(x, y, outside, [0.5], colors="black", linewidths=1.2, linestyles="--")
        gone = landscape.outside(*places.T)
        crosses = round(shown * gone.float().mean().item())
        inside, left = places[~gone][: shown - crosses], places[gone][:crosses]
        axis.plot(*inside.T, ".", color="white", mec="black", mew=0.3)
        axis.plot(*left.T, "x", color=PINK, markersize=4, mew=1.3)
        axis.set(title=title, xlabel="weight 1", aspect="equal", xlim=(-3.2, landscape.distance + 3.2))
        axis.set_ylim(-3.6, 3.6)
    axes[0, 0].set_ylabel("weight 2")
    bar = fig.colorbar(ground, ax=axes[0].tolist(), shrink=0.75, pad=0.02, ticks=[0, 0.4, 0.8])
    bar.set_label("loss")
    return fig


@styled
def escape_curves(curves: dict[str, tuple]):
    """The share of walkers that has left the sharp minimum, against the step, with a band for its 95% interval.

    Args:
        curves: {label: (steps, shares, lows, highs)}.

    See: which curves lie on each other, and which do not.
    """
    fig, axis = figure(1, 1, 3.4)
    for (label, (steps, share, low, high)), (color, marker, line) in zip(
        curves.items(), _LOOKS * (len(curves) // len(_LOOKS) + 1), strict=False
    ):
        axis.fill_between(steps, low, high, color=color, alpha=0.2, lw=0)
        axis.plot(steps, share, color=color, marker=marker, linestyle=line, label=label, markevery=0.1)
    axis.set(xlabel="step", ylabel="share that has left", ylim=(-0.03, 1.03))
    axis.set_xlim(0, None)
    columns = min(len(curves), 4 if sum(map(len, curves)) < 60 else 2)
    fig.legend(loc="outside upper center", ncols=columns, handlelength=3.2)
    return fig


@styled
def escape_against_p(ps: list[float], series: dict[str, list[tuple]]):
    """The share that has left by one fixed step, against p, one line for each way to spend the p.

    Args:
        ps: the settings, in any order.
        series: {label: [(share, low, high), ...]} in the order of ps.

    See: intervals that overlap say that two ways leave the minimum equally fast.
    """
    fig, axis = figure(1, 1, 3.4)
    order = sorted(range(len(ps)), key=ps.__getitem__)
    x = [ps[i] for i in order]
    looks = ((BLUE, "s", "--"), (GREEN, "D", "-."), (GREY, "o", "-"), (BROWN, "^", ":"))
    for k, (label, values) in enumerate(series.items()):
        color, marker, line = looks[k % len(looks)]
        share, low, high = (torch.tensor(v, dtype=torch.float64) for v in zip(*(values[i] for i in order), strict=True))
        shift = [value * (1 + 0.012 * (k - (len(series) - 1) / 2)) for value in x]  # so that bars do not hide bars
        axis.errorbar(
            shift, share, torch.stack([share - low, high - share]).clamp(min=0), color=color, marker=marker,
            linestyle=line, capsize=3, label=label,
        )  # fmt: skip
    axis.set(xscale="log", xlabel="p (logarithmic)", ylabel="share that has left", ylim=(-0.03, 1.03))
    axis.set_xticks(x, [f"{value:g}" for value in x])
    axis.minorticks_off()
    fig.legend(loc="outside upper center", ncols=min(len(series), 3), handlelength=3.2)
    return fig


@styled
def gradient_grids(rows: dict[str, dict[str, torch.Tensor]]):
    """Gradients of weight matrices side by side; entries that are exactly 0 are hatched.

    Args:
        rows: {row label: {column title: matrix}}. Each row has one colour scale.

    See: are the zeros scattered, or do they fill whole rows and columns?
    """
    from matplotlib.patches import Rectangle

    columns = max(len(row) for row in rows.values())
    fig, axes = figure(len(rows), columns, 0.6 + 1.7 * len(rows), squeeze=False)
    for number, (line, (label, row)) in enumerate(zip(axes, rows.items(), strict=True)):
        limit = max(matrix.abs().max().item() for matrix in row.values()) or 1.0
        for axis, (title, matrix) in zip(line, row.items(), strict=True):
            axis.imshow(matrix.numpy(), cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
            for r, c in (matrix == 0).nonzero().tolist():
                axis.add_patch(
                    Rectangle((c - 0.5, r - 0.5), 1, 1, facecolor="white", edgecolor="#777777", hatch="////", lw=0)
                )
            axis.set(xticks=[], yticks=[], title="" if number else title)
            axis.spines[:].set_visible(True)
        line[0].set_ylabel(label)
    return fig
