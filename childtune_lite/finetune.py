"""One training loop for every recipe. Taught in notebook 05."""

import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from .child import Child
from .hooks import check_share
from .modes import in_mode
from .neighbours import fold
from .parents import draw_head
from .precision import Precision
from .recipes import Setting, set_up
from .recorder import gradient_statistics


@dataclass
class Result:
    """What a run leaves behind.

    Attributes:
        recipe, settings: what was run.
        child: the `Child` of a recipe that has one, else None.
        model: the tuned copy of the parent, in evaluation mode.
        metrics: {"validation": {metric: value}, "ood": {...} if the task has that split}, measured after the last step.
        steps: one dict a step: step, epoch, loss, lr, grad_norm (before clipping); in F also p, as it was then.
        gradients: one dict a sampled step: step, and {layer: statistics} under "layers"; see `recorder.py`.
        trained_share: share of the network's entries that train. In F all do, a different part at every step.
        constant: True when the tuned network gives every validation example the same class: a run that failed.
        seconds: {"total", "scoring" (choosing the child), "recording" (gradient statistics)}.
    """

    recipe: str
    settings: dict
    model: torch.nn.Module
    trained_share: float
    child: Child | None = None
    metrics: dict = field(default_factory=dict)
    steps: list = field(default_factory=list)
    gradients: list = field(default_factory=list)
    constant: bool = False
    seconds: dict = field(default_factory=dict)


def finetune(parent: torch.nn.Module, task, recipe: str = "F", *, progress: bool = True, **settings) -> Result:
    """Fine-tune a copy of `parent` on `task`; the parent itself is not changed.

    Args:
        parent, task: as `load_parent` and `load_task` return them.
        recipe: a key of `RECIPES`: "vanilla", "F", "D", or one of the controls.
        progress: show a progress bar.
        settings: p=0.3, lr=2e-4, epochs=3, batch_size=16, seed=0 and the others; `Run` explains them all.

    The global random state is left as it was found.
    """
    from tqdm.auto import tqdm

    run = Run(parent, task, recipe, **settings)
    switch = {} if progress else {"disable": True}  # left out, the environment variable TQDM_DISABLE decides
    with tqdm(total=run.total, desc=recipe, leave=False, **switch) as bar:
        while run.step():
            bar.update()
    fold(run.result.model)
    run.evaluate()
    return run.result


class Run:
    """A training run that is taken one step at a time: `finetune` takes all of them, a widget stops in between.

    Args:
        parent, task, recipe: see `finetune`.
        p: the paper's p_F or p_D, in (0, 1]; recipes without a mask ignore it.
        epochs, batch_size: passes over `task.train`, and examples in a step.
        lr: peak learning rate of AdamW. It rises over the first `warmup` share of the steps, then falls to 0.
        seed: draws the head, the data order, dropout and the mask, each from a random source of its own. Two recipes
            with the same seed see the same batches and drop the same units, so their runs pair.
        weight_decay: AdamW's, on matrices only.
        max_grad_norm: the whole gradient is clipped to this norm before it is masked, as in the released code.
        estimator: of the Fisher scores that choose the child; see `fisher.py`.
        scope: which parameters are masked; None means all for F, the encoder's blocks for D.
        record_every: gradient statistics are taken at every so many steps; 0 for never.
        device: None takes the GPU if there is one.
        precision: "float32", "bfloat16", "float16", or "auto" for the best that the device does; see `precision.py`.
            A step that float16's loss scaler skips is recorded like any other; it changes nothing.

    Attributes:
        result: what has been recorded so far; its network is in evaluation mode between two steps.
        mask: the `BernoulliMask` of recipe "F", else None; `mask.p` may be set between two steps.
        total: the number of steps of the whole run.

    Between two steps the global random state is the caller's.
    """

    def __init__(
        self,
        parent: torch.nn.Module,
        task,
        recipe: str = "F",
        *,
        p: float = 0.3,
        lr: float = 2e-4,
        epochs: int = 3,
        batch_size: int = 16,
        seed: int = 0,
        warmup: float = 0.1,
        weight_decay: float = 0.01,
        max_grad_norm: float = 1.0,
        estimator: str = "per_example",
        scope: Callable[[str], bool] | None = None,
        record_every: int = 10,
        device: str | torch.device | None = None,
        precision: str = "float32",
    ):
        check_share(p)
        _check_settings(epochs, warmup, max_grad_norm, record_every)
        if task.num_labels != parent.config.num_labels:
            raise ValueError(
                f"parent has num_labels={parent.config.num_labels}, task {task.name!r} has {task.num_labels}: "
                f"load_parent(num_labels={task.num_labels})"
            )
        s = {"p": p, "lr": lr, "epochs": epochs, "batch_size": batch_size, "seed": seed, "warmup": warmup,
             "weight_decay": weight_decay, "max_grad_norm": max_grad_norm, "estimator": estimator}  # fmt: skip
        self.task, self.record_every, start = task, record_every, time.perf_counter()
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.precision = Precision(precision, self.device)
        s["precision"] = self.precision.name
        with self._own_random_state():
            model = draw_head(copy.deepcopy(parent), seed).to(self.device)
            # Shuffled: the generated tasks lie in order of alternating classes, and per_batch would see balanced ones.
            scoring = task.batches("train", s["batch_size"], seed=1000 * seed)
            setting = Setting(s["p"], s["lr"], s["weight_decay"], seed, s["estimator"], scope, scoring)
            self.arm = set_up(recipe, model, setting)
            torch.manual_seed(seed)  # from here on only dropout draws from the global state
        self.result = Result(recipe, s, model, self.arm.trained_share, self.arm.child)
        self.result.seconds = {"scoring": time.perf_counter() - start, "recording": 0.0, "total": 0.0}
        self.mask = self.arm.mask
        self.total = s["epochs"] * len(task.batches("train", s["batch_size"]))
        # Neither of these two may hold self: that would be a cycle, and keep the optimizer's moments until gc runs.
        total = self.total
        self._scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.arm.optimizer, lambda step: _schedule(step, total, warmup)
        )
        self._batches = _all_batches(task, s)
        self._clock(start)

    def step(self) -> bool:
        """Take one step. False when all steps were taken already."""
        epoch, batch = next(self._batches, (None, None))
        if batch is None:
            return False
        start, result, model, optimizer = time.perf_counter(), self.result, self.result.model, self.arm.optimizer
        with self._own_random_state():
            model.train()
            with self.precision.autocast():
                loss = model(**{key: value.to(self.device) for key, value in batch.items()}).loss
            scaler = self.precision.scaler
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), result.settings["max_grad_norm"])
            step = len(result.steps)
            if self.record_every and step % self.record_every == 0:
                _record(result, self.arm, step)
            lr = self._scheduler.get_last_lr()[0]
            row = {"step": step, "epoch": epoch, "loss": loss.item(), "lr": lr, "grad_norm": norm.item()}
            result.steps.append(row | ({"p": self.mask.p} if self.mask else {}))
            scaler.step(optimizer)
            scaler.update()
            self._scheduler.step()
            optimizer.zero_grad()
            model.eval()
        self._clock(start)
        return True

    def evaluate(self) -> None:
        """Measure the network as it is on the task's `validation` and `ood` examples, into `result`."""
        start, task = time.perf_counter(), self.task
        for split in ("validation", "ood"):
            if getattr(task, split) is not None:
                logits, labels = predict(self.result.model, task, split)
                self.result.metrics[split] = task.metric(logits, labels)
                if split == "validation" and task.num_labels > 1:
                    self.result.constant = len(logits.argmax(-1).unique()) == 1
        self._clock(start)

    @contextlib.contextmanager
    def _own_random_state(self):
        """Inside, the global random state is this run's own; outside, the caller's goes on as if nothing happened."""
        cuda = self.device.type == "cuda"
        with torch.random.fork_rng([self.device] if cuda else []):
            if hasattr(self, "_random"):
                torch.set_rng_state(self._random[0])
                if cuda:
                    torch.cuda.set_rng_state(self._random[1], self.device)
            yield
            self._random = torch.get_rng_state(), torch.cuda.get_rng_state(self.device) if cuda else None

    def _clock(self, start: float) -> None:
        self.result.seconds["total"] += time.perf_counter() - start


def _check_settings(epochs, warmup, max_grad_norm, record_every) -> None:
    """What PyTorch would take without a word, and train nothing, or uphill."""
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f"epochs={epochs!r}: expected a whole number of passes, at least 1")
    if not 0 <= warmup <= 1:
        raise ValueError(f"warmup={warmup!r}: expected a share of the steps, from 0 to 1")
    if not max_grad_norm > 0:
        raise ValueError(f"max_grad_norm={max_grad_norm!r}: expected a length above 0; float('inf') clips nothing")
    if isinstance(record_every, bool) or not isinstance(record_every, int) or record_every < 0:
        raise ValueError(f"record_every={record_every!r}: expected a whole number of steps; 0 records nothing")


def _all_batches(task, s: dict) -> Iterator[tuple[int, dict]]:
    for epoch in range(s["epochs"]):
        for batch in task.batches("train", s["batch_size"], seed=1000 * s["seed"] + epoch):
            yield epoch, batch


def _schedule(step: int, total: int, warmup: float) -> float:
    """The factor on the learning rate: up in a line over the warmup steps, then down in a line to 0."""
    rising = round(warmup * total)
    return (step + 1) / (rising + 1) if step < rising else (total - step) / max(total - rising, 1)


def _record(result: Result, arm, step: int) -> None:
    start = time.perf_counter()
    named = [(name, param.grad) for name, param in result.model.named_parameters() if param.grad is not None]
    result.gradients.append({"step": step, "layers": gradient_statistics(named, arm.masked)})
    result.seconds["recording"] += time.perf_counter() - start


@torch.no_grad()
def predict(model: torch.nn.Module, task, split: str, batch_size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (examples, classes) and labels (examples,) of a whole split, on the CPU, in evaluation mode."""
    device, logits, labels = next(model.parameters()).device, [], []
    with in_mode(model):
        for batch in task.batches(split, batch_size):
            labels.append(batch.pop("labels"))
            logits.append(model(**{key: value.to(device) for key, value in batch.items()}).logits.cpu().float())
    return torch.cat(logits), torch.cat(labels)
