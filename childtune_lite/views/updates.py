"""Notebook 02's first widget: a cloud of updates of two weights, and the ellipse that the theorem promises."""

import functools

import torch

from ..masks import BernoulliMask
from ..plots.redrawn import cloud_panels
from ..updates import theorem_covariance, theorem_mean
from .view import Choice, View

SLOPE, NOISE, PAIRS = (1.0, 0.4), 2.0, 10_000
OPTIMIZERS = {
    "SGD": lambda weights, rate: torch.optim.SGD(weights, lr=rate),
    "SGD, momentum": lambda weights, rate: torch.optim.SGD(weights, lr=rate, momentum=0.9),
    "Adam": lambda weights, rate: torch.optim.Adam(weights, lr=rate),
}
STEPS_BEFORE = {"SGD": 0, "SGD, momentum": 100, "Adam": 200}  # until the optimizer's memory has filled


@functools.lru_cache(maxsize=64)
@torch.no_grad()
def last_update(p: float, batch: int, optimizer: str) -> tuple[torch.Tensor, torch.Tensor]:
    """One update of many pairs of weights at rate 1, after a warm-up, and what the mask kept at it: (pairs, 2) each.

    All three optimizers' updates are proportional to the rate, as long as the gradient does not depend on the weights.
    """
    weights = [torch.nn.Parameter(torch.zeros(PAIRS)) for _ in SLOPE]
    stepper, mask = OPTIMIZERS[optimizer](weights, 1.0), BernoulliMask(p, seed=0)
    mask.attach(stepper)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS_BEFORE[optimizer] + 1):
        before, kept = [w.clone() for w in weights], [mask.keep(f"0.{i}", (PAIRS,)) for i in range(len(SLOPE))]
        for w, g in zip(weights, SLOPE, strict=True):
            w.grad = torch.randn(PAIRS, generator=generator).mul_(NOISE / batch**0.5).add_(g)
        stepper.step()
    return torch.stack([w - b for w, b in zip(weights, before, strict=True)], 1), torch.stack(kept, 1)


def _draw(p: float, batch: int, rate: float, optimizer: str) -> tuple:
    updates, kept = last_update(p, batch, optimizer)
    updates = rate * updates
    mean, covariance = (f(torch.tensor(SLOPE), *a, p=p, rate=rate) for f, a in (
        (theorem_mean, ()), (theorem_covariance, (NOISE, batch))))  # fmt: skip
    measured = updates.mean(0).tolist(), updates.std(0).tolist()
    formula = mean.tolist(), covariance.diagonal().sqrt().tolist()
    zeros = (updates == 0).double().mean().item()
    lines = [f"{f'one update of {PAIRS:,} pairs':28}  mean 1   std 1  mean 2   std 2  exactly 0"]
    for label, (means, stds), share in ((f"measured, {optimizer}", measured, zeros), ("theorem, SGD", formula, 1 - p)):
        numbers = "".join(f"{m:8.3f}{s:8.3f}" for m, s in zip(means, stds, strict=True))
        lines.append(f"{label:28}{numbers}{share:11.2f}")
    title = f"{optimizer}, p_F = {p:g}, B = {batch}, η = {rate:g}"
    return cloud_panels(updates, kept, mean, covariance, title), "\n".join(lines)


def update_cloud() -> View:
    """Updates of two weights on a slope, for any p_F, batch size, rate and optimizer, over the theorem's ellipse."""
    return View(
        _draw,
        {
            "p": Choice("p_F", (0.1, 0.2, 0.3, 0.5, 0.7, 1.0), 0.2),
            "batch": Choice("batch size B", (4, 16, 64), 16),
            "rate": Choice("learning rate η", (0.25, 0.5, 1.0, 2.0), 1.0),
            "optimizer": Choice("optimizer", tuple(OPTIMIZERS), "SGD", "buttons"),
        },
        "A cloud of updates of two weights, marked by which of the two the mask kept, with the theorem's mean and "
        "ellipse of two standard deviations. Beside it means and standard deviations, measured and by the theorem.",
    )
