"""The rows of a study: JSON Lines, one run a line, only ever added to. See `study.py`.

A line counts when its newline is there. A process killed while it wrote leaves at most an unfinished last line, which
a reader leaves out and the next writer cuts off. So a row is whole, or it is absent.
"""

import json
import os
from pathlib import Path

from .study_plan import Plan


def read_rows(path: str | Path) -> dict[str, dict]:
    """{key: row} of a file of rows; empty if there is none. A row that was run again counts as its last run."""
    path = Path(path)
    if not path.exists():
        return {}
    whole = path.read_bytes().rpartition(b"\n")[0]
    rows = [json.loads(line) for line in whole.splitlines() if line]
    return {row["key"]: row for row in rows}


def cut_unfinished(path: Path) -> None:
    """Cut off a last line without its newline."""
    if path.exists():
        whole = sum(map(len, path.read_bytes().rpartition(b"\n")[:2]))
        os.truncate(path, whole)


def add_row(path: Path, row: dict) -> None:
    """Append one row, on the disk when this returns."""
    line = json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n"
    with open(path, "ab") as file:
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def results(plan: Plan, rows: dict[str, dict], experiment: str) -> list[dict]:
    """The main rows of one experiment that are done, in the plan's order, each under the arm's name.

    Raises ValueError for an experiment that the plan does not have.
    """
    known = {e["name"]: e for e in plan.experiments}
    if experiment not in known:
        raise ValueError(f"experiment={experiment!r}: the plan has {', '.join(known)}")
    jobs = [job for job in plan.jobs(known[experiment], rows) if job.stage == "main" and job.key in rows]
    return [{**rows[job.key], "arm": job.arm} for job in jobs]
