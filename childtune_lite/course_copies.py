"""From one notebook, the copies a course needs: for students, with solutions, for recall. Pure functions, no files."""

import copy
import re

from .course_cells import groups, tag_of, without_solution

QUESTION = re.compile(r"\*\*Think!\*\*.*?(?=\n\n|\Z)", re.S)


def student(notebook):
    """Stubs and hints, no solutions, no outputs. No badges: they open the public notebook, solutions and all."""
    made = _bare(notebook)
    for cell in made.cells:
        if tag_of(cell) == "hints":
            cell.source = without_solution(cell.source)
    made.cells = [cell for cell in made.cells if "badges" not in cell.metadata.get("tags", [])]
    return made


def solutions(notebook):
    """Every stub replaced by the notebook's own solution; without outputs, which only a run may write."""
    made = _bare(notebook)
    for group in groups(notebook):
        made.cells[group.at + 1].source = group.solution
        made.cells[group.at + 3].source = without_solution(group.hints)
    return made


def recall(notebook):
    """Headings, code and questions: what is left to be told is told by the reader."""
    made = student(notebook)
    kept = []
    for place, cell in enumerate(made.cells):
        if cell.cell_type == "code" or place == 0 or tag_of(cell) == "exercise":
            kept.append(cell)
        elif tag_of(cell) != "hints" and (text := _headings_and_questions(cell.source)):
            cell.source = text
            kept.append(cell)
    made.cells = kept
    return made


def _headings_and_questions(source: str) -> str:
    prose = re.sub(r"```.*?```", "", source, flags=re.S)
    found = [(m.start(), m[0]) for m in re.finditer(r"^#+ .+$", prose, flags=re.M)]
    found += [(m.start(), m[0]) for m in QUESTION.finditer(prose)]
    return "\n\n".join(text for _, text in sorted(found))


def _bare(notebook):
    """A copy without outputs, counts, and the notes that only our own tests read."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        cell.metadata.pop("reason", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return made
