"""The teacher's build: from the one set of notebooks, the copies that a course hands out.

    python -m childtune_lite.course build --out DIR [--notebooks DIR] [--only 01 03] [--workers 2] [--no-run]

DIR/student     stubs and hints, no solutions, no outputs
DIR/solutions   the stubs filled in and everything executed; every exercise must come out as solved
DIR/recall      headings, code and questions only
DIR/nbgrader    a course folder for nbgrader: source/<notebook>/, with hidden tests, and nbgrader_config.py

notebooks/TEACHING.md says how to use them.
"""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import executed
from .course_cells import HERE, groups, notebook_paths
from .course_copies import recall, solutions, student
from .course_nbgrader import CONFIG, source


def build(out: Path, notebooks: Path = HERE, only=(), workers: int = 1, run: bool = True) -> list[Path]:
    """Write all copies below `out`; returns the solution notebooks. RuntimeError if a solution does not solve.

    notebooks: the folder of the collection. only: numbers such as "01"; all by default.
    workers: how many solution notebooks are executed at a time; above 1, each gets its share of the cores.
    run: whether to execute the solutions at all.
    """
    paths = _chosen(notebooks, only)
    for kind, make in (("student", student), ("solutions", solutions), ("recall", recall)):
        for path in paths:
            _write(make(_read(path)), out / kind / path.name)
    for path in paths:
        _write(source(_read(path)), out / "nbgrader" / "source" / path.stem / path.name)
    (out / "nbgrader" / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    made = [out / "solutions" / path.name for path in paths]
    if run:
        threads = max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda path: execute(path, threads), made))
    return made


def execute(path: Path, threads: int | None = None) -> None:
    """Run a solution notebook in its folder, store its outputs, and see that every exercise came out as solved."""
    notebook = _read(path)
    cost = executed.run(notebook, path.parent, {"OMP_NUM_THREADS": str(threads)} if threads else None)
    for group in groups(notebook, needs_solution=False):  # the stub holds it now, the hints do not
        printed = "".join(output.get("text", "") for output in notebook.cells[group.at + 2].outputs)
        if not printed.startswith(f"Exercise {group.name}: solved"):
            raise RuntimeError(f"{path.name}: the solution of exercise {group.name} does not solve it:\n{printed}")
    _write(notebook, path)
    memory = f", {cost['memory_mib']} MiB" if cost["memory_mib"] else ""
    print(f"{path.name}: every exercise solved, {cost['seconds']:.0f} seconds{memory}", flush=True)


def _chosen(notebooks: Path, only) -> list[Path]:
    known = {path.name[:2]: path for path in notebook_paths(notebooks)}
    if unknown := [number for number in only if number not in known]:
        raise ValueError(f"only={unknown[0]!r}: the notebooks are {', '.join(known)}")
    return [path for number, path in known.items() if not only or number in only]


def _read(path: Path):
    import nbformat

    return nbformat.read(path, as_version=4)


def _write(notebook, path: Path) -> None:
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m childtune_lite.course", description=__doc__.splitlines()[0])
    command = parser.add_subparsers(dest="command", required=True)
    one = command.add_parser("build", help="write student/, solutions/, recall/ and nbgrader/")
    one.add_argument("--out", type=Path, required=True, help="folder to write to; made if it is not there")
    one.add_argument("--notebooks", type=Path, default=HERE, help="folder of the notebooks (default: this clone's)")
    one.add_argument("--only", nargs="*", default=(), metavar="NN", help="numbers, such as 01 03 (default: all)")
    one.add_argument("--workers", type=int, default=1, help="solution notebooks executed at a time (default: 1)")
    one.add_argument("--no-run", action="store_true", help="do not execute the solutions")
    given = parser.parse_args(arguments)
    if given.workers < 1:
        parser.error(f"--workers {given.workers}: at least 1")
    try:
        made = build(given.out, given.notebooks, given.only, given.workers, not given.no_run)
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(made)} notebooks in {given.out}: student, solutions, recall, nbgrader")
    return 0


if __name__ == "__main__":
    sys.exit(main())
