"""Walkers on a landscape with a sharp and a flat minimum: who leaves the sharp one, and when. Taught in notebook 02."""

import math
from dataclasses import dataclass

import torch


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval for a share: it stays within 0 and 1 for few successes too."""
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Landscape:
    """Two bowls in the plane, equally deep: a sharp one at (0, 0), a flat one at (distance, 0), joined smoothly.

    Each bowl is curvature / 2 times the squared distance from its middle; the loss is their soft minimum.
    """

    sharp: float = 1.0
    flat: float = 0.1
    distance: float = 3.0
    softness: float = 0.05

    def bowls(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The two paraboloids at (x, y)."""
        y2 = y * y
        return (x * x + y2) * (self.sharp / 2), ((x - self.distance).square() + y2) * (self.flat / 2)

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        sharp, flat = self.bowls(x, y)
        return -self.softness * torch.logaddexp(-sharp / self.softness, -flat / self.softness)

    def gradient(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sharp, flat = self.bowls(x, y)
        share = torch.sigmoid((flat - sharp) / self.softness)  # how much the sharp bowl counts here
        curvature = share * (self.sharp - self.flat) + self.flat
        return x * curvature - (1 - share) * (self.flat * self.distance), y * curvature

    def outside(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Has the point left the sharp bowl: is the flat one the lower there?"""
        sharp, flat = self.bowls(x, y)
        return flat < sharp


@dataclass(frozen=True)
class Walk:
    """Where the walkers were, and when each was first seen outside the sharp bowl.

    left_at: (arms, walkers), the step, or steps + 1 for a walker that never left.
    positions: {step: (arms, walkers, 2)} at the steps asked for.
    """

    left_at: torch.Tensor
    positions: dict[int, torch.Tensor]
    steps: int

    def share(self, arm: int, step: int | None = None) -> tuple[float, float, float]:
        """The share of the arm's walkers that has left by `step` (default: the last), and Wilson's 95% interval."""
        gone = int((self.left_at[arm] <= (self.steps if step is None else step)).sum())
        n = self.left_at.shape[1]
        return gone / n, *wilson(gone, n)

    def curve(self, arm: int, every: int = 20, stretch: float = 1.0) -> tuple:
        """Steps, shares, and both ends of the intervals; with `stretch` 5, each step of the arm counts as five."""
        steps = list(range(0, self.steps + 1, every))
        return steps, *zip(*(self.share(arm, int(step / stretch)) for step in steps), strict=True)


@torch.no_grad()
def walk(
    arms: list[dict],
    steps: int = 2000,
    walkers: int = 4000,
    noise: float = 8.0,
    batch: float = 20,
    rate: float = 0.02,
    landscape: Landscape | None = None,
    keep: tuple[int, ...] = (),
    seed: int = 0,
) -> Walk:
    """Many walkers start in the sharp minimum and take SGD steps with noisy gradients, all arms at once.

    Args:
        arms: settings of each arm that differ from those below: "p", "batch", "rate", "scaled".
        noise: standard deviation of one example's gradient, in each direction.
        keep: the steps at which positions are stored.
    """
    landscape = landscape or Landscape()
    generator = torch.Generator().manual_seed(seed)

    def column(values):
        return torch.tensor([float(v) for v in values]).view(-1, 1)

    p = column(arm.get("p", 1.0) for arm in arms)
    divisor = column(arm.get("p", 1.0) if arm.get("scaled", True) else 1.0 for arm in arms)
    factor = column(arm.get("rate", rate) for arm in arms) / divisor
    sigma = column(noise / math.sqrt(arm.get("batch", batch)) for arm in arms)
    place = torch.zeros(2, len(arms), walkers)
    random, kept = torch.empty_like(place), torch.empty_like(place)
    left_at = torch.full(place.shape[1:], steps + 1)
    positions = {0: place.permute(1, 2, 0).clone()} if 0 in keep else {}
    for step in range(1, steps + 1):
        random.normal_(generator=generator).mul_(sigma)
        for coordinate, slope in enumerate(landscape.gradient(*place)):
            random[coordinate].add_(slope)
        torch.lt(kept.uniform_(generator=generator), p, out=kept)
        place.sub_(random.mul_(kept).mul_(factor))
        left_at.masked_fill_(landscape.outside(*place) & (left_at > steps), step)
        if step in keep:
            positions[step] = place.permute(1, 2, 0).clone()
    return Walk(left_at, positions, steps)
