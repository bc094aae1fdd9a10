"""What the bench measures of the masks: each function gives some rows of the table.

Speeds are ratios to the same optimizer without a mask. The two run in turn, step by step, in one process, so that a
disturbance meets both; what is reported is the median of the ratios, with their quartiles.
"""

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .child import Child
from .fisher import encoder_scope, fisher_scores
from .masks import BernoulliMask
from .memory import tensor_bytes

P_F, P_D = 0.3, 0.2


@dataclass
class Row:
    """One line of the table. `bar` is what must hold, `aim` what would be good; smaller is better."""

    what: str
    measured: float | None
    unit: str = "x"
    bar: float | None = None
    aim: float | None = None
    quartiles: tuple[float, float] | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.bar is None or self.measured is None else self.measured <= self.bar


@dataclass
class Bench:
    """What the rows are measured on: the network, a batch of `examples` sequences of `length`, and how often."""

    parent: torch.nn.Module
    device: torch.device
    steps: int = 25
    examples: int = 16
    length: int = 32
    scoring_batches: int = 8
    scores: int = 300_000_000
    imports: int = 7
    large: dict | None = None  # the config of the large network; None for BERT-large's

    def batch(self, config, examples: int | None = None, length: int | None = None) -> dict:
        shape = (examples or self.examples, length or self.length)
        ids = torch.randint(5, config.vocab_size, shape, device=self.device)
        labels = torch.randint(0, config.num_labels, shape[:1], device=self.device)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}

    def bars(self, bar: float) -> float | None:
        """The bars were set for a CPU; on a GPU we only measure."""
        return bar if self.device.type == "cpu" else None


def interleaved(calls: dict[str, Callable], steps: int, device: torch.device, warm_up: int = 3) -> dict[str, list]:
    """Seconds of each call, taken in turn."""
    seconds = {name: [] for name in calls}
    for step in range(warm_up + steps):
        for name, call in calls.items():
            _wait(device)
            start = time.perf_counter()
            call()
            _wait(device)
            if step >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ratio_row(what: str, seconds: dict, name: str, **settings) -> Row:
    """The ratio of `name` to "plain", step by step."""
    ratios = [a / b for a, b in zip(seconds[name], seconds["plain"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    plain, masked = (1000 * statistics.median(seconds[key]) for key in ("plain", name))
    return Row(what, middle, quartiles=(low, high), note=f"{masked:.1f} ms against {plain:.1f} ms", **settings)


def random_child(model: torch.nn.Module, p: float = P_D) -> Child:
    """A child at random: its speed is that of one chosen by Fisher information."""
    return Child.random({n: x for n, x in model.named_parameters() if encoder_scope(n)}, p)


def attach(recipe: str, model: torch.nn.Module) -> torch.optim.Optimizer:
    """A fused AdamW on the model; "F", "F compiled", "D", "D lean" with their mask, anything else without."""
    if recipe.startswith("D"):
        child = random_child(model)
        optimizer = torch.optim.AdamW(child.parameters(model), lr=1e-5, fused=True)
        child.attach(optimizer, lean="lean" in recipe)
        return optimizer
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    if recipe.startswith("F"):
        BernoulliMask(P_F, compile="compiled" in recipe).attach(optimizer, model)
    return optimizer


def optimizer_step_rows(bench: Bench) -> list[Row]:
    """The optimizer's step alone, on gradients that stay as they are."""
    recipes = ["plain", "F", "F compiled", "D"]
    models = {r: copy.deepcopy(bench.parent).to(bench.device) for r in recipes}
    optimizers = {r: attach(r, models[r]) for r in recipes}
    for model in models.values():
        for param in model.parameters():
            param.grad = torch.randn_like(param)
    try:
        optimizers["F compiled"].step()
        missing = ""
    except Exception as error:  # no C++ compiler, no Triton: many kinds of error, one meaning
        missing = f"torch.compile does not work here ({type(error).__name__})"
        del optimizers["F compiled"]
    seconds = interleaved({r: o.step for r, o in optimizers.items()}, bench.steps, bench.device)
    what = "optimizer step, fused AdamW"
    bars = {"F": (3.0, 1.5), "F compiled": (2.0, 1.5), "D": (1.75, 1.2)}
    return [
        ratio_row(f"{r}: {what}", seconds, r, bar=bench.bars(bars[r][0]), aim=bars[r][1])
        if r in seconds
        else Row(f"{r}: {what}", None, bar=bench.bars(bars[r][0]), aim=bars[r][1], note=missing)
        for r in recipes[1:]
    ]


def training_step_rows(bench: Bench) -> list[Row]:
    """Forward, backward, step, zero_grad."""
    recipes = ["plain", "F", "D", "D lean"]
    models = {r: copy.deepcopy(bench.parent).to(bench.device).train() for r in recipes}
    optimizers = {r: attach(r, models[r]) for r in recipes}
    batch = bench.batch(bench.parent.config)

    def train(recipe: str) -> Callable:
        def step():
            models[recipe](**batch).loss.backward()
            optimizers[recipe].step()
            optimizers[recipe].zero_grad()

        return step

    seconds = interleaved({r: train(r) for r in recipes}, bench.steps, bench.device)
    what = f"training step, batch {bench.examples}, length {bench.length}"
    return [ratio_row(f"{r}: {what}", seconds, r, bar=bench.bars(1.15), aim=1.05) for r in recipes[1:]]


def memory_rows(bench: Bench) -> list[Row]:
    """Bytes within the masked scope, against p_D of the dense ones, plus 4 for each index."""
    model = copy.deepcopy(bench.parent).to(bench.device)
    child = random_child(model)
    optimizer = torch.optim.AdamW(child.parameters(model), lr=1e-5, fused=True)
    child.attach(optimizer, lean=True)
    model(**bench.batch(model.config)).loss.backward()
    params = [p for group in optimizer.param_groups for p in group["params"]]
    scope = {id(model.get_parameter(name)) for name in child.indices}
    mine = [p for p in params if hasattr(p, "child_slice") or id(p) in scope]
    held = tensor_bytes(p.grad for p in mine)
    optimizer.step()
    state = tensor_bytes(x for p in mine for x in optimizer.state.get(p, {}).values() if x.dim())
    index = tensor_bytes(child.indices.values())
    dense = tensor_bytes(model.get_parameter(name) for name in child.indices)
    share = child.size / child.total
    return [
        Row(
            "D: optimizer state and indices, of p_D of dense + 4 bytes an entry",
            round((state + index) / (share * 2 * dense + 4 * child.size), 6),
            bar=1.0,
            aim=1.0,
            note=f"{(state + index) / 1e6:.1f} MB; dense {2 * dense / 1e6:.1f} MB",
        ),
        Row(
            "D lean: gradients held at the step, of p_D of dense",
            round(held / (share * dense), 6),
            bar=1.0,
            aim=1.0,
            note=f"{held / 1e6:.1f} MB; dense {dense / 1e6:.1f} MB",
        ),
    ]


def fisher_rows(bench: Bench) -> list[Row]:
    """A per-example pass over some batches, its check of the first batch included, and plain passes over the same."""
    model = copy.deepcopy(bench.parent).to(bench.device).eval()
    batches = [bench.batch(model.config) for _ in range(bench.scoring_batches)]

    def plain():
        for batch in batches:
            model(**batch).loss.backward()
            model.zero_grad()

    calls = {"plain": plain, "per_example": lambda: fisher_scores(model, batches)}
    seconds = interleaved(calls, bench.steps, bench.device, warm_up=1)
    what = f"per-example Fisher pass, {len(batches)} batches of {bench.examples}"
    return [ratio_row(what, seconds, "per_example", bar=bench.bars(1.6), aim=1.3)]
