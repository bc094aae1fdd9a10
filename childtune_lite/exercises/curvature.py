"""Losses whose curvature is known, and what an answer spends on them: the observation of exercise 07.4."""

from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Loss:
    """Curvatures along axes that are mirrored at a plane, and the notebook's toy on top.

    No matrix is needed for that. The toy is (a @ b - 1)^2 of these places of w; the same place twice is a tied weight.
    """

    curvatures: torch.Tensor
    normal: torch.Tensor
    a: tuple[int, ...] = ()
    b: tuple[int, ...] = ()

    def __call__(self, w):
        mirrored = w - 2 * self.normal * (self.normal @ w)
        return (self.curvatures * mirrored**2).sum() / 2 + (w[list(self.a)] @ w[list(self.b)] - 1) ** 2


def losses(seed):
    """(loss, w, start, steps). The largest eigenvalue is far enough from the next that all come to rest."""
    generator = torch.Generator().manual_seed(seed)
    for label, curvatures, a, b, steps in (
        ("a bowl, 5 weights", [5, 2, 1, 0.5, 0.2], (), (), 30),
        ("a saddle, 4 weights", [3, -7, 1, 0.2], (), (), 30),
        ("a saddle along the axes, 4 weights", [1, -6, 2, 0.5], (), (), 30),
        ("a gorge, 3 weights", [10_000, 10, 1], (), (), 45),
        ("a bowl, 100 weights", [4 * 0.5**k for k in range(100)], (), (), 20),
        ("the notebook's toy", [0, 0], (0,), (1,), 20),
        ("the toy, each weight used twice", [0, 0, 0], (0, 1, 2), (0, 1, 2), 20),
    ):
        w, start, normal = torch.randn(3, len(curvatures), generator=generator, dtype=torch.float64)
        normal = normal / normal.norm() * (0 if "axes" in label else 1)
        yield label, (Loss(torch.tensor(curvatures), normal, a, b), 1 + w.abs(), 3 * start, steps)


class Largest(TorchDispatchMode):
    """How many entries the largest tensor has that is made meanwhile."""

    entries = 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        result = function(*arguments, **(named or {}))
        made = result if isinstance(result, list | tuple) else [result]
        self.entries = max([self.entries, *(one.numel() for one in made if isinstance(one, torch.Tensor))])
        return result


def eigenvalue_and_cost(function, loss, w, start, steps):
    """What the answer found, and how: whether it made the Hessian, or many backward passes. A product costs two."""
    passes, largest = [], Largest()

    def counted(w):
        w = w * 1.0
        if w.requires_grad:
            w.register_hook(passes.append)
        return loss(w)

    counted.plain = loss  # for the reference
    if len(w) < 50:
        value = function(counted, w, start, steps)
    else:
        with largest:
            value = function(counted, w, start, steps)
    if value is None:
        return None
    how = "by more backward passes than `steps` asks for" if len(passes) > 4 * steps + 5 else "by products"
    return {
        "the eigenvalue": value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 else value,
        "the way there": "from the whole Hessian" if largest.entries >= len(w) ** 2 else how,
    }


def by_solving(loss, w, start, steps):
    """The Hessian row by row, all its eigenvalues, and of these the one of largest size."""
    import numpy as np

    w = w.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss.plain(w), w, create_graph=True)
    rows = [torch.autograd.grad(slope, w, retain_graph=True)[0].tolist() for slope in gradient]
    return float(max(np.linalg.eigvalsh(np.array(rows)), key=abs))


def all_eigenvalues(loss, w, *_):
    return torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, w)).tolist()


def hessian_times(loss, w, v):
    w = w.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(w), w, create_graph=True)
    return gradient if v is None else torch.autograd.grad(gradient @ v, w)[0]


def walked(loss, w, v, steps, unit=True):
    """The last product; on the way each vector is brought to length 1, or not."""
    for _ in range(steps):
        v = hessian_times(loss, w, v / v.norm() if unit else v)
    return v


def quotient(loss, w, v):
    return v @ hessian_times(loss, w, v) / (v @ v)


def ratio_of_entries(loss, w, v, steps):
    v = walked(loss, w, v, steps)
    return (hessian_times(loss, w, v) / v)[0]
