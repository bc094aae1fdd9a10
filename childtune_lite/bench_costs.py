"""What else the bench measures: the selection and the import, each in a process of its own, and the widgets."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import torch

from . import views
from .bench_rows import Bench, Row, interleaved, ratio_row
from .child import Child
from .fisher import fisher_scores
from .origin import process_bytes
from .plots.style import png
from .recorder import gradient_statistics


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
    return process_bytes(what)


def import_rows(bench: Bench) -> list[Row]:
    def importing(module: str) -> Callable:
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    calls = {"plain": importing("torch"), "ours": importing("childtune_lite")}
    seconds = interleaved(calls, bench.imports, torch.device("cpu"), warm_up=0)
    return [ratio_row("import childtune_lite, against import torch", seconds, "ours", bar=1.15)]


def widget_rows(bench: Bench) -> list[Row]:
    """A redraw of each widget: every value of every control once, the others at their defaults."""
    found = []
    for name, view in _views(bench).items():
        settings = [{**view.defaults, c: o} for c, choice in view.controls.items() for o in choice.options]
        milliseconds = []
        for chosen in [view.defaults, *settings][: None if bench.large is None else 3]:
            start = time.perf_counter()
            png(view.draw(**chosen)[0], quick=True)
            milliseconds.append(1000 * (time.perf_counter() - start))
        low, middle, high = statistics.quantiles(milliseconds[1:], n=4)
        note = f"slowest {max(milliseconds[1:]):.0f} ms"
        found.append(Row(f"redraw of the widget {name}", middle, "ms", bar=100, quartiles=(low, high), note=note))
    return found


def _views(bench: Bench) -> dict[str, views.View]:
    """All views; those that show a network are given the bench's."""
    batches = [bench.batch(bench.parent.config) for _ in range(2)]
    scores = {e: fisher_scores(bench.parent, batches, e) for e in ("per_example", "per_batch", "expected")}
    named = list(bench.parent.named_parameters())
    layers = gradient_statistics(named, lambda name, gradient: gradient)
    steps = [{"step": i, "loss": 0.7, "p": 0.3} for i in range(48)]
    result = SimpleNamespace(
        recipe="F", steps=steps, gradients=[{"step": i, "layers": layers} for i in range(0, 48, 2)]
    )
    run = SimpleNamespace(mask=True, record_every=2, total=48, result=result)
    curves = {arm: {n: dict(enumerate(range(60, 65))) for n in (100, 500, 2000)} for arm in ("vanilla", "F", "D")}
    rows = [{"step": step, "new": step / 50, "old": 1 - step / 50, "old_back": 0.9} for step in (2, 5, 10, 20, 40)]
    ways = {p: dict.fromkeys(range(3), rows) for p in (0.01, 0.03, 0.1, 0.3, 1.0)}
    return {
        "mask_explorer": views.mask_explorer(),
        "update_cloud": views.update_cloud(),
        "escape_walk": views.escape_walk(),
        "child_on_the_map": views.child_on_the_map({"one": scores, "two": scores}),
        "two_entries": views.two_entries(),
        "training_progress_view": views.training_progress_view(run),
        "memory_calculator": views.memory_calculator(),
        "fewer_examples": views.fewer_examples(dict.fromkeys(("validation", "ood"), curves)),
        "vision_tradeoff": views.vision_tradeoff(dict.fromkeys(("top", "random"), ways)),
    }
