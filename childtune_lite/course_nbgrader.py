"""The notebooks as nbgrader assignments: its metadata, its markers, and hidden tests with other seeds and shapes.

Written for nbgrader 0.9 (schema version 3). nbgrader itself is not needed here, only where a course is run.
"""

from .course_cells import Group, groups
from .course_copies import student

CONFIG = '''\
"""Settings for nbgrader, written by `python -m childtune_lite.course build`. Run nbgrader in this folder."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "childtune-lite"
c.ExecutePreprocessor.timeout = 900  # seconds a cell; nbgrader's own 30 are too few for a training run
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError  # your code here"}
'''


def source(notebook):
    """An nbgrader source notebook: `nbgrader generate_assignment` clears its solutions and its hidden tests.

    Code exercises: the stub's cell holds the solution between markers, its check cell is graded. Numbers and choices:
    the student's cell stays an ordinary cell, since nbgrader would replace it by code that raises; only the check is
    graded. Points are the exercise's difficulty. Every other cell is left to the student.
    """
    made = student(notebook)
    shift = len(notebook.cells) - len(made.cells)  # the badges, which stand first
    for group in groups(notebook):
        stub, check = made.cells[group.at - shift + 1], made.cells[group.at - shift + 2]
        key = "exercise-" + group.name.replace(".", "-")
        if group.is_code:
            stub.source = marked(group)
            stub.metadata["nbgrader"] = _cell(key, solution=True)
        check.source = _graded(group)
        check.metadata["nbgrader"] = _cell(f"{key}-check", grade=True, points=group.difficulty)
    return made


def marked(group: Group) -> str:
    """The solution with nbgrader's markers around what the stub does not have."""
    stub, solution = group.stub.splitlines(), group.solution.splitlines()
    raising = next(i for i, line in enumerate(stub) if "raise NotImplementedError" in line)
    before, after = stub[:raising], stub[raising + 1 :]
    inside = solution[len(before) : len(solution) - len(after)]
    if solution[: len(before)] != before or solution[len(solution) - len(after) :] != after:
        raise ValueError(f"exercise {group.name}: the solution must be the stub with the line that raises filled in")
    indent = stub[raising][: len(stub[raising]) - len(stub[raising].lstrip())]
    return "\n".join([*before, f"{indent}### BEGIN SOLUTION", *inside, f"{indent}### END SOLUTION", *after])


def _graded(group: Group) -> str:
    """The learner's check, which never stops the notebook, then the tests that a student's copy does not show."""
    return (
        f"{group.check}\n"
        "### BEGIN HIDDEN TESTS\n"
        f'ct.exercises.require("{group.name}", {group.answer})\n'
        f'ct.exercises.require("{group.name}", {group.answer}, hidden=True)\n'
        "### END HIDDEN TESTS"
    )


def _cell(key: str, *, solution: bool = False, grade: bool = False, points: int | None = None) -> dict:
    made = {
        "schema_version": 3, "grade_id": key, "grade": grade, "solution": solution, "locked": not solution,
        "task": False, "cell_type": "code",
    }  # fmt: skip
    return made if points is None else made | {"points": points}
