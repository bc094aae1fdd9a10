"""An honest comparison: arms x tasks x seeds from one plan file. `python -m childtune_lite.study PLAN.toml`.

The plan says what to run (`study_plan.py`); each run becomes one line of PLAN.jsonl (`study_run.py`, `study_rows.py`).
Stop it whenever you like, kill it if you must: started again, it goes on with the runs that have no row yet. Each
arm's learning rate is its best on one small grid, judged on training examples that were held out.

GLUE is read from the folder in CHILDTUNE_GLUE_DIR, or else from the Hub. Taught in notebooks 06 and 07.
"""

import argparse
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path

from .study_plan import Job, Plan, read_plan
from .study_rows import add_row, cut_unfinished, read_rows


def todo(plan: Plan, rows: dict[str, dict], only: list[str] | None = None) -> list[Job]:
    """The runs that could start now: without a row, and with a learning rate that is known."""
    found: dict[str, Job] = {}
    for experiment in plan.experiments:
        if not only or experiment["name"] in only:
            for job in plan.jobs(experiment, rows):
                found.setdefault(job.key, job)  # experiments may share a run; it is the first one's
    return [job for key, job in found.items() if key not in rows]


def study(
    plan: Plan, out: Path, device: str = "cpu", workers: int = 1, threads: int = 1, only: list[str] | None = None,
    again: bool = False, say: Callable[[str], None] = print,
) -> dict[str, dict]:  # fmt: skip
    """Run what has no row yet, `workers` at a time; returns all rows by key.

    again: run once more what ended in an error, too. The new row is added, and the last one of a run counts.
    Raises ValueError when another study is writing to the same file, or when a network or a task cannot be loaded.
    """
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(f"{out}.lock").acquire(timeout=0)  # the system lets go of it when the process dies
    except Timeout as error:
        raise ValueError(f"out={str(out)!r}: another study is writing to this file. Wait, or give another --out") from (
            error
        )
    with lock:
        cut_unfinished(out)
        rows, running, start, done = read_rows(out), {}, time.time(), 0
        if again:
            rows = {key: row for key, row in rows.items() if row["status"] != "error"}
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(threads,)) as pool:
            while True:
                waiting = [j for j in todo(plan, rows, only) if j.key not in {r.key for r in running.values()}]
                for job in waiting[: workers - len(running)]:
                    running[pool.submit(_row, job, device)] = job
                if not running:
                    return rows
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job, row = running.pop(future), future.result()
                    add_row(out, row)
                    rows[job.key], done = row, done + 1
                    say(_progress(plan, job, row, len(rows), done, time.time() - start))


def _progress(plan: Plan, job: Job, row: dict, ready: int, done: int, seconds: float) -> str:
    total = plan.count()
    left = seconds / done * max(total - ready, 0) / 60
    score = "-" if row["score"] is None else f"{row['score']:.3f}"
    return (
        f"{ready}/{total}  {job.stage:<4} {job.task:<14} n={job.n_train:<5} {job.arm:<15} lr={job.lr:g} "
        f"seed={job.seed:<4} {row['status']} {score}  {row['seconds_total']:.0f} s, about {left:.0f} min left"
    )


def _row(job: Job, device: str) -> dict:
    from .study_run import run_job

    return run_job(job, device)


def _begin(threads: int) -> None:
    """In each worker: its share of the cores, and an end with the process that started it, even if that was killed."""
    import torch

    torch.set_num_threads(threads)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m childtune_lite.study", description=__doc__.split("\n")[0])
    parser.add_argument("plan", type=Path, help="a TOML file, such as notebooks/results/study_cpu.toml")
    parser.add_argument("--out", type=Path, help="the rows; default: the plan's name, ending in .jsonl")
    parser.add_argument("--only", nargs="+", metavar="EXPERIMENT", help="these experiments of the plan")
    parser.add_argument("--again", action="store_true", help="run once more what ended in an error")
    parser.add_argument("--device", help="cpu or cuda; default: what the plan says")
    parser.add_argument("--workers", type=int, help="runs side by side; default: what the plan says")
    parser.add_argument("--threads", type=int, help="CPU threads a run; default: what the plan says")
    chosen = parser.parse_args(arguments)
    try:
        plan = read_plan(chosen.plan)
        for name in chosen.only or []:
            if name not in [e["name"] for e in plan.experiments]:
                raise ValueError(f"--only {name}: the plan has {', '.join(e['name'] for e in plan.experiments)}")
        device = chosen.device or plan.device
        if device.startswith("cuda"):
            import torch

            if not torch.cuda.is_available():
                raise ValueError("device='cuda': this PyTorch sees no GPU. Plans for a CPU: study_cpu, study_smoke")
        out = chosen.out or chosen.plan.with_suffix(".jsonl")
        rows = study(
            plan, out, device, chosen.workers or plan.workers, chosen.threads or plan.threads, chosen.only,
            chosen.again, say=lambda line: print(line, flush=True),
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))
    failed = sum(row["status"] != "ok" for row in rows.values())
    print(f"{len(rows)} rows in {out}, {failed} of them of runs that failed")


if __name__ == "__main__":
    main()
