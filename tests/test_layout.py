"""The house: what may stand where, what imports what, what an import costs, and the style."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "childtune_lite"
# A room imports only from floors below it.
FLOORS = {
    "about": 0, "acceptability": 0, "checks": 0, "course_cells": 0, "draws": 0, "entailment": 0, "evidence": 0,
    "hooks": 0, "lexicon": 0, "metrics": 0, "modes": 0, "origin": 0, "per_example": 0, "precision": 0, "recorder": 0,
    "records": 0, "shards": 0, "updates": 0, "walks": 0,
    "compact": 1, "course_copies": 1, "executed": 1, "fisher": 1, "grammar": 1, "masks": 1, "memory": 1,
    "neighbours": 1, "parents": 1, "plots": 1, "selection": 1, "sharpness": 1,
    "course_nbgrader": 2, "lean": 2, "rows": 2,
    "child": 3, "tasks": 3,
    "delta": 4, "recipes": 4, "views": 4,
    "explore": 5, "finetune": 5, "study_plan": 5,
    "bench_rows": 6, "exercises": 6, "live": 6, "study_rows": 6, "study_run": 6,
    "__init__": 7, "bench_costs": 7, "bench_large": 7, "study": 7,
    "badges": 8, "bench": 8, "course": 8, "site": 8,
}  # fmt: skip


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda p: p.stem)
def test_rooms_import_from_below_only(path):
    for room in imported_rooms(path):
        assert FLOORS[room] < FLOORS[path.stem], f"{path.stem} imports {room}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_stay_small_and_say_what_they_are(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    assert ast.get_docstring(ast.parse(text))


def test_importing_the_module_imports_no_heavy_package():
    """`import childtune_lite` costs what `import torch` costs: the rest is imported where it is used."""
    code = (
        "import torch, sys; before = set(sys.modules); import childtune_lite; "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    new = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in (
        "transformers",
        "datasets",
        "matplotlib",
        "ipywidgets",
        "IPython",
        "sklearn",
        "scipy",
        "pandas",
        "tqdm",
    ):
        assert f"'{heavy}'" not in new


def test_importing_it_changes_no_random_state():
    code = (
        "import torch; s = torch.get_rng_state(); import childtune_lite; print(torch.equal(s, torch.get_rng_state()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


def git_files():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    return [f for f in listed if f]


def test_top_level_holds_what_it_may():
    files = git_files()
    if not files:
        pytest.skip("not in a git checkout")
    allowed = {
        "notebooks", "childtune_lite", "tests", "binder", "requirements.txt", "README.md", "pyproject.toml", "LICENSE",
        "CITATION.cff",
    }  # fmt: skip
    assert {f.split("/")[0] for f in files if not f.startswith(".")} <= allowed


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_ruff_is_content(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_spelling(tmp_path):
    """codespell, over the module, the tests, the pages, and what the notebooks' cells say."""
    import json

    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        (tmp_path / f"{path.stem}.txt").write_text("\n".join("".join(c["source"]) for c in cells), encoding="utf-8")
    read = ["childtune_lite", "tests", "README.md", ".github", ".ci", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", "--check-hidden", *read],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
