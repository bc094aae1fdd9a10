"""The exact top k of many tensors at once, without joining or sorting them.

Non-negative floats are ordered like their bit patterns, read as integers. So the k-th largest score is found by
counting alone: one pass counts the upper 16 bits of every entry, a second one the lower 16 bits of the entries that
share the bin where the k-th one lies. That gives the threshold exactly; a last pass collects what is above it.
Extra memory is one small chunk. The released code joins all scores by repeated copying and calls np.percentile
(ChildTuningD.py), which for BERT-large copies hundreds of gigabytes.

Taught in notebook 03.
"""

from collections.abc import Callable, Iterator, Mapping

import torch

_CHUNK = 1 << 20


def score_keys(scores: torch.Tensor, largest: bool = True) -> torch.Tensor:
    """Float32 scores >= 0 as flat int32 keys in the same order; in the opposite order if `largest` is False."""
    keys = scores.abs().reshape(-1).view(torch.int32)  # abs: -0.0 must not sort below 0.0
    return keys if largest else keys ^ 0x7FFFFFFF


def select_top(key_of: Mapping[str, Callable[[], torch.Tensor]], k: int) -> dict[str, torch.Tensor]:
    """Flat int32 indices, ascending, of the exactly k largest entries over all tensors, by name.

    `key_of[name]()` gives the flat int32 keys (>= 0) of one tensor. Of equal keys the first ones win: tensors in the
    order of their names, entries in the order of their flat index. So ties break the same way every time.
    """

    def chunks() -> Iterator[tuple[str, int, torch.Tensor]]:
        for name in sorted(key_of):
            keys = key_of[name]()
            for start in range(0, keys.numel(), _CHUNK):
                yield name, start, keys[start : start + _CHUNK]

    upper = _count((keys >> 16 for _, _, keys in chunks()), 1 << 15)
    top_bin, above = _find_bin(upper, k)
    lower = _count(((keys & 0xFFFF)[(keys >> 16) == top_bin] for _, _, keys in chunks()), 1 << 16)
    low_bin, above_in_bin = _find_bin(lower, k - above)
    threshold = (top_bin << 16) | low_bin
    ties_wanted = k - above - above_in_bin

    found = {name: [] for name in sorted(key_of)}
    for name, start, keys in chunks():
        keep = keys > threshold
        if ties_wanted:
            ties = (keys == threshold).nonzero().flatten()[:ties_wanted]
            keep[ties] = True
            ties_wanted -= ties.numel()
        found[name].append(keep.nonzero().flatten().add_(start).to(torch.int32))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _count(values: Iterator[torch.Tensor], bins: int) -> torch.Tensor:
    """How often each of the integers 0 .. bins - 1 occurs, int64 on the CPU."""
    return sum((torch.bincount(v, minlength=bins).cpu() for v in values), torch.zeros(bins, dtype=torch.int64))


def _find_bin(counts: torch.Tensor, k: int) -> tuple[int, int]:
    """The bin that holds the k-th largest entry, and how many entries lie in the bins above it."""
    from_top = counts.flip(0).cumsum(0)
    position = int(torch.searchsorted(from_top, k))
    above = int(from_top[position - 1]) if position else 0
    return len(counts) - 1 - position, above
