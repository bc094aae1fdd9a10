"""What two steps of an optimizer move: the observation of exercise 00.2."""

import torch
from torch.nn.utils import parameters_to_vector

from ..hooks import Joint


class NoOptimizer(Exception):
    """What the answer returned cannot take a step."""


def facts_about_steps(make, dropped, lr, tied, seed):
    """Take two steps and say what moved, in all and of each parameter.

    Shares of 39,000 entries have standard errors below 0.0025, and those of two masks are compared: the tolerance is
    more than five of them. A bias has 140 entries: some move and some stay, at any p from 0.1 to 0.9.
    """
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(140, 140), torch.nn.Linear(140, 140)).double()
    if tied:
        model[1].weight = model[0].weight
    optimizer = make(model, lr, dropped)
    if optimizer is None:
        return None
    if not isinstance(optimizer, torch.optim.Optimizer):
        what = "handle (from `attach`)" if isinstance(optimizer, Joint) else type(optimizer).__name__
        raise NoOptimizer(f"your function returns a {what}; training needs the optimizer itself")

    def weights():
        return parameters_to_vector(model.parameters())

    slope = torch.rand_like(weights()) + 1.5  # the gradient, never near 0, nor near Adam's 1
    moves = []
    for _ in range(2):
        before = weights().detach()
        optimizer.zero_grad()
        (weights() * slope).sum().backward()
        optimizer.step()
        moves.append(before - weights().detach())
    first, second = (move != 0 for move in moves)
    times = moves[0] / (lr * slope)
    times = times[times > 0.2]  # without what decay does to an entry that the mask dropped
    rows = first[: 140 * 140].view(140, 140)
    facts = {
        "whole rows of a matrix move together": bool((rows == rows[:, :1]).all() and rows.any() and not rows.all()),
        "share moved by the first step": first.double().mean().item(),
        "share moved by the second step": second.double().mean().item(),
        "both steps moved the same entries": torch.equal(first, second),
        "the step of an entry that moves": times.median().item() if len(times) else 0.0,
    }
    sizes = [w.numel() for w in model.parameters()]
    for (name, _), one, two in zip(model.named_parameters(), first.split(sizes), second.split(sizes), strict=True):
        facts[f"what moves of `{name}`"] = "all" if (one & two).all() else "some" if (one | two).any() else "nothing"
    return facts
