"""How sharp a minimum is: the largest eigenvalue of the Hessian, and the loss along a line. Taught in notebook 07.

The Hessian of a network has too many entries to be written down. Its product with a vector has not: it is the gradient
of (gradient . vector), two backward passes (Pearlmutter, 1994). Power iteration needs no more than that.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from .modes import in_mode


@dataclass
class Sharpness:
    """value: the eigenvalue of largest size found, with its sign; vector: its unit eigenvector, a tensor a parameter;
    history: the estimate after each iteration, so that one can see whether it came to rest."""

    value: float
    vector: dict[str, torch.Tensor]
    history: list[float] = field(default_factory=list)


class Loss:
    """The mean loss of a network over fixed batches, in evaluation mode, as a function of its parameters.

    Args:
        model: its parameters are read, never changed for good; all of them count, frozen or not.
        batches: dicts with "labels", on any device; they are kept.
    """

    def __init__(self, model: nn.Module, batches: Iterable[dict]):
        device = next(model.parameters()).device
        self.model = model
        self.batches = [{k: v.to(device) for k, v in b.items()} for b in batches]
        self.examples = sum(len(b["labels"]) for b in self.batches)
        if not self.examples:
            raise ValueError("batches is empty: give at least one batch to measure the loss on")
        self.params = {name: p.detach() for name, p in model.named_parameters()}

    def _parts(self, params):
        """The share of each batch in the mean loss, one after the other: only one graph is alive at a time."""
        from torch.nn.attention import SDPBackend, sdpa_kernel

        # The fused attention kernels have no second derivative; the plain formula has.
        with in_mode(self.model), sdpa_kernel(SDPBackend.MATH):
            for batch in self.batches:
                loss = torch.func.functional_call(self.model, params, kwargs=batch).loss
                yield loss * (len(batch["labels"]) / self.examples)

    @torch.no_grad()
    def value(self) -> float:
        """The loss where the network is."""
        return float(sum(self._parts(self.params)))

    @torch.no_grad()
    def along(self, direction: dict[str, torch.Tensor], steps: Iterable[float]) -> list[float]:
        """The loss at w + step * direction, for each step."""
        moved = ({n: p + t * direction[n] for n, p in self.params.items()} for t in steps)
        return [float(sum(self._parts(params))) for params in moved]

    def hessian_product(self, vector: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Hessian times vector, both as a tensor a parameter."""
        params = {name: p.detach().requires_grad_() for name, p in self.params.items()}  # the same memory
        total = {name: torch.zeros_like(p) for name, p in params.items()}
        for loss in self._parts(params):
            gradient = torch.autograd.grad(loss, list(params.values()), create_graph=True, allow_unused=True)
            used = [(n, g) for n, g in zip(params, gradient, strict=True) if g is not None and g.requires_grad]
            slope = sum((g * vector[n]).sum() for n, g in used)
            second = torch.autograd.grad(slope, list(params.values()), allow_unused=True)
            for name, h in zip(params, second, strict=True):
                if h is not None:
                    total[name] += h
        return total


def dot(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """Their inner product, summed in float64."""
    return float(sum((a[n] * b[n]).sum(dtype=torch.float64) for n in a))


def unit(vector: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The vector at length 1."""
    length = dot(vector, vector) ** 0.5
    return {n: v / length for n, v in vector.items()}


def random_direction(params: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """A unit vector, every direction equally likely; drawn on the CPU, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return unit({n: torch.randn(p.shape, generator=generator).to(p.device, p.dtype) for n, p in params.items()})


def top_eigenvalue(
    model: nn.Module, batches: Iterable[dict], iterations: int = 20, tolerance: float = 0.01, seed: int = 0,
    shift: float = 0.0,
) -> Sharpness:  # fmt: skip
    """The Hessian's eigenvalue of largest size, by power iteration from a random start.

    Args:
        model, batches: see `Loss`.
        iterations: the most Hessian-vector products that are spent.
        tolerance: stop when the estimate changes by less than this share.
        shift: iterate with the Hessian plus `shift` times the identity. Where the eigenvalue of largest size is
            negative (no minimum!), its absolute value as the shift leads to the largest positive one.

    The estimate is the Rayleigh quotient v'Hv, never larger in size than the eigenvalue; see `history` for whether it
    came to rest.
    """
    if iterations < 1:
        raise ValueError(f"iterations={iterations!r}: give a whole number from 1 on")
    loss = Loss(model, batches)
    vector, history = random_direction(loss.params, seed), []
    for _ in range(iterations):
        product = loss.hessian_product(vector)
        history.append(dot(vector, product))
        product = {n: h + shift * vector[n] for n, h in product.items()}
        if not any(bool(v.any()) for v in product.values()):
            break  # a loss without curvature along the start: 0 is the answer
        vector = unit(product)
        if len(history) > 1 and abs(history[-1] - history[-2]) <= tolerance * abs(history[-1]):
            break
    return Sharpness(history[-1], vector, history)
