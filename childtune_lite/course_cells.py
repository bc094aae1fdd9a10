"""Find the notebooks of a collection, and in them the exercises: four cells, tagged exercise, stub, check, hints.

The solution stands once, in the notebook: a code block in the last `<details>` of the hints. Everything the teacher's
build makes (`childtune_lite.course`) is cut from these four cells.
"""

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / "notebooks"
TAGS = ("exercise", "stub", "check", "hints")
STATEMENT = re.compile(
    r"### Exercise (?P<name>\d\d\.\d): (?P<title>.+)\n\n"
    r"\*(?P<kind>Write the code|Predict|Find the bug|Read the figure)\. "
    r"(?P<minutes>\d+) minutes\. Difficulty (?P<difficulty>[123]) of 3\.\*\n"
)
SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>\s*```python\n(?P<code>.*?)```.*?</details>", re.S)


@dataclass(frozen=True)
class Group:
    """One exercise in a notebook. `at` is the place of its first cell; the others follow it.

    `solution` is None in a copy whose hints no longer hold it.
    """

    at: int
    name: str
    title: str
    kind: str
    minutes: int
    difficulty: int
    stub: str
    check: str
    hints: str
    solution: str | None

    @property
    def answer(self) -> str:
        """What the check cell hands over: the name of a function or of a variable."""
        return self.check.rstrip(")").rsplit(", ", 1)[1]

    @property
    def is_code(self) -> bool:
        return self.kind == "Write the code"


def notebook_paths(folder: Path = HERE) -> list[Path]:
    """The notebooks of a collection, in order. ValueError where there are none."""
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise ValueError(f"notebooks={str(folder)!r}: no notebooks there; give the folder of a clone, --notebooks DIR")
    return paths


def title_and_question(notebook) -> tuple[str, str]:
    """A notebook's heading, and the question below it."""
    first = next(cell.source for cell in notebook.cells if cell.source.startswith("# "))
    heading, question = [line for line in first.splitlines() if line.strip()][:2]
    return heading.removeprefix("# "), question.strip("*_ ")


def tag_of(cell) -> str | None:
    """Which of the four a cell is, if any."""
    return next((tag for tag in TAGS if tag in cell["metadata"].get("tags", [])), None)


def groups(notebook, needs_solution: bool = True) -> list[Group]:
    """The exercises of a notebook (nbformat), in order. ValueError names the cell where the four are not complete."""
    cells, found, place = notebook.cells, [], 0
    while place < len(cells):
        if tag_of(cells[place]) is None:
            place += 1
            continue
        four = cells[place : place + 4]
        if tuple(tag_of(cell) for cell in four) != TAGS:
            raise ValueError(f"cell {cells[place].id}: an exercise is four cells in a row, tagged {', '.join(TAGS)}")
        found.append(_group(place, *(cell.source for cell in four), needs_solution))
        place += 4
    return found


def _group(at: int, statement: str, stub: str, check: str, hints: str, needs_solution: bool) -> Group:
    said, solved = STATEMENT.match(statement), SOLUTION.search(hints)
    if said is None:
        raise ValueError(
            f"{statement.splitlines()[0]!r}: begin it as `### Exercise 01.2: title`, kind, minutes, difficulty"
        )
    if solved is None and needs_solution:
        raise ValueError(f"exercise {said['name']}: its last <details> must be the Solution, with a python block")
    return Group(
        at, said["name"], said["title"], said["kind"], int(said["minutes"]), int(said["difficulty"]),
        stub, check, hints, solved and solved["code"].rstrip(),
    )  # fmt: skip


def without_solution(hints: str) -> str:
    """The hints as a student gets them from a teacher."""
    return SOLUTION.sub("", hints).rstrip()
