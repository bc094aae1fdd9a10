"""Figures of notebook 01: what a Bernoulli mask does to a gradient."""

import math

import torch

from .style import BLUE, BROWN, DIVERGING, GREEN, GREY, ORANGE, figure, styled

LARGEST_NUMBERED = (8, 6)  # rows, columns: above this size a grid shows colours only
_EDGE = {"facecolor": "none", "edgecolor": "#999999", "linewidth": 0}


@styled
def mask_grids(gradient: torch.Tensor, mask: torch.Tensor, p: float):
    """The gradient, the mask, and their product over p as three aligned grids.

    See: the same place is the same entry. Left and right share one colour scale, so what survives is 1/p times as
    strong; what is dropped is hatched. A gradient of more than two dimensions is folded into a matrix.
    """
    g, m = (t.detach().float().reshape(t.shape[0] if t.dim() > 1 else 1, -1) for t in (gradient, mask))
    h = g * m / p
    rows, columns = g.shape
    numbered = rows <= LARGEST_NUMBERED[0] and columns <= LARGEST_NUMBERED[1]
    height = 0.6 + min(max(2.3 * rows / columns, 0.6), 3.2) + (0 if numbered else 0.5)
    fig, axes = figure(1, 3, height)
    limit = h.abs().max().item() or g.abs().max().item() or 1.0
    signed = {"cmap": DIVERGING, "vmin": -limit, "vmax": limit}
    kept = {"cmap": "Greys", "vmin": 0, "vmax": 1.6}
    titles = ("gradient $g$", f"mask $m$: {int(m.sum())} of {m.numel()} kept", f"$m\\,g\\,/\\,p$  (p = {p:g})")
    for axis, values, look, title in zip(axes, (g, m, h), (signed, kept, signed), titles, strict=True):
        image = axis.imshow(values.numpy(), aspect="equal" if numbered else "auto", interpolation="nearest", **look)
        axis.set_title(title)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(numbered)
        if numbered:
            _number(axis, image, values, None if values is g else m)
        elif values is not m:
            fig.colorbar(image, ax=axis, orientation="horizontal", shrink=0.9, pad=0.03)
    return fig


def _number(axis, image, values: torch.Tensor, mask: torch.Tensor | None) -> None:
    """Write each value into its cell, and hatch the cells that the mask drops."""
    from matplotlib.patches import Rectangle

    for (row, column), value in _cells(values):
        dropped = mask is not None and not mask[row, column]
        if dropped:
            axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, hatch="////", **_EDGE))
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        whole = mask is not None and values is mask
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5} if dropped else None
        axis.text(
            column, row, "0" if dropped else "1" if whole else _short(value), ha="center", va="center", fontsize=9.5,
            color="white" if dark else "black", bbox=box,
        )  # fmt: skip
    rows, columns = values.shape
    axis.set_xticks([c + 0.5 for c in range(columns - 1)], minor=True)
    axis.set_yticks([r + 0.5 for r in range(rows - 1)], minor=True)
    axis.grid(which="minor", color="white", linewidth=1.5)
    axis.tick_params(which="minor", length=0)


def _cells(values: torch.Tensor):
    for row, line in enumerate(values.tolist()):
        for column, value in enumerate(line):
            yield (row, column), value


def _short(value: float) -> str:
    return f"{value:.{2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0}f}"


@styled
def mask_running_average(entry: float, kept: torch.Tensor, p: float):
    """One entry of the gradient, averaged over the first 1, 2, 3, ... masks, with and without the division by p.

    See: both settle, but only the average with 1/p settles on the entry itself. The band is where 95% of such
    averages lie at each number of masks: 1.96 standard errors, shrinking with the square root.
    """
    kept = kept.detach().double().flatten()
    count = torch.arange(1, kept.numel() + 1, dtype=torch.float64)
    share, count = (kept.cumsum(0) / count).numpy(), count.numpy()
    error = 1.96 * abs(entry) * ((1 - p) / p / count) ** 0.5
    fig, axis = figure(1, 1, 3.2)
    axis.fill_between(count, entry - error, entry + error, color=BLUE, alpha=0.15, lw=0, label="95% band")
    axis.plot(count, entry * share / p, color=BLUE, label="divided by p")
    axis.plot(count, entry * share, color=BROWN, linestyle="--", label="not divided")
    axis.axhline(entry, color="black", linewidth=1, linestyle=":", label="the entry g")
    axis.axhline(entry * p, color=GREY, linewidth=1, linestyle="-.", label="p times the entry")
    reach = max(3 * abs(entry), 1e-12)
    axis.set(xscale="log", xlim=(1, count[-1] + 1), ylim=(entry - reach, entry + reach))
    axis.set(xlabel="masks averaged", ylabel="running average")
    fig.legend(loc="outside upper center", ncols=5, columnspacing=1.2, handlelength=1.8)
    return fig


@styled
def mask_histograms(gradient: torch.Tensor, masked: torch.Tensor, bins: int = 61):
    """All entries before and after the mask, as shares, on a logarithmic axis.

    See: after the mask the entries fall into two groups. Most are exactly 0 (the hatched bar), and the rest has the
    old shape, 1/p times as wide.
    """
    g, h = (t.detach().double().flatten() for t in (gradient, masked))
    limit = max(g.abs().max().item(), h.abs().max().item()) or 1.0
    edges = torch.linspace(-limit, limit, bins | 1, dtype=torch.float64)
    middle, width = ((edges[1:] + edges[:-1]) / 2).tolist(), (edges[1] - edges[0]).item()
    fig, axes = figure(1, 2, 3.0, sharex=True, sharey=True)
    for axis, values, title in zip(axes, (g, h), ("before the mask", "after the mask"), strict=True):
        zeros = (values == 0).double().mean().item()
        shares = torch.histogram(values[values != 0], edges)[0] / values.numel()
        axis.bar(middle, shares.tolist(), width=width, color=BLUE, edgecolor="white", linewidth=0.3)
        if zeros:
            axis.bar([0.0], [zeros], width=width, color="white", edgecolor=BROWN, hatch="////", linewidth=1)
            axis.annotate(
                f"exactly 0: {zeros:.1%}", (0, zeros), (-10, -3), textcoords="offset points", ha="right", va="top",
                color=BROWN,
            )  # fmt: skip
        axis.set(title=title, xlabel="value of an entry", yscale="log", ylim=(0.5 / values.numel(), 2))
    axes[0].set_ylabel("share of entries")
    return fig


@styled
def mask_variances(gradient: torch.Tensor, variances: dict[float, torch.Tensor]):
    """The variance of each masked entry over many masks, against the formula g^2 (1 - p) / p; one point an entry.

    See: all points lie on the diagonal, whatever p and whatever the entry. Small p and large entries are at the top.
    """
    squares = gradient.detach().double().flatten().square()
    fig, axis = figure(1, 1, 3.6)
    looks = zip((BROWN, ORANGE, BLUE, GREEN, GREY), "os^Dv", strict=True)
    points = []
    for (p, measured), (color, marker) in zip(sorted(variances.items()), looks, strict=False):
        formula = squares * (1 - p) / p
        axis.plot(formula.tolist(), measured.flatten().tolist(), marker, color=color, label=f"p = {p:g}", alpha=0.85)
        points.append(formula[formula > 0])
    points = torch.cat(points)
    ends = (points.min().item() / 2, points.max().item() * 2) if len(points) else (0.1, 1.0)
    axis.plot(ends, ends, color="black", linewidth=1, linestyle=":", label="measured = formula", zorder=0)
    axis.set(xscale="log", yscale="log", xlabel="formula: $g^2 (1 - p) / p$", ylabel="measured over many masks")
    fig.legend(loc="outside upper center", ncols=5, columnspacing=1.2, handletextpad=0.5)
    return fig


@styled
def mask_against_p(measured: dict[float, dict[str, float]]):
    """How much longer, how much emptier and how much turned one masked gradient is, for several p.

    Args:
        measured: {p: {"norm": norm after / norm before, "zeros": share, "cosine": with the gradient before}}.

    See: one mask's measurements (points) on the formulas (lines).
    """
    ps = sorted(measured)
    grid = torch.linspace(min(ps), 1, 200, dtype=torch.float64)
    panels = {
        "norm": ("norm: times $1/\\sqrt{p}$", grid.rsqrt(), BLUE, "o"),
        "cosine": ("cosine: $\\sqrt{p}$", grid.sqrt(), GREEN, "s"),
        "zeros": ("share of zeros: $1 - p$", 1 - grid, BROWN, "^"),
    }
    fig, axes = figure(1, 3, 2.8)
    for axis, (key, (title, line, color, marker)) in zip(axes, panels.items(), strict=True):
        axis.plot(grid.tolist(), line.tolist(), color=color, linewidth=1.2, label="formula")
        axis.plot(ps, [measured[p][key] for p in ps], marker, color="black", fillstyle="none", label="one mask")
        axis.set(title=title, xlabel="p, the share kept", xlim=(0, 1.04))
        axis.set_ylim(0.0 if key != "norm" else 0.5, None if key == "norm" else 1.05)
    axes[0].legend(loc="upper right")
    return fig


@styled
def mask_cosines(samples: dict[str, torch.Tensor], p: float):
    """The cosine between a gradient and its masked copy, over many masks, one row for each kind of gradient.

    See: every row is centred near sqrt(p), the dotted line. What differs is the width.
    """
    fig, axes = figure(len(samples), 1, 0.9 + 1.0 * len(samples), sharex=True, squeeze=False)
    everything = torch.cat([s.flatten().double() for s in samples.values()])
    low = min(everything.min().item(), math.sqrt(p)) - 0.01
    high = max(everything.max().item(), math.sqrt(p)) + 0.01
    edges = torch.linspace(low, high, 81, dtype=torch.float64)
    looks = ((BLUE, ""), (ORANGE, "////"), (GREEN, "...."), (GREY, "xxxx"))
    for i, (axis, (name, cosines)) in enumerate(zip(axes[:, 0], samples.items(), strict=True)):
        color, hatch = looks[i % len(looks)]
        shares = torch.histogram(cosines.flatten().double(), edges)[0] / cosines.numel()
        axis.stairs(shares.tolist(), edges.tolist(), fill=True, color=color, alpha=0.35, lw=0)
        axis.stairs(shares.tolist(), edges.tolist(), color=color, hatch=hatch, fill=False)
        axis.axvline(math.sqrt(p), color="black", linewidth=1.2, linestyle=":")
        axis.set_ylabel("share of\nmasks")
        axis.set_title(name, loc="left")
    axes[-1, 0].set_xlabel(f"cosine with the unmasked gradient (dotted: $\\sqrt{{p}}$ = {math.sqrt(p):.3f})")
    return fig


@styled
def mask_by_layer(before: dict[str, dict[str, float]], after: dict[str, dict[str, float]], p: float):
    """Share of zeros and cosine of a real network's masked gradient, layer by layer.

    Args:
        before, after: what `recorder.gradient_statistics` returns, without a mask and with it.

    See: every layer's cosine is near sqrt(p). The share of zeros is near 1 - p, but where the gradient had zeros of
    its own (open circles) it is higher: 1 - p (1 - share before).
    """
    layers = [name for name in after if name != "all"]
    places = range(len(layers))
    fig, (left, right) = figure(1, 2, 3.6, sharey=True)
    expected = [1 - p * (1 - before[name]["zeros"]) for name in layers]
    left.axvline(1 - p, color=GREY, linewidth=1, linestyle=":", label="1 - p")
    left.plot([before[name]["zeros"] for name in layers], places, "o", color=GREY, fillstyle="none", label="before")
    left.plot([after[name]["zeros"] for name in layers], places, "s", color=BLUE, label="after")
    left.plot(expected, places, "|", color="black", markersize=13, label="expected")
    right.axvline(math.sqrt(p), color=GREY, linewidth=1, linestyle=":", label="$\\sqrt{p}$")
    right.plot([after[name]["cosine"] for name in layers], places, "^", color=GREEN, label="measured")
    left.set(xlabel="share of zeros", xlim=(-0.04, 1.04), yticks=list(places), yticklabels=layers)
    right.set(xlabel="cosine with the unmasked gradient", xlim=(0, 1.04))
    left.invert_yaxis()
    for axis, columns in ((left, 4), (right, 2)):
        axis.grid(axis="y", color="#E5E5E5")
        axis.set_axisbelow(True)
        axis.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, columnspacing=0.9, handletextpad=0.3,
            handlelength=1.2, borderpad=0.2,
        )  # fmt: skip
    return fig
