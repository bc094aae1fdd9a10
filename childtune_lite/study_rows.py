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


def by_seed(rows: list[dict], split: str = "validation", metric: str | None = None) -> dict[str, dict[int, float]]:
    """{arm: {seed: score}}, times 100 to be read as points. split: a key of the rows' "metrics", such as "ood".

    metric: None for the task's headline. A run without a score (diverged, error) is left out; count it by `failed`.
    """
    table: dict[str, dict[int, float]] = {}
    for row in rows:
        scores = table.setdefault(row["arm"], {})
        value = row.get("metrics", {}).get(split, {}).get(metric or row.get("headline"))
        if row["status"] != "diverged" and value is not None:
            scores[row["seed"]] = 100 * value
    return table


def differences(scores: dict[str, dict[int, float]], baseline: str = "vanilla") -> dict[str, list[float]]:
    """{arm: [arm minus baseline, for each seed that both have]}, without the baseline itself."""
    base = scores[baseline]
    return {
        arm: [values[s] - base[s] for s in sorted(values.keys() & base.keys())]
        for arm, values in scores.items()
        if arm != baseline
    }


def failed(rows: list[dict]) -> dict[str, int]:
    """{arm: how many of its runs gave every example the same class, lost their loss, or broke}."""
    counts = {row["arm"]: 0 for row in rows}
    for row in rows:
        counts[row["arm"]] += row["status"] != "ok"
    return counts
