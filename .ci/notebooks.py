"""Execute the notebooks in place and write what is measured or derived into them: the maintainer's tool.

    python .ci/notebooks.py execute [NAME ...]   run, store outputs in a normal form, note the seconds
    python .ci/notebooks.py stamp                badges, cost lines and the README's table, from pyproject and the notes
    python .ci/notebooks.py check                the same, but only say what is out of step (exit status 1)

Seconds go to notebooks/results/notebooks.json; nothing about cost is typed by hand.
"""

import datetime
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from childtune_lite import executed  # noqa: E402
from childtune_lite.course_cells import groups, tag_of, title_and_question  # noqa: E402

NOTEBOOKS = ROOT / "notebooks"
NOTES = NOTEBOOKS / "results" / "notebooks.json"
# What the tests' runs have, too (notebooks/conftest.py), so that outputs can be compared: nothing from the network.
SETTINGS = executed.QUIET | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def execute(path: Path) -> None:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    for i, cell in enumerate(notebook.cells):
        cell.id = f"{path.stem[:2]}-{i:02d}"
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "reason")}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    cost = executed.run(notebook, path.parent, SETTINGS, timeout=600)
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    notes = json.loads(NOTES.read_text(encoding="utf-8")) if NOTES.exists() else {}
    notes[path.stem] = {
        "seconds": round(cost["seconds"]),
        "memory_mib": cost["memory_mib"],
        "cores": os.cpu_count(),
        "device": "CPU",
        "date": datetime.date.today().isoformat(),
        "minutes_to_read": minutes_to_read(notebook),
        "minutes_of_exercises": sum(group.minutes for group in groups(notebook)),
    }
    NOTES.write_text(json.dumps(dict(sorted(notes.items())), indent=2) + "\n", encoding="utf-8")
    print(f"{path.stem}: {cost['seconds']:.0f} s, {cost['memory_mib']} MiB, {len(notebook.cells)} cells")


def minutes_to_read(notebook) -> int:
    """An estimate: 120 words of prose a minute, half a minute a code cell, rounded up to five minutes."""
    told = [cell for cell in notebook.cells if not tag_of(cell)]
    words = sum(len(c.source.split()) for c in told if c.cell_type == "markdown")
    code = sum(c.cell_type == "code" for c in told)
    return -(-int(words / 120 + code / 2) // 5) * 5


def cost_line(stem: str) -> str:
    note = json.loads(NOTES.read_text(encoding="utf-8"))[stem]
    download = "no download"
    if "load_parent(" in (NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"):
        download += " (the parent's weights, 91 MB, come with the installation)"
    return (
        f"**What it costs.** About {note['minutes_to_read']} minutes to read and try, {note['minutes_of_exercises']} "
        f"more for the exercises; all cells together run in {note['seconds']} seconds on a CPU with {note['cores']} "
        f"cores (measured {note['date']}; on a T4 GPU: not measured yet); {download}."
    )


def table() -> str:
    import nbformat

    rows = [
        "| notebook | the question it answers | seconds on 2 CPU cores | memory, MiB | seconds on a GPU |",
        "|---|---|---|---|---|",
    ]
    for stem, note in json.loads(NOTES.read_text(encoding="utf-8")).items():
        name, question = title_and_question(nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4))
        memory = note["memory_mib"] or "not measured"
        rows.append(f"| [{name}](notebooks/{stem}.ipynb) | {question} | {note['seconds']} | {memory} | not measured |")
    return "\n".join(rows)


def stamped() -> dict[Path, str]:
    """Every file that carries derived text, as it should be: the address, then cost lines and the README's table."""
    from childtune_lite import badges

    wanted = badges.stamped(ROOT)
    for path, text in wanted.items():
        if path.suffix == ".ipynb":
            notebook = json.loads(text)
            for cell in notebook["cells"]:
                if "cost" in cell["metadata"].get("tags", []):
                    cell["source"] = cost_line(path.stem).splitlines(keepends=True)
            wanted[path] = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    start, end = "<!-- table of notebooks: python .ci/notebooks.py stamp -->", "<!-- end of table -->"
    before, rest = wanted[ROOT / "README.md"].split(start)
    wanted[ROOT / "README.md"] = f"{before}{start}\n{table()}\n{end}{rest.split(end)[1]}"
    return wanted


def main(command: str, *names: str) -> int:
    paths = [NOTEBOOKS / f"{Path(n).stem}.ipynb" for n in names] or sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    if command == "execute":
        for path in paths:
            execute(path)
    elif command == "stamp":
        for path, text in stamped().items():
            path.write_text(text, encoding="utf-8")
    elif command == "check":
        stale = [path.name for path, text in stamped().items() if path.read_text(encoding="utf-8") != text]
        print("out of step, run `python .ci/notebooks.py stamp`: " + ", ".join(stale) if stale else "in step")
        return bool(stale)
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["help"])))
