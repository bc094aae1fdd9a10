"""The exact top k of many tensors at once, without joining or sorting them.

Non-negative floats are ordered like their bit patterns, read as integers. So the k-th largest score is found by
counting alone: one pass counts the upper 16 bits of every entry, a second one the lower 16 bits of the entries that
share the bin where the k-th one lies. That gives the threshold exactly; a last pass collects what is above it.
Scores are read a chunk at a time, so beside the result there is next to no extra memory. The released code joins all
scores by repeated copying and calls np.percentile (ChildTuningD.py), which for BERT-large copies hundreds of gigabytes.

Taught in notebook 03.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import torch

from .draws import MAX_ENTRIES
from .hooks import check_share

_CHUNK = 1 << 20


def number_to_choose(scores: Mapping[str, torch.Tensor], p: float) -> int:
    """round(p * N), after a look at what is to be chosen from."""
    if not isinstance(scores, Mapping):
        raise ValueError(
            f"scores={type(scores).__name__}: expected {{parameter name: tensor}}, as fisher_scores returns"
        )
    for name, score in scores.items():
        if not torch.is_tensor(score) or not score.is_floating_point():
            found = getattr(score, "dtype", type(score).__name__)
            raise ValueError(f"scores[{name!r}] is {found}: expected a tensor of floating-point numbers")
        if score.numel() > MAX_ENTRIES:
            raise ValueError(
                f"scores[{name!r}] has {score.numel()} entries, more than int32 indices reach ({MAX_ENTRIES})"
            )
    p, total = check_share(p), sum(s.numel() for s in scores.values())
    if round(p * total) == 0:
        raise ValueError(f"p={p} of {total} entries is less than one entry: nothing would train. Choose a larger p.")
    return round(p * total)


def check_order(scores: Mapping[str, torch.Tensor]) -> None:
    """Refuse scores that cannot be ranked."""
    for name, score in scores.items():
        low, high = map(float, score.aminmax()) if score.numel() else (0.0, 0.0)
        if not (low >= 0 and high < math.inf):  # so that NaN, for which no comparison holds, is caught as well
            raise ValueError(
                f"scores[{name!r}] holds NaN, infinite or negative values, which have no order to choose by: "
                "check the loss and the learning data, or the precision of the scoring pass"
            )


def score_keys(scores: torch.Tensor, largest: bool = True) -> Iterator[torch.Tensor]:
    """Scores >= 0 as chunks of flat int32 keys in the same order; in the opposite order if `largest` is False."""
    for chunk in scores.detach().reshape(-1).split(_CHUNK):
        keys = chunk.float().abs().view(torch.int32)  # abs: -0.0 must not sort below 0.0
        yield keys if largest else keys.bitwise_xor_(0x7FFFFFFF)


def select_top(key_of: Mapping[str, Callable[[], Iterator[torch.Tensor]]], k: int) -> dict[str, torch.Tensor]:
    """Flat int32 indices, ascending, of the exactly k largest entries over all tensors, by name.

    `key_of[name]()` gives the int32 keys (>= 0) of one tensor in flat chunks; it is called three times. Of equal keys
    the first ones win: tensors in the order of their names, entries in the order of their flat index. So ties break
    the same way every time.
    """

    def chunks() -> Iterator[torch.Tensor]:
        for name in sorted(key_of):
            yield from key_of[name]()

    upper = _count((keys >> 16 for keys in chunks()), 1 << 15)
    top_bin, above = _find_bin(upper, k)
    lower = _count((keys[(keys >> 16) == top_bin] & 0xFFFF for keys in chunks()), 1 << 16)
    low_bin, above_in_bin = _find_bin(lower, k - above)
    threshold = (top_bin << 16) | low_bin
    ties_wanted = k - above - above_in_bin

    chosen = {}
    for name in sorted(key_of):
        found, start = [], 0
        for keys in key_of[name]():
            keep = keys > threshold
            if ties_wanted:
                ties = (keys == threshold).nonzero().flatten()[:ties_wanted]
                keep[ties] = True
                ties_wanted -= ties.numel()
            found.append(keep.nonzero().flatten().add_(start).to(torch.int32))
            start += keys.numel()
        chosen[name] = torch.cat(found) if found else torch.empty(0, dtype=torch.int32)
    return chosen


def _count(values: Iterator[torch.Tensor], bins: int) -> torch.Tensor:
    """How often each of the integers 0 .. bins - 1 occurs, int64 on the CPU."""
    return sum((torch.bincount(v, minlength=bins).cpu() for v in values), torch.zeros(bins, dtype=torch.int64))


def _find_bin(counts: torch.Tensor, k: int) -> tuple[int, int]:
    """The bin that holds the k-th largest entry, and how many entries lie in the bins above it."""
    from_top = counts.flip(0).cumsum(0)
    position = int(torch.searchsorted(from_top, k))
    above = int(from_top[position - 1]) if position else 0
    return len(counts) - 1 - position, above
