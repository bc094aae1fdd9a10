"""nbgrader, for real: three students hand in two notebooks, and get the points they should.

nbgrader is not among the requirements. Make an environment that has it and this project, then name its Python:

    python3.11 -m venv /some/where && /some/where/bin/pip install -r requirements.txt nbgrader==0.9.6
    CHILDTUNE_NBGRADER_PYTHON=/some/where/bin/python python -m pytest tests/test_nbgrader.py
"""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from childtune_lite.course_cells import groups

ROOT = Path(__file__).resolve().parent.parent
PYTHON = os.environ.get("CHILDTUNE_NBGRADER_PYTHON")
NAMES = ("01_bernoulli_mask", "02_update_statistics")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="CHILDTUNE_NBGRADER_PYTHON names no environment with nbgrader"),
]


def nbgrader(folder, *words):
    where = Path(PYTHON).parent
    env = os.environ | {
        "PATH": f"{where}{os.pathsep}{os.environ['PATH']}",
        "JUPYTER_CONFIG_DIR": str(folder / ".jupyter"),
    }
    done = subprocess.run(
        [where / "nbgrader", *words], cwd=folder, capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, done.stdout + done.stderr


def hand_in(folder, student, name, answers):
    """Fill a student's copy: `answers` maps an exercise to the source of its stub's cell."""
    released = nbformat.read(folder / "release" / name / f"{name}.ipynb", as_version=4)
    for group in groups(released, needs_solution=False):
        if group.name in answers:
            released.cells[group.at + 1].source = answers[group.name]
    place = folder / "submitted" / student / name
    place.mkdir(parents=True)
    nbformat.write(released, place / f"{name}.ipynb")


def points(folder, student, name):
    """(got, possible) of a student for an assignment, from nbgrader's own database."""
    query = """
        select sum(grade.auto_score), count(*) from grade
        join submitted_notebook on grade.notebook_id = submitted_notebook.id
        join submitted_assignment on submitted_notebook.assignment_id = submitted_assignment.id
        join assignment on submitted_assignment.assignment_id = assignment.id
        where submitted_assignment.student_id = ? and assignment.name = ?"""
    with sqlite3.connect(folder / "gradebook.db") as book:
        return book.execute(query, (student, name)).fetchone()


@pytest.mark.parametrize("name", NAMES)
def test_right_wrong_and_empty_submissions_get_their_points(tmp_path, name):
    number = name[:2]
    subprocess.run(
        [sys.executable, "-m", "childtune_lite.course", "build", "--out", str(tmp_path), "--only", number, "--no-run"],
        cwd=ROOT, check=True,
    )  # fmt: skip
    folder = tmp_path / "nbgrader"
    nbgrader(folder, "generate_assignment", name, "--create")
    released = (folder / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in released
    assert "HIDDEN" not in released
    assert "exercises.require" not in released

    found = groups(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4))
    right = {group.name: group.solution for group in found}
    first = next(group for group in found if group.is_code)
    wrong = right | {first.name: first.stub.replace("raise NotImplementedError", "return None")}
    for student, answers in (("right", right), ("wrong", wrong), ("empty", {})):
        hand_in(folder, student, name, answers)
    nbgrader(folder, "autograde", name, "--create")

    total = sum(group.difficulty for group in found)
    assert points(folder, "right", name) == (total, len(found))
    assert points(folder, "wrong", name) == (total - first.difficulty, len(found))
    assert points(folder, "empty", name) == (0, len(found))
    nbgrader(folder, "generate_feedback", name)
    assert len(list((folder / "feedback").rglob("*.html"))) == 3
