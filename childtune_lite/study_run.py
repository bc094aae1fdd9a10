"""One run of a study, from a job to its row: train, measure, and say where the numbers come from. See `study.py`."""

import dataclasses
import datetime
import functools
import gc
import hashlib
import json
import math
import os
import time
from pathlib import Path

import torch

from .finetune import Run, predict
from .neighbours import fold, head_names
from .origin import origin, process_bytes
from .parents import load_parent
from .recorder import layer_of
from .sharpness import top_eigenvalue
from .study_plan import Job
from .tasks import Task, load_task

_load_parent = functools.lru_cache(maxsize=3)(load_parent)


def run_job(job: Job, device: str) -> dict:
    """The row of one run. A training that breaks becomes a row, too: a run that failed is a result that is counted.

    A network or a task that cannot be loaded is none, and raises the ValueError of `load_parent` or `load_task`.
    """
    start = time.time()
    tokenizer = _load_parent(job.parent)[1]
    task = make_task(job, tokenizer)
    others = {name: load_task(name, tokenizer, 1, job.n_eval) for name in job.also_on}
    parent, _ = _load_parent(job.parent, task.num_labels)
    for name, other in others.items():
        if other.num_labels != task.num_labels:
            raise ValueError(f"also_on={name!r} has {other.num_labels} labels, {task.name!r} has {task.num_labels}")
    row = {"key": job.key, "arm": job.arm, "stage": job.stage, "recipe": job.recipe, "task": job.task,
           "seed": job.seed, "n_train": job.n_train, "n_eval": job.n_eval, "lr": job.lr, "parent": job.parent,
           "precision": job.precision, "settings": dict(job.settings)}  # fmt: skip
    gc.collect()  # networks and their hooks refer to each other: the last run's would count in this one's peak
    _forget_peak(device)
    try:
        row |= _measure(job, device, parent, task, others)
    except Exception as error:
        row |= {"status": "error", "score": None, "error": f"{type(error).__name__}: {error}"[:500]}
    row["seconds_total"] = round(time.time() - start, 1)
    row["peak_bytes"] = _peak(device)
    row["origin"] = origin(device)
    row["date"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return _finite(row)


def make_task(job: Job, tokenizer) -> Task:
    """The task of a job: in the grid stage, judged on training examples that were held out; seeds draw the examples."""
    if job.stage == "main":
        return load_task(job.task, tokenizer, job.n_train, job.n_eval, seed=job.seed)
    task = load_task(job.task, tokenizer, job.n_train + job.n_eval, 1, seed=job.seed)
    numbers = range(job.n_train + job.n_eval)
    return dataclasses.replace(
        task, train=task.train.select(numbers[: job.n_train]), validation=task.train.select(numbers[job.n_train :]),
        ood=None,
    )  # fmt: skip


def _measure(job: Job, device: str, parent: torch.nn.Module, task: Task, others: dict[str, Task]) -> dict:
    run = Run(parent, task, job.recipe, lr=job.lr, seed=job.seed, record_every=0, device=device,
              precision=job.precision, **dict(job.settings))  # fmt: skip
    while run.step():
        pass
    result = run.result
    fold(result.model)
    trained = dict(result.seconds)
    run.evaluate()
    metrics = dict(result.metrics)
    for name, other in others.items():
        metrics[name] = other.metric(*predict(result.model, other, "validation"))
    losses = [step["loss"] for step in result.steps]
    status = "diverged" if not all(map(math.isfinite, losses)) else "constant" if result.constant else "ok"
    found = {
        "status": status, "score": None if status == "diverged" else metrics["validation"][task.headline],
        "headline": task.headline, "metrics": metrics, "steps": len(losses), "loss": _thinned(losses),
        "trained_share": result.trained_share, "distance": distances(parent, result.model), "data": _digest(task),
        "seconds": {"scoring": trained["scoring"], "training": trained["total"] - trained["scoring"]},
    }  # fmt: skip
    if job.sharpness and status != "diverged":
        few = dataclasses.replace(task, train=task.train.select(range(job.sharpness)))
        sharp = top_eigenvalue(result.model, few.batches("train", 16), iterations=12, tolerance=0.02)
        found["sharpness"] = {"value": sharp.value, "history": sharp.history, "examples": job.sharpness}
    return found


@torch.no_grad()
def distances(parent: torch.nn.Module, tuned: torch.nn.Module) -> dict[str, dict]:
    """How far each layer moved: {layer: {"moved": length of the difference, "from": of the parent's weights,
    "share": of entries that changed}}. The head is left out, since the parent has none."""
    head = head_names(parent)
    after, sums = dict(tuned.named_parameters()), {}
    for name, before in parent.named_parameters():
        if name in head:
            continue
        change = after[name].to(before.device) - before
        layer = layer_of(name).replace("head", "pooler")  # of the body only the pooler is neither block nor embedding
        parts = sums.setdefault(layer, [0.0, 0.0, 0, 0])
        for k, value in enumerate((change.square().sum(), before.square().sum(), change.count_nonzero())):
            parts[k] += value.item()
        parts[3] += change.numel()
    return {
        layer: {"moved": moved**0.5, "from": start**0.5, "share": changed / n}
        for layer, (moved, start, changed, n) in sums.items()
    }


def _thinned(losses: list[float], most: int = 50) -> list[list[float]]:
    """[first step of a stretch, mean loss over it], for at most so many stretches of equal length."""
    length = -(-len(losses) // most)
    parts = [losses[i : i + length] for i in range(0, len(losses), length)]
    return [[i * length, round(sum(part) / len(part), 4)] for i, part in enumerate(parts)]


def _digest(task: Task) -> str:
    """Of all texts and labels, in their order."""
    digest = hashlib.blake2b(digest_size=8)
    for split in task.splits:
        data = getattr(task, split)
        for column in ("sentence1", "sentence2", "label"):
            if column in data.column_names:
                digest.update(json.dumps([split, column, list(data[column])]).encode())
    return digest.hexdigest()


def _finite(x):
    """Numbers cut to 6 digits; what is not finite becomes None, for which JSON has a word."""
    if isinstance(x, float):
        return float(f"{x:.6g}") if math.isfinite(x) else None
    if isinstance(x, dict):
        return {k: _finite(v) for k, v in x.items()}
    return [_finite(v) for v in x] if isinstance(x, list | tuple) else x


def _forget_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    elif os.access("/proc/self/clear_refs", os.W_OK):
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts anew from what is held now


def _peak(device: str) -> int | None:
    """The most bytes held during the run: on a GPU by tensors, else by the whole process; None where nobody counts."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    return process_bytes("VmHWM")
