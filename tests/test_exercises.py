"""The exercises, mutation-tested: the notebook's solution passes, its stub is 'not attempted', wrong answers are told
apart. Solutions and stubs are read from the notebooks, wrong answers from tests/wrong_answers."""

import inspect
from importlib import import_module
from itertools import combinations
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from childtune_lite import exercises
from childtune_lite.course_cells import groups
from childtune_lite.exercises.compare import compare

ROOT = Path(__file__).resolve().parent.parent
PATHS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}
GROUPS = {g.name: g for path in PATHS.values() for g in groups(nbformat.read(path, as_version=4))}
WRONG = {}
for file in exercises.FILES.values():
    WRONG |= import_module(f"wrong_answers.{file}").WRONG
CASES = [
    pytest.param(name, *one, id=f"{name}-{place}") for name, all_ in WRONG.items() for place, one in enumerate(all_)
]


def answer_in(source: str, name: str):
    """Run a cell as the notebook would, and return the function or variable of this name."""
    room = {"torch": torch}
    exec(source, room)
    return room[name]


@pytest.mark.parametrize("number", exercises.FILES)
def test_each_notebook_has_its_exercises(number):
    here = [group for group in GROUPS.values() if group.name.startswith(number)]
    assert [group.name for group in here] == list(exercises.of_notebook(number)), "those of the file, in order"
    assert [group.name for group in here] == [f"{number}.{place + 1}" for place in range(len(here))]
    assert 3 <= len(here) <= 5
    assert sum(group.is_code for group in here) >= 2
    for group in here:
        assert group.title == exercises.exercise(group.name).title
        assert group.check.startswith(f'ct.exercises.check("{group.name}", ')
        assert group.hints.count("<details>") >= 3, "two hints at least, then the solution"


@pytest.mark.parametrize("name", GROUPS)
def test_the_solution_passes(name):
    group = GROUPS[name]
    answer = answer_in(group.solution, group.answer)
    assert exercises.exercise(name).report(answer).text.startswith("solved"), exercises.exercise(name).report(answer)
    exercises.require(name, answer)
    exercises.require(name, answer, hidden=True)


@pytest.mark.parametrize("name", GROUPS)
def test_the_stub_is_not_attempted_and_stops_nothing(name, capsys):
    group = GROUPS[name]
    stub = answer_in(group.stub, group.answer)
    exercises.check(name, stub)
    printed = capsys.readouterr().out
    assert printed == f"Exercise {name}: not attempted yet. Fill in the cell above, run it, then run this one.\n"
    with pytest.raises(AssertionError, match="not attempted yet"):
        exercises.require(name, stub, hidden=True)


@pytest.mark.parametrize("name", [name for name, group in GROUPS.items() if group.is_code])
def test_a_stub_is_its_solution_without_the_code(name):
    """Every line of the stub but the one that raises is a line of the solution."""
    group = GROUPS[name]
    lines = [line for line in group.stub.splitlines() if "raise NotImplementedError" not in line]
    assert len(lines) == len(group.stub.splitlines()) - 1
    assert [line for line in lines if line not in group.solution.splitlines()] == []


@pytest.mark.parametrize(("name", "answer", "words"), CASES)
def test_a_wrong_answer_fails_with_its_own_words(name, answer, words, capsys):
    exercises.check(name, answer)
    printed = capsys.readouterr().out
    assert words in printed, printed
    assert "not attempted" not in printed
    assert f"Exercise {name}: solved" not in printed
    with pytest.raises(AssertionError):
        exercises.require(name, answer, hidden=True)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_are_told_apart(name):
    assert len(WRONG[name]) >= 4
    one = exercises.exercise(name)
    firsts = [one.report(answer).text.splitlines()[0] for answer, _ in WRONG[name]]
    assert not [pair for pair in combinations(firsts, 2) if pair[0] == pair[1]]


def test_every_exercise_has_planted_wrong_answers():
    assert list(WRONG) == list(GROUPS)


@pytest.mark.parametrize("name", [name for name, group in GROUPS.items() if group.is_code])
def test_cases_are_many_and_hidden_ones_are_others(name):
    one = exercises.exercise(name)
    shown, hidden = one.drawn(False), one.drawn(True)
    assert len(shown) >= 3
    assert len({label for label, _ in shown}) == len(shown)
    assert [repr(arguments) for _, arguments in shown] != [repr(arguments) for _, arguments in hidden[: len(shown)]]
    assert [repr(a) for a in one.drawn(False)] == [repr(a) for a in shown], "the same cases every time"


# ---- the checker itself


def test_solving_is_counted_for_the_session(capsys):
    exercises._solved.clear()
    group = GROUPS["01.2"]
    exercises.check("01.2", answer_in(group.solution, group.answer))
    assert "Solved in this notebook: 1 of 5." in capsys.readouterr().out


def test_an_answer_moves_no_random_state():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    exercises.exercise("01.1").report(lambda shape, p, generator: torch.rand(shape))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["1.2", "01.9", "11.1", ""])
def test_an_unknown_exercise_is_named(name):
    with pytest.raises(ValueError, match=r"notebook|name="):
        exercises.exercise(name)


@pytest.mark.parametrize("answer", [[3], 2.5, torch.ones(2), "line 3"])
def test_what_is_no_choice_is_refused_with_the_choices(answer):
    report = exercises.exercise("01.5").report(answer)
    assert report.attempted
    assert "none of the choices: 0, 1, 2, 3, 4" in report.text


@pytest.mark.parametrize("answer", [None, 3, torch.ones(2), "masked_gradient"])
def test_what_is_no_function_is_refused(answer):
    report = exercises.exercise("01.2").report(answer)
    assert report.attempted
    assert "wanted a function" in report.text


@pytest.mark.parametrize("answer", [torch.tensor(5.48), np.float32(5.48), np.array([5, 6])[0] * 1.095])
def test_a_number_may_come_from_torch_or_numpy(answer):
    assert exercises.exercise("01.4").report(answer).solved


@pytest.mark.parametrize("answer", [True, "5.5", float("nan"), [5.5], torch.ones(2)])
def test_what_is_no_number_is_refused(answer):
    assert "wanted a number" in exercises.exercise("01.4").report(answer).text


def test_an_error_in_a_hook_is_placed_in_the_learners_own_lines():
    def answer(value):
        value.requires_grad_()
        optimizer = torch.optim.SGD([value], lr=0.1)

        def hook(*_):
            raise KeyError("mine")

        optimizer.register_step_pre_hook(hook)
        optimizer.step()

    one = exercises.Code("00.0", "", lambda value: 0.0, lambda seed: [("one", (torch.ones(1),))], [])
    assert "in line 6 of the function with KeyError: 'mine'" in one.report(answer).text


def test_an_answer_may_empty_its_arguments_without_breaking_the_check():
    def answer(gradients):
        gradients.pop("a")
        return 0.0

    one = exercises.Code("00.0", "", lambda gradients: 0.0, lambda seed: [("one", ({"a": 1.0},))], [])
    assert "writes into its argument `gradients`" in one.report(answer).text


def test_a_library_that_lacks_something_does_not_look_like_a_stub():
    def answer(gradient, mask, p):
        raise NotImplementedError("not implemented for 'Half'")

    report = exercises.exercise("01.2").report(answer)
    assert report.attempted
    assert "in line 2 of the function" in report.text


@pytest.mark.parametrize(
    ("got", "wanted", "problem"),
    [
        (torch.ones(2), torch.ones(2), None),
        (torch.ones(2) * (1 + 1e-7), torch.ones(2), None),
        (torch.ones(2) * 0.3, torch.ones(2), "is 0.3 times what was wanted, everywhere"),
        (torch.ones(3), torch.ones(2), r"has shape \(3,\), wanted \(2,\)"),
        (torch.ones(2).double(), torch.ones(2), "is float64, wanted float32"),
        (torch.tensor([1.0, float("nan")]), torch.ones(2), "NaN or infinite"),
        (torch.tensor([1.0, 3.0]), torch.ones(2), "differs in 1 of 2 entries, by up to 2"),
        (torch.tensor([0.0, 3.0]), torch.tensor([0.0, 0.0]), "differs in 1 of 2"),
        (None, 1.0, "returned None"),
        ({"a": 1.0}, {"b": 1.0}, "other parts: `a` where `b`"),
        ({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}, None),
        ({"a": [1.0]}, {"a": 1.0}, r"other parts: `a\[0\]` where `a` was"),
        ([1.0] * 40, 1.0, r"`\[0\]`, .*`\[5\]` and 34 more where one value"),
        (torch.ones(4) + torch.tensor([0, 0, 1e-7, 1]), torch.ones(4), "differs in 1 of 4"),
        ([1.0], 1.0, "other parts"),
        (True, False, "yes, wanted no"),
        (1.5, 2.5, "is 0.6 times"),
        (np.array([1.0, 2.0]), (1.0, 2.0), None),
        (torch.tensor([1.0, 2.0]), (1.0, 2.5), r"`\[1\]` is 0.8 times"),
        (torch.full((3,), 2.002), torch.full((3,), 2.0), "near, but off by up to 0.001 of itself"),
        (torch.zeros(3), torch.ones(3), "your result is zero, everywhere"),
        ({"share of ones": 0.2, "b": 1}, {"share of ones": 0.4, "b": 1}, "^share of ones is 0.5 times"),
        ("a", "b", "is 'a', wanted 'b'"),
        (lambda: 0, 1.0, "is a function"),
        (torch.tensor(float("inf")), torch.tensor(float("inf")), None),
    ],
)
def test_comparison_names_what_is_wrong(got, wanted, problem):
    seen = compare(got, wanted)
    if problem is None:
        assert seen.problem is None
        assert seen.close
    else:
        import re

        assert re.search(problem, seen.problem), seen.problem
        assert not seen.close


def test_references_are_not_what_learners_are_asked_to_write():
    """A reference that is the solution's own text would let one slip through twice."""
    for name, group in GROUPS.items():
        if group.is_code:
            body = inspect.getsource(exercises.exercise(name).reference).split('"""')[-1]
            solution = group.solution.split('"""')[-1]
            assert "".join(body.split()) != "".join(solution.split()), name
