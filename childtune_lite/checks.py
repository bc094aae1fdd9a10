"""Claims: sentences about a result that execute.

`claim` prints a sentence and fails when it stops being true. The printed words are the same on every machine, so a
strict notebook test compares them; the raw numbers stand in the error, or in the text beside it.
"""

import math


def claim(sentence: str, measured, expected=None, *, tol=None, above=None, below=None) -> None:
    """Print `sentence` if it holds, else raise an AssertionError with the numbers.

    Give one of:
        expected, tol: |measured - expected| <= tol, with a finite tol smaller than |expected| (unless that is 0).
        above and / or below: above < measured < below. Each may be a number that was measured as well.
        nothing else: `measured` is a bool that must be True.
    """
    if expected is not None:
        if tol is None or not math.isfinite(tol) or tol < 0 or (expected and tol >= abs(expected)):
            raise ValueError(f"tol={tol!r} for expected={expected!r}: a claim with that tolerance could not fail")
        holds, wanted = abs(measured - expected) <= tol, f"{expected} within {tol}"
    elif above is not None or below is not None:
        low, high = -math.inf if above is None else above, math.inf if below is None else below
        if low >= high:
            raise ValueError(f"above={above!r} and below={below!r} leave no room: the claim could not hold")
        holds, wanted = low < measured < high, f"between {low} and {high}"
    else:
        if not isinstance(measured, bool) and type(measured).__name__ != "bool_":
            raise ValueError(f"measured={measured!r}: without expected, above or below, a claim needs a bool")
        holds, wanted = bool(measured), "True"
    if not holds:
        raise AssertionError(f"no longer true: {sentence}\n  measured {measured}, wanted {wanted}")
    print(f"Holds: {sentence}")


def compare_guess(guess: float | None, measured: float, what: str, digits: int = 2) -> None:
    """Print a learner's prediction beside what was measured. `guess` None means that none was made yet."""
    if guess is None:
        print(f"{what}: measured {measured:.{digits}f}.")
        print("(You made no guess: set it above, and run both cells again.)")
    else:
        off = f"{guess - measured:+.{digits}f}"
        print(f"{what}: you said {guess:.{digits}f}, measured {measured:.{digits}f}, off by {off}.")
