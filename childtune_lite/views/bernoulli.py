"""Notebook 01's widget: what a Bernoulli mask does to one gradient, and what many masks do on average."""

import functools
import math

import torch

from ..masks import bernoulli_mask
from ..plots.mask_numbers import mask_statistics, mask_statistics_table
from ..plots.redrawn import mask_panels
from .view import Choice, View

SHAPES = ((3, 4), (8, 12), (32, 32), (16, 4, 3, 3))
KINDS = ("normal", "heavy tails", "3 of 4 are zero")
ROUND = 1000  # masks that one press of the button draws
CHECKPOINTS = (1, 3, 10, 30, 100, 300, 1000, 2000)


def toy_gradient(shape: tuple[int, ...], kind: str, seed: int) -> torch.Tensor:
    """A random gradient: normal, Student's t with 3 degrees of freedom, or normal with 3 of 4 entries set to 0."""
    generator = torch.Generator().manual_seed(seed)
    normal, a, b, c = torch.randn(4, *shape, generator=generator)
    if kind == "heavy tails":
        return normal / ((a**2 + b**2 + c**2) / 3).sqrt()
    if kind == "3 of 4 are zero":
        return normal * (torch.arange(normal.numel()).view(shape) % 4 == 0)
    return normal


@functools.lru_cache(maxsize=8)
def average_of_masks(gradient_of: tuple, p: float, seed: int, rounds: int) -> tuple:
    """The first mask, the average of gradient * mask / p over 1 or `rounds` x 1,000 masks, and its distances from g."""
    gradient = toy_gradient(*gradient_of)
    generator = torch.Generator().manual_seed(1000 + seed)
    first = bernoulli_mask(gradient, p, generator)
    kept, done, distances = first.clone(), 1, {}
    for count in CHECKPOINTS:
        if count > max(1, rounds * ROUND):
            break
        if count > done:
            kept += bernoulli_mask(gradient.expand(count - done, *gradient.shape), p, generator).sum(0)
            done = count
        distances[count] = ((kept / (count * p) - 1) * gradient).norm().item() / gradient.norm().item()
    return first, gradient * kept / (done * p), done, distances


def _draw(p: float, seed: int, shape: tuple[int, ...], kind: str, rounds: int) -> tuple:
    gradient = toy_gradient(shape, kind, seed)
    mask, average, count, distances = average_of_masks((shape, kind, seed), p, seed, rounds)
    statistics = mask_statistics(gradient, gradient * mask / p, p)
    expected = math.sqrt((1 - p) / (p * count))
    lines = [
        "one mask:",
        mask_statistics_table(statistics),
        f"mean of {count:,} mask{'s' if count > 1 else ''}: {distances[count]:.3f} |g| from g; "
        f"expected about sqrt((1-p)/(p n)) = {expected:.3f} |g|",
    ]
    return mask_panels(gradient, mask, average, p, count, distances), "\n".join(lines)


def mask_explorer() -> View:
    """Gradient, mask, masked gradient and its statistics, for any p_F, seed, shape and kind of gradient."""
    return View(
        _draw,
        {
            "p": Choice("p_F", (0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0), 0.2),
            "seed": Choice("seed", (0, 1, 2), 0),
            "shape": Choice("shape", SHAPES, (8, 12), "buttons", tuple(" x ".join(map(str, s)) for s in SHAPES)),
            "kind": Choice("entries", KINDS, "normal", "buttons"),
            "rounds": Choice("Draw 1,000 masks", (0, 1, 2), 0, "press"),
        },
        "Four aligned grids: a gradient, a mask, the masked gradient divided by p, and its average over masks. Below: "
        "a histogram of the entries before and after the mask, and how far the average lies from the gradient.",
    )
