"""One training loop for every recipe. Taught in notebook 05."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from .child import Child
from .hooks import check_share
from .parents import draw_head
from .recipes import Setting, set_up
from .recorder import gradient_statistics


@dataclass
class Result:
    """What a run leaves behind.

    Attributes:
        model: the tuned copy of the parent, in evaluation mode.
        metrics: {"validation": {metric: value}, "ood": {...} if the task has that split}, measured after the last step.
        steps: one dict a step: step, epoch, loss, lr, grad_norm (before clipping).
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


def finetune(
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
    progress: bool = True,
) -> Result:
    """Fine-tune a copy of `parent` on `task`; the parent itself is not changed.

    Args:
        parent, task: as `load_parent` and `load_task` return them.
        recipe: a key of `RECIPES`: "vanilla", "F", "D", or one of the controls.
        p: the paper's p_F or p_D, in (0, 1]; recipes without a mask ignore it.
        lr: peak learning rate of AdamW. It rises over the first `warmup` share of the steps, then falls to 0.
        seed: draws the head, the data order, dropout and the mask, each from a random source of its own. Two recipes
            with the same seed see the same batches and drop the same units, so their runs pair.
        max_grad_norm: the whole gradient is clipped to this norm before it is masked, as in the released code.
        scope: which parameters are masked; None means all for F, the encoder's blocks for D.
        record_every: gradient statistics are taken at every so many steps; 0 for never.

    The global random state is left as it was found.
    """
    check_share(p)
    if task.num_labels != parent.config.num_labels:
        raise ValueError(
            f"parent has num_labels={parent.config.num_labels}, task {task.name!r} has {task.num_labels}: "
            f"load_parent(num_labels={task.num_labels})"
        )
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    settings = {"p": p, "lr": lr, "epochs": epochs, "batch_size": batch_size, "seed": seed, "warmup": warmup,
                "weight_decay": weight_decay, "max_grad_norm": max_grad_norm, "estimator": estimator}  # fmt: skip
    start = time.perf_counter()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        model = draw_head(copy.deepcopy(parent), seed).to(device)
        # Shuffled: the generated tasks lie in order of alternating classes, and per_batch would see balanced batches.
        scoring_batches = task.batches("train", batch_size, seed=1000 * seed)
        arm = set_up(recipe, model, Setting(p, lr, weight_decay, seed, estimator, scope, scoring_batches))
        result = Result(recipe, settings, model, arm.trained_share, arm.child)
        result.seconds = {"scoring": time.perf_counter() - start, "recording": 0.0}
        torch.manual_seed(seed)  # from here on only dropout draws from the global state
        _train(result, arm, task, record_every, progress)
    for split in ("validation", "ood"):
        if getattr(task, split) is not None:
            logits, labels = predict(model, task, split)
            result.metrics[split] = task.metric(logits, labels)
            if split == "validation" and task.num_labels > 1:
                result.constant = len(logits.argmax(-1).unique()) == 1
    result.seconds["total"] = time.perf_counter() - start
    return result


def _train(result: Result, arm, task, record_every: int, progress: bool) -> None:
    from tqdm.auto import tqdm

    s, model, optimizer = result.settings, result.model, arm.optimizer
    device = next(model.parameters()).device
    total = s["epochs"] * len(task.batches("train", s["batch_size"]))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _schedule(step, total, s["warmup"]))
    switch = {} if progress else {"disable": True}  # left out, the environment variable TQDM_DISABLE decides
    bar = tqdm(total=total, desc=result.recipe, leave=False, **switch)
    model.train()
    for epoch in range(s["epochs"]):
        for batch in task.batches("train", s["batch_size"], seed=1000 * s["seed"] + epoch):
            loss = model(**{key: value.to(device) for key, value in batch.items()}).loss
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), s["max_grad_norm"])
            step = len(result.steps)
            if record_every and step % record_every == 0:
                _record(result, arm, step)
            result.steps.append(
                {
                    "step": step,
                    "epoch": epoch,
                    "loss": loss.item(),
                    "lr": scheduler.get_last_lr()[0],
                    "grad_norm": norm.item(),
                }
            )
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            bar.update()
    bar.close()
    model.eval()


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
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    logits, labels = [], []
    for batch in task.batches(split, batch_size):
        labels.append(batch.pop("labels"))
        logits.append(model(**{key: value.to(device) for key, value in batch.items()}).logits.cpu().float())
    model.train(was_training)
    return torch.cat(logits), torch.cat(labels)
