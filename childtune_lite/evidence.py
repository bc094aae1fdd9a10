"""What a set of paired runs shows, and what it could have shown: intervals, and the smallest difference in reach.

Runs pair by seed: the same examples, head, order and dropout, so what both share drops out of the difference. Taught
in notebooks 05 (the pairs) and 07 (the study).
"""

import math
from collections.abc import Sequence


def paired_interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the ends of the 95% t interval of paired differences; infinite ends for a single pair."""
    from scipy import stats

    mean = sum(differences) / len(differences)
    if len(differences) < 2:
        return mean, -math.inf, math.inf
    if len(set(differences)) == 1:
        return mean, mean, mean  # the test statistic would be a division by zero
    interval = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    return mean, float(interval.low), float(interval.high)


def bootstrap_interval(
    differences: Sequence[float], resamples: int = 9999, seed: int = 0
) -> tuple[float, float, float]:
    """Mean, and the ends of the 95% bootstrap interval (percentile) of the mean of paired differences.

    It assumes no normal distribution. With few pairs it is too narrow: five numbers cannot show their own tails. Read
    it beside the t interval. Infinite ends for a single pair.
    """
    from scipy import stats

    mean = sum(differences) / len(differences)
    if len(differences) < 2:
        return mean, -math.inf, math.inf
    interval = stats.bootstrap(
        (list(differences),), lambda d, axis: d.mean(axis=axis), confidence_level=0.95, n_resamples=resamples,
        method="percentile", rng=seed,
    ).confidence_interval  # fmt: skip
    return mean, float(interval.low), float(interval.high)


def detectable_difference(n: int, sd: float, power: float = 0.8) -> float:
    """The smallest true mean difference that a two-sided paired t test (at 5%) on n pairs finds with this power.

    sd: standard deviation of the paired differences; the answer is in its unit. Under a true difference the test
    statistic follows the noncentral t distribution; we look for the shift at which it exceeds the critical value with
    probability `power`. Infinite for a single pair.
    """
    if n < 2:
        return math.inf
    from scipy import optimize, stats

    critical = stats.t.ppf(0.975, n - 1)
    shift = optimize.brentq(lambda d: stats.nct.sf(critical, n - 1, d) - power, 0.0, 10 * critical)
    return float(shift) * sd / math.sqrt(n)
