"""Exercises whose answer is a number or a choice: predict, find the bug, read a figure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import torch

from .exercise import NOT_ATTEMPTED, Exercise, Report


@dataclass(frozen=True)
class Number(Exercise):
    """Predict a number. It is scored against `measure()`, which measures when asked, and is never typed.

    tolerance: how far off a right prediction may be (absolute).
    mistakes: (the words, what this misreading predicts). An answer nearer than `near` to it gets its words;
        `near` is a hundredth of the prediction unless given.
    digits: of the printed numbers.
    because: what the right number means, said when it is solved.
    """

    name: str
    title: str
    measure: Callable[[], float]
    tolerance: float
    mistakes: Sequence[tuple[str, float]]
    near: float | None = None
    digits: int = 2
    because: str = ""

    def report(self, answer, hidden: bool = False) -> Report:
        if answer is None:
            return NOT_ATTEMPTED
        if isinstance(answer, torch.Tensor) and answer.numel() == 1:
            answer = answer.item()
        if isinstance(answer, bool) or not isinstance(answer, Real) or not math.isfinite(answer):
            return Report(True, False, f"wanted a number, got {answer!r}.")
        truth = self.measure()
        numbers = f"you said {answer:.{self.digits}f}, measured {truth:.{self.digits}f}"
        off = f"off by {answer - truth:+.{self.digits}f} (allowed: {self.tolerance:.{self.digits}f})"
        if abs(answer - truth) <= self.tolerance:
            return Report(True, True, f"solved: {numbers}, {off}. {self.because}".rstrip())
        for words, value in self.mistakes:
            if abs(answer - value) <= (abs(value) / 100 if self.near is None else self.near):
                return Report(
                    True, False, f"not yet right. {words}\n  The measured value stays hidden until you have it."
                )
        side = "too high" if answer > truth else "too low"
        return Report(True, False, f"not yet right: {answer:.{self.digits}f} is {side}. Derive it, or open the hints.")


@dataclass(frozen=True)
class Choice(Exercise):
    """Pick one: the line with the bug, the curve that belongs to a setting. Every wrong choice has its own words."""

    name: str
    title: str
    right: str | int
    because: str
    wrong: Mapping[str | int, str]

    def report(self, answer, hidden: bool = False) -> Report:
        if answer is None:
            return NOT_ATTEMPTED
        given = answer if isinstance(answer, str | int) else None
        if given == self.right:
            return Report(True, True, f"solved. {self.because}")
        if given in self.wrong:
            return Report(True, False, f"not yet right. {self.wrong[given]}")
        options = ", ".join(
            repr(one) for one in sorted([self.right, *self.wrong], key=lambda one: (str(type(one)), one))
        )
        return Report(True, False, f"{answer!r} is none of the choices: {options}.")
