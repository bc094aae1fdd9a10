"""An exercise in code: the learner writes a function, and it is run beside a slow reference on cases drawn by seed."""

import copy
import inspect
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from .compare import Comparison, compare, leaves, unlike

SEED, HIDDEN_SEED = 0, 7_001


@dataclass(frozen=True)
class Report:
    """What came out: attempted at all, solved, and the words for the learner."""

    attempted: bool
    solved: bool
    text: str


NOT_ATTEMPTED = Report(False, False, "not attempted yet. Fill in the cell above, run it, then run this one.")


class Exercise:
    """What all kinds share: a `name` such as "01.2", a `title`, and `report(answer, hidden=False) -> Report`."""

    name: str
    title: str

    def report(self, answer, hidden: bool = False) -> Report:
        raise NotImplementedError


@dataclass(frozen=True)
class Code(Exercise):
    """The answer is a function.

    reference: the wanted function, written to be obvious rather than fast; never shown, never the learner's.
    cases: seed -> (what this case is, its arguments), several shapes, dtypes and p.
    mistakes: (the words, the function that makes this mistake). A wrong answer that agrees with one of them in every
        case that fails gets its words. Earlier ones win.
    hidden: further cases for graders, same form.
    observe: (function, *arguments) -> what is compared; by default the function's result. For answers that draw or
        train: call it many times, or run an optimizer, and return what can be compared.
    tolerance: absolute; by default the rounding of the result's dtype.
    dtypes: whether the result must have the reference's dtype.
    may_change: whether the function may write into its arguments.
    because: what a solver should take along, said when it is solved.
    """

    name: str
    title: str
    reference: Callable
    cases: Callable[[int], Iterable[tuple[str, tuple]]]
    mistakes: Sequence[tuple[str, Callable]]
    hidden: Callable[[int], Iterable[tuple[str, tuple]]] | None = None
    observe: Callable = lambda function, *arguments: function(*arguments)
    tolerance: float | None = None
    dtypes: bool = True
    may_change: bool = False
    because: str = ""

    def drawn(self, hidden: bool) -> list[tuple[str, tuple]]:
        if not hidden:
            return list(self.cases(SEED))
        return [*self.cases(HIDDEN_SEED), *(self.hidden(HIDDEN_SEED) if self.hidden else ())]

    def report(self, answer, hidden: bool = False) -> Report:
        if not callable(answer):
            return Report(
                True, False, f"wanted a function, got {type(answer).__name__}. Hand over its name, no brackets."
            )
        cases, found, failed = self.drawn(hidden), [], []
        for label, arguments in cases:
            got = self.outcome(answer, arguments)
            if isinstance(got, NotImplementedError) and not got.args:
                return NOT_ATTEMPTED
            wanted = self.outcome(self.reference, arguments)
            if isinstance(wanted, Exception):  # a fault of ours must not look like one of the learner's
                raise wanted
            seen = self.compare(got, wanted)
            found.append(seen)
            if seen.problem:
                failed.append((label, arguments, got, seen))
        if not failed:
            return Report(True, True, self.praise(found))
        return Report(True, False, self.diagnose(failed, len(cases)))

    def outcome(self, function, arguments):
        """What is compared, or the exception. Works on copies, and leaves the global random state as it was."""
        mine = copy.deepcopy(arguments)
        before = torch.get_rng_state()
        try:
            result = self.observe(function, *mine)
        except Exception as error:  # whatever a learner's code raises is part of the report
            error.where = _line_of(error, function)
            return error
        finally:
            torch.set_rng_state(before)
        if not self.may_change:
            now = dict(leaves(mine, "argument"))
            for path, old in leaves(arguments, "argument"):
                if path not in now or (isinstance(old, torch.Tensor) and not torch.equal(now[path], old)):
                    return Changed(_argument_name(function, path))
        return result

    def compare(self, got, wanted) -> Comparison:
        if isinstance(got, Changed):
            return unlike(f"your function writes into its argument `{got}`")
        if isinstance(got, Exception):
            text = (str(got).strip() or "no message").splitlines()[0]
            return unlike(f"it stopped{got.where} with {type(got).__name__}: {text}")
        return compare(got, wanted, self.tolerance, self.dtypes)

    def diagnose(self, failed, n_cases: int) -> str:
        label, _, _, seen = failed[0]
        words = next((text for text, wrong in self.mistakes if self.explains(wrong, failed)), None)
        problem = seen.problem if seen.problem.endswith(("?", ".")) else seen.problem + "."
        lines = [f"not yet right. {words or problem[0].upper() + problem[1:]}"]
        which = "The failing case" if len(failed) == 1 else f"First of {len(failed)} failing cases"
        lines.append(f"  {which} (of {n_cases}): {label}.")
        if words and seen.difference == float("inf"):
            lines.append(f"  There: {problem}")
        elif seen.difference < float("inf") and not isinstance(failed[0][2], dict):  # facts have no shape to tell
            lines.append(f"  {seen.line()}")
        return "\n".join(lines)

    def explains(self, wrong: Callable, failed) -> bool:
        """Whether `wrong` gives what the learner got, in every case that failed."""
        for _, arguments, got, _ in failed:
            same = self.outcome(wrong, arguments)
            if isinstance(got, Changed) or isinstance(same, Changed):
                if type(got) is not type(same):
                    return False
            elif isinstance(got, Exception) or isinstance(same, Exception):
                if type(got) is not type(same) or isinstance(got, NameError | SyntaxError):
                    return False
            elif compare(got, same, self.tolerance, self.dtypes).problem:
                return False
        return True

    def praise(self, found: Sequence[Comparison]) -> str:
        exact, largest = sum(one.exact for one in found), max(one.difference for one in found)
        agree = "all exact" if exact == len(found) else f"{exact} exact, {len(found) - exact} within the tolerance"
        return f"solved. {len(found)} cases: {agree}, largest difference {largest:.2g}. {self.because}".rstrip()


def _line_of(error: Exception, function) -> str:
    """Where in the learner's function it happened, or in what that defines: the deepest frame of the same source."""
    code = getattr(function, "__code__", None)
    frames = [(f.f_code.co_filename, line) for f, line in traceback.walk_tb(error.__traceback__)]
    lines = [line - code.co_firstlineno + 1 for file, line in frames if code and file == code.co_filename]
    return f" in line {lines[-1]} of the function" if lines and lines[-1] > 0 else ""


class Changed(str):
    """The name of an argument that a function wrote into."""


def _argument_name(function, path: str) -> str:
    place = int(path.removeprefix("argument[").split("]")[0])
    names = list(inspect.signature(function).parameters)
    return names[place] if place < len(names) else f"number {place + 1}"
