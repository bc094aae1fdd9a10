"""Intervals and the smallest difference in reach, against what they promise."""

import math

import numpy as np
import pytest
from scipy import stats

from childtune_lite.evidence import bootstrap_interval, detectable_difference, paired_interval


def test_the_t_interval_covers_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = sum(
        low <= 0.5 <= high for _, low, high in (paired_interval(generator.normal(0.5, 1, 5)) for _ in range(2000))
    )
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)


def test_the_bootstrap_of_five_is_too_narrow_and_that_of_fifty_is_not():
    """The reason to print both, as the docstring says."""
    generator = np.random.default_rng(1)

    def coverage(n, runs=300):
        ends = (bootstrap_interval(generator.normal(0.5, 1, n), resamples=500) for _ in range(runs))
        return sum(low <= 0.5 <= high for _, low, high in ends) / runs

    assert coverage(5) < 0.90
    assert coverage(50) == pytest.approx(0.95, abs=0.04)


def test_the_bootstrap_repeats_and_agrees_with_resampling_by_hand():
    values = [1.0, 3.0, -2.0, 0.5, 2.0]
    mean, low, high = bootstrap_interval(values)
    assert (mean, low, high) == bootstrap_interval(values)
    means = np.random.default_rng(5).choice(values, (20000, 5)).mean(1)
    assert mean == pytest.approx(0.9)
    assert [low, high] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.06)


def test_a_single_pair_shows_nothing():
    assert paired_interval([2.0]) == bootstrap_interval([2.0]) == (2.0, -math.inf, math.inf)
    assert detectable_difference(1, 1.0) == math.inf


def test_the_detectable_difference_is_found_four_times_in_five():
    generator = np.random.default_rng(2)
    shift = detectable_difference(5, sd=2.0)
    samples = generator.normal(shift, 2.0, (4000, 5))
    found = (stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=0.02)
