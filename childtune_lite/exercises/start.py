"""The exercises of notebook 00: the drawing in numbers, a mask in one line, F or D, what five runs can show."""

import math
from itertools import pairwise

import torch

from ..masks import BernoulliMask
from .exercise import Code
from .quiz import Choice, Number

DRAWING = Choice(
    name="00.1",
    title="the drawing in numbers",
    right="C",
    because="Forward and backward are those of the parent; the mask comes last. So a mask does not save their time.",
    wrong={
        "A": "Look at the forward pass again: are there lines missing? The child is not cut out of the parent.",
        "B": "The dotted lines say which weights are not *updated*. Does the mask act before or after backward?",
        "D": "That is the upper row, ordinary fine-tuning. What does a 0 in the mask make of the gradient's entry?",
    },
)


def settings(seed):
    for dropped, lr in ((0.7, 0.1), (0.2, 1.0), (0.9, 0.01), (0.0, 0.1)):
        yield f"dropped = {dropped}, lr = {lr}", (dropped, lr, False, seed)


def tied_settings(seed):
    yield "two layers that share one tensor, dropped = 0.6", (0.6, 0.1, True, seed)


class NoOptimizer(Exception):
    """What the answer returned cannot take a step."""


def facts_about_steps(make, dropped, lr, tied, seed):
    """Take two steps and say what moved.

    Shares of 39,000 entries have standard errors below 0.0025, and those of two masks are compared: the tolerance is
    more than five of them.
    """
    generator = torch.Generator().manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(140, 140), torch.nn.Linear(140, 140)).double()
    if tied:
        model[1].weight = model[0].weight
    torch.nn.utils.vector_to_parameters(torch.randn(_flat(model).numel(), generator=generator).double(), [*_of(model)])
    optimizer = make(model, lr, dropped)
    if optimizer is None:
        return None
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise NoOptimizer(f"your function returns a {type(optimizer).__name__}; training needs the optimizer itself")
    slope = torch.rand(_flat(model).numel(), generator=generator).double() + 0.5  # the gradient, never near 0
    moves = []
    for _ in range(2):
        before = _flat(model).detach().clone()
        optimizer.zero_grad()
        (_flat(model) * slope).sum().backward()
        optimizer.step()
        moves.append(before - _flat(model).detach())
    moved = [move != 0 for move in moves]
    times = (moves[0] / (lr * slope))[moved[0]]
    return {
        "share moved by the first step": moved[0].double().mean().item(),
        "share moved by the second step": moved[1].double().mean().item(),
        "both steps moved the same entries": torch.equal(*moved),
        "what moves, moves by lr * gradient times": times.median().item() if len(times) else 0.0,
    }


def _of(model):
    return model.parameters()


def _flat(model):
    return torch.cat([w.flatten() for w in _of(model)])


class CoinSGD(torch.optim.SGD):
    """Gradient descent that tosses its own coins, and leaves alone what they do not show."""

    dropped, coins = 0.0, None

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                kept = torch.rand(w.shape, dtype=torch.float64, generator=self.coins) >= self.dropped
                w[kept] -= group["lr"] / (1 - self.dropped) * w.grad[kept]


def coin_sgd(model, lr, dropped):
    optimizer = CoinSGD(model.parameters(), lr=lr)
    optimizer.dropped, optimizer.coins = dropped, torch.Generator().manual_seed(1)
    return optimizer


def _with_mask(optimizer, model, p):
    BernoulliMask(p, seed=0).attach(optimizer, model)
    return optimizer


def _sgd(model, lr, **options):
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


def _fixed_mask(model, lr, dropped):
    coins = torch.Generator().manual_seed(2)
    for w in model.parameters():
        mask = (torch.rand(w.shape, generator=coins) < 1 - dropped) / (1 - dropped)
        w.register_hook(lambda g, mask=mask: g * mask)
    return _sgd(model, lr)


ONE_LINE = Code(
    name="00.2",
    title="another optimizer, the same line",
    reference=coin_sgd,
    cases=settings,
    hidden=tied_settings,
    observe=facts_about_steps,
    tolerance=0.02,
    mistakes=[
        ("Every entry moves: no mask is at work. Making a mask is one thing, attaching it to the optimizer another.",
         lambda m, lr, d: _sgd(m, lr)),
        ("You read p as the share that is lost. It is the share that is kept.",
         lambda m, lr, d: _with_mask(_sgd(m, lr), m, d)),
        ("What moves, moves too far: the mask divides by p itself, so the learning rate stays as it is.",
         lambda m, lr, d: _with_mask(_sgd(m, lr / (1 - d)), m, 1 - d)),
        ("What moves, moves too little: the mask divides by p, so the learning rate stays as it is.",
         lambda m, lr, d: _with_mask(_sgd(m, lr * (1 - d)), m, 1 - d)),
        ("Entries move that the mask dropped: weight decay is on. Plain SGD was asked for.",
         lambda m, lr, d: _with_mask(torch.optim.AdamW(m.parameters(), lr=lr), m, 1 - d)),
        ("Entries move that the mask dropped: momentum remembers the step before. Plain SGD was asked for.",
         lambda m, lr, d: _with_mask(_sgd(m, lr, momentum=0.9), m, 1 - d)),
        ("Adam's steps hardly depend on the gradient's size, and it has a memory. Plain SGD was asked for.",
         lambda m, lr, d: _with_mask(torch.optim.Adam(m.parameters(), lr=lr), m, 1 - d)),
        ("Both steps move the same entries: that is D's way. F draws a new mask at every step.", _fixed_mask),
    ],
)  # fmt: skip


def runs(seed):
    """Runs of plain gradient descent, saved before training and after every step."""
    generator = torch.Generator().manual_seed(seed)

    def some(shape, kept):
        mask = torch.zeros(math.prod(shape), dtype=torch.bool)
        mask[torch.randperm(len(mask), generator=generator)[:kept]] = True
        return mask.view(shape)

    def saved(masks):
        weights = [torch.randn(masks[0].shape, generator=generator)]
        for mask in masks:
            gradient = 0.5 + torch.rand(mask.shape, generator=generator)  # none is 0
            weights.append(weights[-1] - 0.1 * gradient * mask)
        return (weights,)

    fresh = [torch.rand(4, 5, generator=generator) < 0.3 for _ in range(12)]
    fresh[-1] |= ~torch.stack(fresh).any(dim=0)  # in the end all have moved
    child, same, one, other = some((4, 5), 6), some((7,), 3), some((3, 4), 11), some((2, 3, 4), 9)
    every = torch.ones(3, 4, dtype=torch.bool)
    yield "F, 12 steps, p = 0.3", saved(fresh)
    yield "D, 12 steps, p = 0.3", saved([child] * 12)
    yield "no mask, 4 steps", saved([every] * 4)
    yield "F, and as many entries at each step", saved([other.view(-1).roll(k).view(2, 3, 4) for k in range(3)])
    yield "F, where two masks in a row happen to be the same", saved([same, same, ~same])
    yield "F, where the first step happens to keep everything", saved([every, one, one.flip(0)])
    yield "F, where later masks keep a part of what the first kept", saved([other, other & some((2, 3, 4), 12), other])
    yield "D, all but one entry", saved([one] * 5)


def by_places(saved):
    """For each step the list of places that moved, found one entry at a time."""
    steps = []
    for number in range(1, len(saved)):
        old, new = saved[number - 1].flatten().tolist(), saved[number].flatten().tolist()
        steps.append([place for place in range(len(old)) if old[place] != new[place]])
    if any(places != steps[0] for places in steps):
        return "F"
    return "plain" if len(steps[0]) == saved[0].numel() else "D"


def _moved(saved):
    return [new != old for old, new in pairwise(saved)]


def _judge(masks):
    if all(mask.all() for mask in masks):
        return "plain"
    return "D" if all(torch.equal(mask, masks[0]) for mask in masks) else "F"


def _judge_counts(masks):
    counts = {int(mask.sum()) for mask in masks}
    return "plain" if counts == {masks[0].numel()} else "D" if len(counts) == 1 else "F"


WHICH = Code(
    name="00.3",
    title="which method was it?",
    reference=by_places,
    cases=runs,
    mistakes=[
        ("You count how many entries move. F may move as many at each step, but not the same ones.",
         lambda s: _judge_counts(_moved(s))),
        ("The first two steps are not enough: two masks of F can be the same by chance.",
         lambda s: _judge(_moved(s)[:2])),
        ("The first step is not enough: one mask of F can keep everything by chance.",
         lambda s: "plain" if _moved(s)[0].all() else _judge(_moved(s))),
        ("You compare each step with the start. What moved in *this* step shows beside the step before.",
         lambda s: _judge([new != s[0] for new in s[1:]])),
        ("Without a mask the same entries move at every step, too: all of them. Tell that apart from D.",
         lambda s: "D" if all(torch.equal(mask, _moved(s)[0]) for mask in _moved(s)) else "F"),
        ("From first to last, F moves everything as well. Look at each step on its own.",
         lambda s: "plain" if (s[-1] != s[0]).all() else "D"),
        ("F and D are the wrong way round. Which of them draws anew at every step?",
         lambda s: {"F": "D", "D": "F"}.get(_judge(_moved(s)), "plain")),
    ],
)  # fmt: skip


def difference_to_believe(runs_of_each=5, spread=1.64, studies=200_000):
    """Twice the spread of the difference of two means, over many studies in which the method changes nothing."""
    generator = torch.Generator().manual_seed(0)
    two = torch.randn(studies, 2, runs_of_each, generator=generator, dtype=torch.float64) * spread
    means = two.mean(dim=2)
    return 2 * (means[:, 0] - means[:, 1]).std().item()


FIVE_RUNS = Number(
    name="00.4",
    title="what five runs can show",
    measure=difference_to_believe,
    tolerance=0.05,
    mistakes=[
        ("That is the gain that was reported. The question is what five runs could tell apart from chance.", 0.74),
        ("One standard error: chance alone exceeds it about every third time. Two were asked for.", 1.64 * 0.4**0.5),
        ("Two standard errors of *one* mean. Both means come from runs, and both vary.", 2 * 1.64 / 5**0.5),
        ("That is for single runs. A mean of five varies less.", 2 * 1.64),
        ("That is for one run of each kind. A mean of five varies less.", 2 * 1.64 * 2**0.5),
        ("You added two standard errors. Independent errors add up in squares.", 4 * 1.64 / 5**0.5),
        ("A mean of n runs varies by the spread over the *root* of n.", 2 * 1.64 * 2 / 5),
    ],
)  # fmt: skip

EXERCISES = [DRAWING, ONE_LINE, WHICH, FIVE_RUNS]
