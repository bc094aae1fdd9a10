"""What mybinder.org builds holds what the notebooks import, and a notebook fits into its memory.

repo2docker and Docker are not here: the folder's reading by `jupyter-repo2docker --no-build` was tried by hand.
"""

import ast
import json
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from support import BINDER_MIB

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = (ROOT / "binder" / "environment.yml").read_text(encoding="utf-8")
HAS = {re.split(r"[<>=]", line)[0] for line in re.findall(r"^ +- ([\w.<>=,-]+)$", ENVIRONMENT, flags=re.M)}
# How a package is called there, where that is not the name by which it is imported.
CALLED = {
    "torch": "pytorch-cpu",
    "sklearn": "scikit-learn",
    "IPython": "jupyterlab",
    "numpy": "pytorch-cpu",
    "sympy": "pytorch-cpu",
}


def imported(path: Path) -> set[str]:
    """The packages that a notebook's cells import, but for Python's own and ours."""
    code = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    found = set()
    for node in ast.walk(ast.parse(re.sub(r"^\s*%.*$", "    pass", code, flags=re.M))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"childtune_lite"}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")), ids=lambda p: p.stem)
def test_what_a_notebook_imports_is_there(path):
    wanted = {CALLED.get(name, name) for name in imported(path)}
    if "Trainer(" in path.read_text(encoding="utf-8"):
        wanted.add("accelerate")
    assert wanted - HAS == set()


def test_all_that_the_package_asks_for_is_there():
    block = re.search(r"^dependencies = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.S | re.M)[
        1
    ]
    wanted = {CALLED.get(name, name) for name in re.findall(r'"([\w-]+)', block)}
    assert wanted - HAS - {"safetensors"} == set(), "safetensors comes with transformers"


def test_postbuild_installs_this_project_and_nothing_else():
    script = ROOT / "binder" / "postBuild"
    assert "pip install --no-deps" in script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK) or os.name == "nt"


def test_what_runs_there_was_measured_to_fit():
    """A Binder has 2 GB. Measured when the outputs were stored; the teacher's build measures again, in CI."""
    notes = json.loads((ROOT / "notebooks" / "results" / "notebooks.json").read_text(encoding="utf-8"))
    assert set(BINDER_MIB) <= {stem[:2] for stem in notes}
    peaks = {stem[:2]: note["memory_mib"] for stem, note in notes.items()}
    assert {number: peaks[number] for number, most in BINDER_MIB.items() if peaks[number] >= most} == {}
