"""What a Bernoulli mask does to a gradient, in numbers: measured, and what the formulas say. Taught in notebook 01."""

import math

import torch


def effective_entries(gradient: torch.Tensor) -> float:
    """How many equally large entries would carry the squared norm as unevenly: (sum g^2)^2 / sum g^4.

    All entries equal: n. One entry that outweighs the rest: 1. NaN for a gradient of zeros.
    """
    squares = gradient.detach().double().square()
    return (squares.sum() ** 2 / squares.square().sum()).item()


def mask_statistics(gradient: torch.Tensor, masked: torch.Tensor, p: float) -> dict[str, dict[str, float]]:
    """Statistics of a gradient and of its masked copy, beside what the formulas say. Taught in notebook 01.

    Args:
        gradient: before the mask, any shape.
        masked: gradient * mask / p, in the same shape.
        p: share of entries kept.

    Returns:
        {"mean" | "std" | "norm" | "zeros" | "cosine": {"before", "measured", "expected", "spread"}}. "zeros" is the
        share of exact zeros, "cosine" that of the angle between the two. "expected" is exact for mean and zeros; for
        the other three it is the root of the expected square. "spread" is the standard deviation over masks, to
        first order for those three.
    """
    g, h = gradient.detach().double().flatten(), masked.detach().double().flatten()
    n, m, q, z = g.numel(), g.mean(), g.square().mean(), (g == 0).double().mean()
    norm, drop = g.norm(), 1 - p
    # The share k of the squared norm that is kept has mean p and variance p (1 - p) / effective_entries(g).
    # cosine = sqrt(k) and norm = |g| sqrt(k) / p, so both inherit half its relative spread.
    relative = 0.5 * math.sqrt(drop / p) / torch.tensor(effective_entries(g)).sqrt()
    variance = q / p - m**2 - drop * q / (p * n)
    std_spread = (p * drop * (g.square() / p**2 - 2 * m * g / p).square().sum()).sqrt() / n / (2 * variance.sqrt())
    rows = {
        "mean": (m, h.mean(), m, (drop * q / (p * n)).sqrt()),
        "std": (g.std(correction=0), h.std(correction=0), variance.clamp(min=0).sqrt(), std_spread),
        "norm": (norm, h.norm(), norm / math.sqrt(p), norm / math.sqrt(p) * relative),
        "zeros": (z, (h == 0).double().mean(), 1 - p * (1 - z), (p * drop * (1 - z) / n).sqrt()),
        "cosine": (norm / norm, g.dot(h) / (norm * h.norm()), math.sqrt(p), math.sqrt(p) * relative),
    }
    keys = ("before", "measured", "expected", "spread")
    return {name: dict(zip(keys, map(float, row), strict=True)) for name, row in rows.items()}


def mask_statistics_table(statistics: dict[str, dict[str, float]], digits: int = 3) -> str:
    """What `mask_statistics` returns, as an aligned table."""
    head = f"{'':8}{'before':>10}{'after':>10}{'expected':>10}{'+/-':>10}"
    lines = [
        f"{name:8}" + "".join(f"{value:10.{digits}f}" for value in row.values()) for name, row in statistics.items()
    ]
    return "\n".join([head, *lines])
