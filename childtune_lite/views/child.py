"""Notebook 03's widget: where the child lies in the network, and what it shares with another task's child."""

import textwrap
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from ..fisher import encoder_scope
from ..plots.child import short_kind
from ..plots.redrawn import child_panels
from .child_levels import nested_children, shared_counts
from .view import Choice, View

SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0)
SCOPES = ("all blocks", "attention only", "feed-forward only")
EDGES = np.arange(-30, 6.01, 0.125)  # of the histogram, in powers of ten; a score of 0 falls into the first bin


class _Case(NamedTuple):
    """What is kept of 10 million scores for one estimator and scope: the answers for every p."""

    thresholds: tuple[float, ...]
    sizes: tuple[int, ...]
    tables: dict[str, np.ndarray]  # as `shared_counts` gives them, for the parameters in the scope
    counts: np.ndarray  # histogram of the first task's scores, over EDGES


def child_on_the_map(scores: Mapping[str, Mapping[str, Mapping[str, torch.Tensor]]]) -> View:
    """The child of the first task for any p_D, estimator and scope: its place, its threshold, its overlap.

    Args:
        scores: {task: {estimator: {parameter name: scores}}} for two tasks, as `fisher_scores` returns them. Nothing of
            them is kept: what a redraw needs is counted here, once (some seconds for 10 million entries).
    """
    _check(scores)
    (task, first), (other, second) = scores.items()
    cases = {}
    for estimator in first:
        histograms = {name: _histogram(score) for name, score in first[estimator].items()}
        for scope in SCOPES:
            names = [name for name in histograms if _in_scope(name, scope)]
            mine, theirs = (nested_children({n: s[estimator][n] for n in names}, SHARES) for s in (first, second))
            counts = sum(histograms[name] for name in names)
            cases[estimator, scope] = _Case(mine.thresholds, mine.sizes, shared_counts(mine, theirs), counts)
    parameters = list(next(iter(first.values())))  # in the network's order
    shown = _shown(sum(case.counts for (_, scope), case in cases.items() if scope == SCOPES[0]))

    def draw(p: float, estimator: str, scope: str) -> tuple:
        case, at = cases[estimator, scope], SHARES.index(p)
        shares = {n: t[at, -1] / t[-1, -1] for n in parameters if (t := case.tables.get(n)) is not None}
        overlap = sum(int(table[at, at]) for table in case.tables.values()) / case.sizes[at]
        total = sum(int(table[-1, -1]) for table in case.tables.values())
        threshold = case.thresholds[at] if p < 1 else None
        figure = child_panels(
            {name: shares.get(name) for name in parameters}, _rates(case.tables, at, short_kind), p,
            EDGES[shown.start : shown.stop + 1], case.counts[shown] / total, threshold, overlap, other,
        )  # fmt: skip
        rates = ", ".join(f"{kind} {rate:.2f}" for kind, rate in _rates(case.tables, at, _broad_kind).items())
        lines = [
            f"the child for {task}: {case.sizes[at]:,} of the {total:,} entries in the scope ({scope})",
            "no threshold: every entry trains" if threshold is None else f"threshold ({estimator}): {threshold:.2e}",
            *textwrap.wrap(f"share that trains: {rates}", 88, subsequent_indent=" " * 19),
            f"shared with the child for {other}: {overlap:.2f} (chance {p:g})",
        ]
        return figure, "\n".join(lines)

    controls = {
        "p": Choice("p_D", SHARES, 0.3),
        "estimator": Choice("estimator", tuple(first), next(iter(first)), "buttons"),
        "scope": Choice("scope", SCOPES, SCOPES[0], "buttons"),
    }
    alt = (
        "Left, a heat map of the share of each tensor that trains, kinds of tensor against blocks. Right, the "
        "histogram of the scores, filled above the child's threshold; below, a bar with the share of the child that "
        "another task's child holds too."
    )
    return View(draw, controls, alt)


def _in_scope(name: str, scope: str) -> bool:
    return scope == SCOPES[0] or ("attention" in name) == (scope == SCOPES[1])


def _broad_kind(name: str) -> str:
    """Matrices by their name, the small tensors together."""
    kind = short_kind(name)
    return "LayerNorms" if "LayerNorm" in kind else "biases" if "bias" in kind else kind


def _rates(tables: Mapping[str, np.ndarray], at: int, kind_of) -> dict[str, float]:
    """{kind of tensor: the share of its entries, over all blocks, that is in child number `at`}."""
    held: dict[str, np.ndarray] = {}
    for name, table in tables.items():
        held[kind_of(name)] = held.get(kind_of(name), 0) + table[[at, -1], -1]
    return {kind: trains / size for kind, (trains, size) in held.items()}


def _histogram(scores: torch.Tensor) -> np.ndarray:
    """Entries in each bin of EDGES; what lies beyond either end is counted in the outermost bin."""
    bins, counts = len(EDGES) - 1, 0
    for part in scores.detach().float().cpu().reshape(-1).split(1 << 20):  # piece by piece, to need little memory
        place = (part.log10() - EDGES[0]) / (EDGES[1] - EDGES[0])
        counts = counts + torch.bincount(place.clamp(0, bins - 1).int(), minlength=bins).numpy()
    return counts


def _shown(counts: np.ndarray) -> slice:
    """The bins that are drawn: without the lowest thousandth of the scores and the highest ten-thousandth."""
    below = counts.cumsum() / counts.sum()
    return slice(int((below > 0.001).argmax()), int((below >= 0.9999).argmax()) + 1)


def _check(scores) -> None:
    if len(scores) != 2:
        raise ValueError(f"scores is for {len(scores)} task(s), {list(scores)}: give two, {{task: {{estimator: ...}}}}")
    (task, first), (other, second) = scores.items()
    if list(first) != list(second) or not first:
        raise ValueError(f"scores has the estimators {list(first)} for {task!r}, but {list(second)} for {other!r}")
    shapes = None
    for label, estimators in scores.items():
        for estimator, of_one in estimators.items():
            found = {name: tuple(score.shape) for name, score in of_one.items()}
            shapes = found if shapes is None else shapes
            if found != shapes:
                odd = sorted(n for n in found.keys() | shapes.keys() if found.get(n) != shapes.get(n))
                raise ValueError(
                    f"scores[{label!r}][{estimator!r}] has other parameters than the first ones, or other shapes: "
                    f"{odd[:3]}. Score the same network, in the same scope"
                )
    for scope in SCOPES:
        if not any(_in_scope(name, scope) for name in shapes):
            raise ValueError(f"scores: no parameter belongs to {scope!r} (attention: 'attention' in its name)")
    if outside := [name for name in shapes if not encoder_scope(name)]:
        raise ValueError(f"scores: {outside[:3]} are in no numbered block and have no place on the map")
