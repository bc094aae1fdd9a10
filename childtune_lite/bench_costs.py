"""What else the bench measures: the selection and the import, each in a process of its own, and the widgets."""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from .bench_rows import Bench, Row, interleaved, ratio_row
from .child import Child


def selection_rows(bench: Bench) -> list[Row]:
    """In a process of its own, whose peak of memory can be read."""
    code = f"from childtune_lite.bench_costs import select; select({bench.scores}, {str(bench.device)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, extra = json.loads(done.stdout)
    what = f"selection of the top 30% of {bench.scores:,} scores"
    memory = Row(f"{what}: extra memory, of the scores'", extra, bar=0.10, note="beside the scores and the child")
    return [Row(what, seconds, "s", bar=8.0, aim=3.0), memory]


def select(n: int, device: str) -> None:
    """Print, as JSON, the seconds and the extra memory of one selection, as a share of the scores'."""
    generator, parts = torch.Generator(device).manual_seed(0), 100
    sizes = [n // parts] * (parts - 1) + [n - n // parts * (parts - 1)]
    scores = {
        f"layer.{i}": torch.rand(size, generator=generator, device=device).pow_(4) for i, size in enumerate(sizes)
    }
    Child.top({"warm.up": torch.rand(1000, device=device)}, 0.3)
    before = _memory("VmRSS", device)
    start = time.perf_counter()
    child = Child.top(scores, 0.3)
    seconds = time.perf_counter() - start
    peak = _memory("VmHWM", device)
    extra = None if peak is None else max(peak - before - 4 * child.size, 0) / (4 * n)
    print(json.dumps([seconds, extra]))


def _memory(what: str, device: str) -> int | None:
    """Bytes of this process now (VmRSS) or at its peak (VmHWM); None where the system does not tell."""
    if device.startswith("cuda"):
        return torch.cuda.memory_allocated() if what == "VmRSS" else torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith(what))


def import_rows(bench: Bench) -> list[Row]:
    def importing(module: str) -> Callable:
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    calls = {"plain": importing("torch"), "ours": importing("childtune_lite")}
    seconds = interleaved(calls, bench.imports, torch.device("cpu"), warm_up=0)
    return [ratio_row("import childtune_lite, against import torch", seconds, "ours", bar=1.15)]


def widget_rows(bench: Bench) -> list[Row]:
    """The redraw of each widget's view. Filled in where the views are."""
    what = "redraw of each widget's view"
    if not Path(__file__).with_name("views").exists():
        return [Row(what, None, "ms", bar=100, note="no views yet")]
    views = importlib.import_module(".views", __package__)
    return [Row(what, None, "ms", bar=100, note=f"{len(vars(views))} names in {views.__name__}, not measured yet")]
