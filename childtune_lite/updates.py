"""The update under a Bernoulli mask: its mean and covariance, by formula and by simulation. Taught in notebook 02.

The formulas are for plain SGD: update = -rate * mask * (mean gradient of a batch) / p, where the mask is drawn apart
from the data. They are derived in the notebook, and hold for any noise that has a covariance.
"""

import torch


def noise_covariance(noise: float | torch.Tensor, entries: int) -> torch.Tensor:
    """The covariance of one example's gradient: a number s means s^2 times the identity."""
    if isinstance(noise, torch.Tensor) and noise.dim() == 2:
        return noise.double()
    return torch.eye(entries, dtype=torch.float64) * float(noise) ** 2


def theorem_mean(gradient: torch.Tensor, p: float, rate: float = 1.0, scaled: bool = True) -> torch.Tensor:
    """The expected update: -rate * gradient, or p times that when the mask is not divided by p."""
    return -rate * gradient.double() * (1.0 if scaled else p)


def theorem_covariance(
    gradient: torch.Tensor, noise: float | torch.Tensor, batch: float, p: float, rate: float = 1.0, scaled: bool = True
) -> torch.Tensor:
    """The covariance of the update of SGD under a Bernoulli mask. Derived in notebook 02.

    Args:
        gradient: its expectation g, one entry a parameter.
        noise: one example's gradient has covariance noise^2 I (a number) or `noise` (a matrix).
        batch: examples averaged; need not be whole, since only noise^2 / batch counts.
        p: share of the entries kept.
        rate: the learning rate.
        scaled: divide the mask by p, as Child-Tuning_F does.

    Returns:
        rate^2 (S/B + (1-p)/p diag(S/B + g^2)); with S = s^2 I it is rate^2 (s^2 I / (pB) + (1-p)/p diag(g)^2).
    """
    g = gradient.double()
    of_batch = noise_covariance(noise, g.numel()) / batch
    covariance = of_batch + (1 - p) / p * torch.diag(of_batch.diagonal() + g.square())
    return rate**2 * covariance * (1.0 if scaled else p**2)


def simulate_updates(
    gradient: torch.Tensor,
    noise: float | torch.Tensor,
    batch: float,
    p: float,
    rate: float = 1.0,
    draws: int = 1_000_000,
    scaled: bool = True,
    seed: int = 0,
) -> torch.Tensor:
    """Many independent updates of the same weights, shape (draws, entries): Gaussian noise, one mask a draw."""
    generator = torch.Generator().manual_seed(seed)
    k = gradient.numel()
    root = torch.linalg.cholesky(noise_covariance(noise, k) / batch).float()
    seen = gradient.float() + torch.randn(draws, k, generator=generator) @ root.T
    kept = torch.rand(draws, k, generator=generator) < p
    return seen.mul_(kept).mul_(-rate / (p if scaled else 1.0))


def moments(updates: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean and covariance of the rows, and the standard error of each of their entries."""
    x = updates.double()
    n, mean = len(x), x.mean(0)
    x = x - mean
    covariance = x.T @ x / n
    fourth = x.square().T @ x.square() / n
    return {
        "mean": mean,
        "mean_error": (covariance.diagonal() / n).sqrt(),
        "covariance": covariance,
        "covariance_error": ((fourth - covariance.square()).clamp(min=0) / n).sqrt(),
    }


def cloud(gradient: torch.Tensor, noise, batch: float, p: float, draws: int = 100_000, seed: int = 0) -> tuple:
    """Simulated updates, and the formula's mean and covariance for them: what `plots.update_clouds` draws."""
    simulated = simulate_updates(gradient, noise, batch, p, draws=draws, seed=seed)
    return simulated, theorem_mean(gradient, p), theorem_covariance(gradient, noise, batch, p)


def intervals(
    gradient: torch.Tensor,
    noise: float | torch.Tensor,
    batch: float,
    p: float,
    rate: float = 1.0,
    draws: int = 1_000_000,
    scaled: bool = True,
    seed: int = 0,
    width: float = 4.0,
) -> dict[str, tuple[float, float, float]]:
    """{quantity: (formula, low, high)} for two weights: the estimate, `width` standard errors down and up."""
    x = moments(simulate_updates(gradient, noise, batch, p, rate, draws, scaled, seed))
    mean = theorem_mean(gradient, p, rate, scaled)
    covariance = theorem_covariance(gradient, noise, batch, p, rate, scaled)
    rows = {
        "mean 1": (mean[0], x["mean"][0], x["mean_error"][0]),
        "variance 1": (covariance[0, 0], x["covariance"][0, 0], x["covariance_error"][0, 0]),
        "variance 2": (covariance[1, 1], x["covariance"][1, 1], x["covariance_error"][1, 1]),
        "covariance": (covariance[0, 1], x["covariance"][0, 1], x["covariance_error"][0, 1]),
    }
    return {
        name: (formula.item(), (value - width * error).item(), (value + width * error).item())
        for name, (formula, value, error) in rows.items()
    }


def variance_panel(gradient: float, noise: float, batch: float, scaled: bool = True, draws: int = 20_000) -> dict:
    """The two terms of one weight's variance against p, with simulated points: what `plots.update_variances` draws."""
    grid, ps, g = torch.linspace(0.08, 1, 200, dtype=torch.float64), [0.1, 0.2, 0.35, 0.5, 0.75, 1.0], [float(gradient)]
    scale = 1 / grid if scaled else grid
    found = [
        moments(simulate_updates(torch.tensor(g), noise, batch, p, draws=draws, scaled=scaled, seed=i))
        for i, p in enumerate(ps)
    ]
    return {
        "grid": grid,
        "noise": scale * noise**2 / batch,
        "gradient": scale * (1 - grid) * gradient**2,
        "p": ps,
        "measured": [x["covariance"].item() for x in found],
        "error": [4 * x["covariance_error"].item() for x in found],
    }
