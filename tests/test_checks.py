"""Claims: what they print, and that they can fail."""

import math

import pytest

from childtune_lite.checks import claim, compare_guess


@pytest.mark.parametrize(
    "numbers",
    [
        {"measured": 1.02, "expected": 1.0, "tol": 0.05},
        {"measured": 0.01, "expected": 0, "tol": 0.05},
        {"measured": 3, "above": 2},
        {"measured": 3, "below": 4},
        {"measured": 3, "above": 2, "below": 4},
        {"measured": True},
    ],
)
def test_true_claim_prints_its_sentence_alone(capsys, numbers):
    claim("The mean is kept.", **numbers)
    assert capsys.readouterr().out == "Holds: The mean is kept.\n"


@pytest.mark.parametrize(
    "numbers",
    [
        {"measured": 1.06, "expected": 1.0, "tol": 0.05},
        {"measured": math.nan, "expected": 1.0, "tol": 0.05},
        {"measured": 2, "above": 2},
        {"measured": 5, "above": 2, "below": 4},
        {"measured": math.nan, "below": 4},
        {"measured": False},
    ],
)
def test_false_claim_fails_with_its_numbers(numbers):
    with pytest.raises(AssertionError, match="The mean is kept"):
        claim("The mean is kept.", **numbers)


@pytest.mark.parametrize(
    "numbers",
    [
        {"measured": 1.0, "expected": 1.0},
        {"measured": 1.0, "expected": 1.0, "tol": 1.0},
        {"measured": 1.0, "expected": 1.0, "tol": math.inf},
        {"measured": 0.0, "expected": 0.0, "tol": math.inf},
        {"measured": 1.0, "expected": 1.0, "tol": -0.1},
        {"measured": 1.0, "above": 2, "below": 1},
        {"measured": 1.0},
    ],
)
def test_claim_that_could_not_fail_is_refused(numbers):
    with pytest.raises(ValueError, match=r"tol|above|bool"):
        claim("Anything.", **numbers)


def test_guess_is_kept_beside_the_measurement(capsys):
    compare_guess(None, 0.8, "Share of zeros")
    compare_guess(0.2, 0.8, "Share of zeros")
    none, its_hint, wrong = capsys.readouterr().out.splitlines()
    assert "0.80" in none
    assert "no guess" in its_hint
    assert "0.20" in wrong
    assert "-0.60" in wrong
