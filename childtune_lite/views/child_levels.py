"""Nested children: one small number an entry tells which of several children hold it.

The child at p = 0.05 holds all of the child at p = 0.01, and so on. So for a list of p it is enough to count how many
of the children hold an entry: its level. The levels of two tasks make one small table a tensor, and the tables answer
for every pair of p how many entries train and how many two children share, without another pass over all entries.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch


class Nested(NamedTuple):
    """The children `Child.top(scores, p)` for a few p, in ascending order.

    Attributes:
        levels: {parameter name: flat uint8, how many of the children hold each entry}. Child number i of n holds the
            entries of level n - i or more.
        thresholds: the lowest score in each child.
        sizes: the number of entries in each child.
    """

    levels: dict[str, torch.Tensor]
    thresholds: tuple[float, ...]
    sizes: tuple[int, ...]


def nested_children(scores: Mapping[str, torch.Tensor], shares: Sequence[float]) -> Nested:
    """The levels of `scores` for ascending `shares`. Of equal scores the first ones win, as in `Child.top`."""
    parts = {name: scores[name].detach().float().cpu().reshape(-1) for name in sorted(scores)}
    total = sum(part.numel() for part in parts.values())
    sizes = tuple(round(p * total) for p in shares)
    if not all(bool((part >= 0).all()) for part in parts.values()):
        raise ValueError("scores holds NaN or negative values, which have no order to choose by")
    if min(sizes) == 0:
        raise ValueError(f"scores has {total} entries: a child of p = {min(shares):g} would hold none of them")
    levels = {name: torch.zeros(score.numel(), dtype=torch.uint8) for name, score in scores.items()}
    thresholds = _thresholds(list(parts.values()), [total - size for size in sizes])
    for threshold, size in zip(thresholds, sizes, strict=True):
        ties = size - sum(int((part > threshold).count_nonzero()) for part in parts.values())
        for name, part in parts.items():
            held = part >= threshold
            alike = (part == threshold).nonzero().flatten()
            held[alike[ties:]] = False  # entries with a score of just the threshold, and no room for them
            ties -= min(ties, len(alike))
            levels[name] += held
    return Nested(levels, tuple(thresholds), sizes)


def _thresholds(parts: list[torch.Tensor], places: list[int]) -> list[float]:
    """What stands at these places when all entries are sorted."""
    joined = torch.cat(parts).numpy()
    joined.partition(places)  # in place: a second copy of 10 million scores would be 40 MB more
    return joined[places].tolist()


def shared_counts(first: Nested, second: Nested) -> dict[str, np.ndarray]:
    """{parameter name: table}: table[i, j] entries are in child i of `first` and in child j of `second`.

    The last index stands for the whole tensor: table[i, -1] entries are in child i of `first`.
    """
    width = len(first.sizes) + 1
    tables = {}
    for name, level in first.levels.items():
        pair = level.short() * width + second.levels[name]
        counts = torch.bincount(pair, minlength=width**2).view(width, width)
        tables[name] = counts.flip(0, 1).cumsum(0).cumsum(1).numpy()  # highest level first, then all down to it
    return tables
