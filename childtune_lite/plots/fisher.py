"""Figures of notebook 03, first half: curvature, what is squared, and the threshold."""

from collections.abc import Mapping, Sequence

import numpy as np

from .child import short_kind
from .style import BLUE, BROWN, GREEN, GREY, MARKERS, ORANGE, PINK, SKY, figure, styled

_LINES = [(BLUE, "-"), (BROWN, "--"), (GREEN, "-."), (GREY, ":")]
_DASH_DOT_DOT, _FAR_DOTS = (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3))
_KINDS = [(GREEN, "-."), (BLUE, "-"), (BROWN, "--"), (PINK, ":"), (SKY, _DASH_DOT_DOT), (ORANGE, _FAR_DOTS)]


@styled
def fisher_curvature(thetas, expected: Mapping[str, Sequence[float]], truths: Sequence[float]):
    """The expected log-likelihood around the true parameter, one curve for each truth.

    See: the sharper the peak, the more an observation tells about the parameter, the larger the Fisher information.
    """
    fig, ax = figure(height=3.0)
    thetas = np.asarray(thetas, dtype=float)
    reach = min(min(truth - thetas.min(), thetas.max() - truth) for truth in truths) + 1e-9  # the same for all curves
    for (label, values), truth, (color, style) in zip(expected.items(), truths, _LINES, strict=False):
        values = np.asarray(values, dtype=float)
        near = np.abs(thetas - truth) <= reach
        ax.plot(
            thetas[near] - truth, values[near] - values.max(), color=color, linestyle=style, linewidth=2, label=label
        )
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set(xlabel="distance of the parameter from the truth", ylabel="expected log-likelihood,\nbelow its peak")
    fig.legend(loc="outside upper center", ncols=len(expected))
    return fig


@styled
def fisher_batch_sizes(
    sizes: Sequence[int], measured: Mapping[str, Sequence[float]], formula: Mapping[str, Sequence[float]]
):
    """The mean of squared batch gradients against the batch size: markers measured, lines mean^2 + Var / B.

    See: where the mean is zero the line falls as 1/B without end; where it is not, it flattens out at mean^2.
    """
    fig, ax = figure(height=3.2)
    for i, label in enumerate(measured):
        color, style = _LINES[i % len(_LINES)]
        ax.plot(sizes, formula[label], color=color, linestyle=style, label=f"{label}: formula")
        ax.plot(sizes, measured[label], color=color, linestyle="", marker=MARKERS[i % 6], label=f"{label}: measured")
    ax.set(xscale="log", yscale="log", xlabel="batch size B", ylabel="mean of squared\nbatch gradients")
    ax.set_xticks(list(sizes), [str(size) for size in sizes])
    ax.minorticks_off()
    fig.legend(loc="outside upper center", ncols=len(measured))
    return fig


@styled
def fisher_chosen(panels: Mapping[str, tuple[Mapping[str, object], Mapping[str, object]]]):
    """Scores as bars, the chosen ones hatched: `panels` is {title: (scores by name, chosen flat indices by name)}.

    See: between two panels, which bars have changed places and which entries have entered or left the child. The
    label of an entry that was chosen stands in brackets, so that a score of zero shows it too.
    """
    fig, axes = figure(1, len(panels), height=2.8, squeeze=False)
    for ax, (title, (scores, chosen)) in zip(axes[0], panels.items(), strict=True):
        entries = [(name, i, float(v)) for name in scores for i, v in enumerate(np.asarray(scores[name]).ravel())]
        keep = [i in np.asarray(chosen[name]).tolist() for name, i, _ in entries]
        ax.bar(
            range(len(entries)), [value for _, _, value in entries], edgecolor="white",
            color=[BLUE if k else "#DDDDDD" for k in keep], hatch=["//" if k else "" for k in keep],
        )  # fmt: skip
        labels = [f"[{name}{i}]" if k else f"{name}{i}" for (name, i, _), k in zip(entries, keep, strict=True)]
        ax.set_xticks(range(len(entries)), labels)
        ax.set_title(title)
    axes[0][0].set_ylabel("score (hatched: chosen)")
    return fig


@styled
def fisher_two_counts(keys: Sequence[int], k: int, low_bits: int = 4):
    """The two counting passes that find the k-th largest of small integer keys, without sorting.

    See: on the left the bin in which the k-th largest lies, counted from the right end; on the right the same inside
    that bin alone. The hatched bar on the right is the threshold.
    """
    keys = np.asarray(keys)
    upper = np.bincount(keys >> low_bits)
    bin_, above = _kth(upper, k)
    lower = np.bincount(keys[keys >> low_bits == bin_] & ((1 << low_bits) - 1), minlength=1 << low_bits)
    low, _ = _kth(lower, k - above)
    fig, axes = figure(1, 2, height=2.7)
    for ax, counts, hit, title in (
        (axes[0], upper, bin_, "Pass 1: upper bits of all keys"),
        (axes[1], lower, low, f"Pass 2: lower bits, keys of bin {bin_} only"),
    ):
        places = np.arange(len(counts))
        colors = [BROWN if i == hit else BLUE if i > hit else "#CCCCCC" for i in places]
        ax.bar(places, counts, color=colors, edgecolor="white", hatch=["xx" if i == hit else "" for i in places])
        ax.set(title=title, xlabel=f"bits (the {_ordinal(k)} largest: hatched)", yticks=range(counts.max() + 1))
        ax.set_xticks(places[:: 1 + len(places) // 12])
    axes[0].set_ylabel("how many keys")
    return fig


def _kth(counts, k: int) -> tuple[int, int]:
    above = 0
    for i in reversed(range(len(counts))):
        if above + counts[i] >= k:
            return i, above
        above += int(counts[i])
    raise ValueError(f"k={k} is more than the {above} keys there are")


def _ordinal(k: int) -> str:
    ending = "th" if 10 <= k % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th")
    return f"{k}{ending}"


@styled
def fisher_histogram(scores: Mapping[str, object], threshold: float, p: float):
    """How the scores of groups of entries spread, on a logarithmic axis, and the threshold of the child.

    See: each curve has area 1, so groups of any size compare; what lies to the right of the line trains.
    `scores` is {parameter name: scores}. Scores of exactly zero cannot be drawn and are left out.
    """
    fig, ax = figure(height=3.3)
    groups: dict[str, list] = {}
    for name, values in scores.items():
        values = np.asarray(values).ravel()
        groups.setdefault(_group(name), []).append(np.log10(values[values > 0]))
    logs = {label: np.concatenate(parts) for label, parts in groups.items()}
    low = min((v.min() for v in logs.values() if v.size), default=-1.0)
    high = max((v.max() for v in logs.values() if v.size), default=0.0)
    edges = np.linspace(low, high + 1e-3, 81)
    for (label, values), (color, style) in zip(logs.items(), _KINDS * 2, strict=False):
        density = np.histogram(values, edges, density=True)[0] if values.size else np.zeros(80)
        ax.stairs(density, edges, color=color, linestyle=style, linewidth=1.8, label=label)
    if threshold > 0:
        ax.axvline(np.log10(threshold), color="black", linewidth=1.2, label=f"threshold for $p_D$ = {p:g}")
    ax.set(xlabel="log10 of the score", ylabel="density")
    fig.legend(loc="outside upper center", ncols=3)
    return fig


def _group(name: str) -> str:
    """The broad kind of a parameter: one of six."""
    kind = short_kind(name)
    for word, label in (("LayerNorm", "LayerNorm"), ("bias", "biases"), ("FFN", "FFN"), ("value", "value, output")):
        if word in kind:
            return label
    return {"query": "query, key", "key": "query, key", "attention out": "value, output"}.get(kind, "others")
