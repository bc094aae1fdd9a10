"""Exercises that check themselves: one file a notebook, and two functions for its cells.

`check` is for learners: it prints what it found and never stops the notebook. `require` is for graders: it raises.
Neither compares with the learner's own answer: each exercise holds a slow, obvious reference, cases drawn by seed, and
the mistakes that people make, so that a wrong answer is told apart from other wrong answers.
"""

from importlib import import_module

from .exercise import Code, Exercise, Report
from .quiz import Choice, Number

__all__ = ["Choice", "Code", "Exercise", "Number", "Report", "check", "exercise", "of_notebook", "require"]

FILES = {
    "00": "start",
    "01": "bernoulli",
    "02": "updates",
    "03": "fisher",
    "04": "optimizers",
    "05": "training",
    "06": "full_size",
    "07": "generalize",
    "08": "vision",
    "09": "scaling",
}
_solved: set[str] = set()  # in this session; nothing is written to disk or sent anywhere


def of_notebook(number: str) -> dict[str, Exercise]:
    """The exercises of a notebook ("00" to "09"), by their names ("01.2"), in order."""
    if number not in FILES:
        raise ValueError(f"notebook={number!r}: exercises belong to one of {', '.join(FILES)}")
    listed = import_module(f"{__name__}.{FILES[number]}").EXERCISES
    return {one.name: one for one in listed}


def exercise(name: str) -> Exercise:
    """One exercise by its name, such as "01.2": notebook, then place."""
    known = of_notebook(str(name)[:2])
    if name not in known:
        raise ValueError(f"name={name!r}: notebook {name[:2]} has the exercises {', '.join(known)}")
    return known[name]


def check(name: str, answer) -> None:
    """Try an answer on the exercise's own cases and print the report. Raises nothing that the answer raises."""
    report = exercise(name).report(answer)
    if report.solved:
        _solved.add(name)
    here = of_notebook(name[:2])
    print(f"Exercise {name}: {report.text}")
    if report.attempted:
        print(f"Solved in this notebook: {len(_solved & set(here))} of {len(here)}.")


def require(name: str, answer, *, hidden: bool = False) -> None:
    """Raise AssertionError with the report unless the answer is right.

    `hidden` takes cases that `check` never shows: other seeds, other shapes, and where it matters tied parameters.
    """
    report = exercise(name).report(answer, hidden=hidden)
    if not report.solved:
        raise AssertionError(f"Exercise {name}: {report.text}")
