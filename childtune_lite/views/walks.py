"""Notebook 02's second widget: walkers leave the sharp minimum, step by step."""

import functools

import torch

from ..masks import BernoulliMask
from ..plots.redrawn import walk_panels
from ..walks import Landscape, Walk
from .view import Choice, View

LAND, NOISE, WALKERS, STEPS, EVERY = Landscape(), 8.0, 400, 600, 50
OPTIMIZERS = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}


@functools.lru_cache(maxsize=64)
@torch.no_grad()
def escape(p: float, batch: int, rate: float, optimizer: str) -> tuple[Walk, tuple]:
    """The walk of one setting under the real optimizer with the module's mask, and its curve with intervals."""
    place = torch.nn.Parameter(torch.zeros(2, WALKERS))
    stepper = OPTIMIZERS[optimizer]([place], lr=rate)
    BernoulliMask(p, seed=0).attach(stepper)
    generator = torch.Generator().manual_seed(0)
    left_at, positions = torch.full((WALKERS,), STEPS + 1), {0: place.T.clone()[None]}
    for step in range(1, STEPS + 1):
        noise = torch.randn(2, WALKERS, generator=generator).mul_(NOISE / batch**0.5)
        place.grad = noise.add_(torch.stack(LAND.gradient(*place.detach())))
        stepper.step()
        left_at.masked_fill_(LAND.outside(*place) & (left_at > STEPS), step)
        if step % EVERY == 0:
            positions[step] = place.T.clone()[None]
    walk = Walk(left_at[None], positions, STEPS)
    return walk, walk.curve(0, EVERY)


def _draw(p: float, batch: int, rate: float, optimizer: str, step: int) -> tuple:
    walk, curve = escape(p, batch, rate, optimizer)
    left, upto = walk.left_at[0] <= step, tuple(values[: step // EVERY + 1] for values in curve)
    _, (*_, share), (*_, low), (*_, high) = upto
    title = f"{optimizer}, p_F = {p:g}, B = {batch}, η = {rate:g}"
    heat = rate * NOISE / (p * batch) ** 0.5
    lines = [
        f"step {step}: {int(left.sum())} of {WALKERS} walkers have left, {share:.2f} [{low:.2f}, {high:.2f}]",
        f"theorem, SGD at the minimum: std of one update η s/sqrt(p B) = {heat:.3f}",
    ]
    if optimizer != "SGD":
        lines[1] += f" (not of {optimizer}'s update)"
    return walk_panels(LAND, walk.positions[step][0], left, upto, STEPS, title), "\n".join(lines)


def escape_walk() -> View:
    """Walkers in a landscape with a sharp and a flat minimum, for any p_F, batch size, rate and optimizer."""
    return View(
        _draw,
        {
            "p": Choice("p_F", (0.25, 0.5, 1.0), 0.25),
            "batch": Choice("batch size B", (10, 20, 40), 20),
            "rate": Choice("learning rate η", (0.01, 0.02, 0.05), 0.02),
            "optimizer": Choice("optimizer", tuple(OPTIMIZERS), "SGD", "buttons"),
            "step": Choice("step", tuple(range(0, STEPS + 1, EVERY)), 300, "play"),
        },
        "A map of the loss with a sharp minimum inside a dashed circle and a flat one to its right, and the walkers: "
        "dots have not left the circle yet, crosses have. Beside it the share that has left against the step.",
    )
