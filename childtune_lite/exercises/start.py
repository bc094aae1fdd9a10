"""The exercises of notebook 00: the drawing in numbers, a mask in one line, F or D, what five runs can show."""

import copy
import math
from itertools import pairwise

import torch

from ..masks import BernoulliMask
from .exercise import Code
from .quiz import Choice, Number
from .steps import facts_about_steps

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


def coin_sgd(model, lr, dropped, fixed=False):
    """Gradient descent that tosses its own coins, and loses what they do not show."""
    optimizer, coins = torch.optim.SGD(model.parameters(), lr=lr), torch.Generator().manual_seed(1)

    def toss(*_):
        if fixed:
            coins.manual_seed(1)
        for w in model.parameters():
            lost = torch.rand(w.shape, dtype=torch.float64, generator=coins) < dropped
            w.grad[lost], w.grad[~lost] = 0, w.grad[~lost] / (1 - dropped)

    optimizer.register_step_pre_hook(toss)
    return optimizer


def _masked(optimizer, model, p, scope=None):
    BernoulliMask(p, seed=0, scope=scope).attach(optimizer, model)
    return optimizer


def _sgd(model, lr, **options):
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


ONE_LINE = Code(
    name="00.2",
    title="another optimizer, the same line",
    reference=coin_sgd,
    cases=settings,
    hidden=lambda seed: [("two layers that share one tensor, dropped = 0.6", (0.6, 0.1, True, seed))],
    observe=facts_about_steps,
    tolerance=0.02,
    mistakes=[
        ("Every entry moves: no mask is at work. Making a mask is one thing, attaching it to the optimizer another.",
         lambda m, lr, d: _sgd(m, lr)),
        ("Nothing of the model moved. Was the optimizer made from this model, or from a copy?",
         lambda m, lr, d: _sgd(copy.deepcopy(m), lr)),
        ("You read p as the share that is lost. It is the share that is kept.",
         lambda m, lr, d: _masked(_sgd(m, lr), m, d)),
        ("What moves, moves too far: the mask divides by p itself, so the learning rate stays as it is.",
         lambda m, lr, d: _masked(_sgd(m, lr / (1 - d)), m, 1 - d)),
        ("What moves, moves too little. `BernoulliMask` divides by p, the rate stays; a mask of your own must divide.",
         lambda m, lr, d: _masked(_sgd(m, lr * (1 - d)), m, 1 - d)),
        ("Entries move that the mask dropped: weight decay is on, as it is in AdamW. Plain SGD was asked for.",
         lambda m, lr, d: _masked(torch.optim.AdamW(m.parameters(), lr=lr), m, 1 - d)),
        ("Entries move that the mask dropped: your SGD decays the weights. Plain SGD was asked for.",
         lambda m, lr, d: _masked(_sgd(m, lr, weight_decay=0.01), m, 1 - d)),
        ("Entries move that the mask dropped: momentum remembers the step before. Plain SGD was asked for.",
         lambda m, lr, d: _masked(_sgd(m, lr, momentum=0.9), m, 1 - d)),
        ("Adam's steps hardly depend on the gradient's size, and it has a memory. Plain SGD was asked for.",
         lambda m, lr, d: _masked(torch.optim.Adam(m.parameters(), lr=lr), m, 1 - d)),
        ("Both steps move the same entries: that is D's way. F draws a new mask at every step.",
         lambda m, lr, d: coin_sgd(m, lr, d, fixed=True)),
        ("The entries of `0.bias` all move: the mask is for every parameter of the model.",
         lambda m, lr, d: _masked(_sgd(m, lr), m, 1 - d, scope=lambda name: "weight" in name)),
        ("`0.bias` never moves: the optimizer wants every parameter of the model.",
         lambda m, lr, d: _masked(torch.optim.SGD([w for w in m.parameters() if w.dim() > 1], lr=lr), m, 1 - d)),
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
    yield "F, where only the first step differs", saved([~same, same, same])
    yield "F, where the last two masks happen to be the same", saved([same, ~same, same.roll(1), same.roll(1)])
    yield "F, where the first step happens to keep everything", saved([every, one, one.flip(0)])
    yield "F, where the last step happens to keep everything", saved([one, one.roll(1, 1), every])
    yield "F, where later masks keep a part of what the first kept", saved([other, other & some((2, 3, 4), 12), other])
    more = [other | some((2, 3, 4), kept) for kept in (12, 15)]
    yield "F, where later masks keep more than the first kept", saved([other, *more])
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


class Remark(str):
    """An answer that is shown with what there is to say about it."""

    def __repr__(self):
        return str(self)


def named(which, saved):
    """The answer, with a remark where it is no method's name, or where `which` swaps F and D on the simplest runs."""
    answer = which(saved)
    if not isinstance(answer, str) or answer == "plain":
        return answer
    if answer not in ("F", "D"):
        return Remark(f"{answer!r}, which is none of 'plain', 'F', 'D'")
    simplest_f, simplest_d = [*torch.eye(4).cumsum(0)], [*torch.arange(4.0).outer(torch.eye(4)[0])]
    swaps = (which(simplest_f), which(simplest_d)) == ("D", "F")
    return Remark(f"{answer!r} (and 'F' for a run whose mask stays)") if swaps else answer


def _by(same):
    """An answer that tells "plain" as it should, and takes what is left for D where `same(masks)` says so."""

    def which(saved):
        masks = _moved(saved)
        return "plain" if all(mask.all() for mask in masks) else "D" if same(masks) else "F"

    return which


WHICH = Code(
    name="00.3",
    title="which method was it?",
    reference=by_places,
    cases=runs,
    observe=named,
    mistakes=[
        ("You count how many entries move. F may move as many at each step, but not the same ones.",
         lambda s: _judge_counts(_moved(s))),
        ("The first two steps are not enough: two masks of F can be the same by chance.",
         lambda s: _judge(_moved(s)[:2])),
        ("The first and the last step are not enough: all steps must agree.",
         _by(lambda masks: torch.equal(masks[0], masks[-1]))),
        ("Your loop leaves out the first step: `saved[1] != saved[0]` is one, too.", lambda s: _judge(_moved(s)[1:])),
        ("The last two steps are not enough: two masks of F can be the same by chance.",
         lambda s: _judge(_moved(s)[-2:])),
        ("One equal pair is not enough: D's masks agree at all steps.",
         _by(lambda masks: any(map(torch.equal, masks, masks[1:])))),
        ("The first step is not enough: one mask of F can keep everything by chance.",
         lambda s: "plain" if _moved(s)[0].all() else _judge(_moved(s))),
        ("The last step is not enough: one mask of F can keep everything by chance.",
         lambda s: "plain" if _moved(s)[-1].all() else _judge(_moved(s))),
        ("You compare each step with the start. What moved in *this* step shows beside the step before.",
         lambda s: _judge([new != s[0] for new in s[1:]])),
        ("The first mask may hold all that later masks keep, and still differ from them. Compare step by step.",
         _by(lambda masks: torch.equal(masks[0], torch.stack(masks).any(dim=0)))),
        ("Later masks may keep all that the first one kept, and more. Compare step by step.",
         _by(lambda masks: torch.equal(masks[0], torch.stack(masks).all(dim=0)))),
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


MISREAD = [
    ("One standard error of one mean. You need that of a difference of two means, and twice that.", 1.64 / 5**0.5),
    ("That is the gain that was reported. The question is what five runs could tell apart from chance.", 0.74),
    ("One standard error: chance alone exceeds it about every third time. Two were asked for.", 1.64 * 0.4**0.5),
    ("Two standard errors of *one* mean. Both means come from runs, and both vary.", 2 * 1.64 / 5**0.5),
    ("That is for single runs. A mean of five varies less.", 2 * 1.64),
    ("That is for one run of each kind. A mean of five varies less.", 2 * 1.64 * 2**0.5),
    ("You added two standard errors. Independent errors add up in squares.", 4 * 1.64 / 5**0.5),
    ("A mean of n runs varies by the spread over the *root* of n.", 2 * 1.64 * 2 / 5),
]

FIVE_RUNS = Number(
    name="00.4",
    title="what five runs can show",
    measure=difference_to_believe,
    tolerance=0.05,
    mistakes=[(words, round(value, digits)) for words, value in MISREAD for digits in (3, 2, 1)],
    near=0.003,  # told apart from one another, also where a learner rounds
    because="The reported gain is 0.74: five runs of each kind cannot show it.",
)

EXERCISES = [DRAWING, ONE_LINE, WHICH, FIVE_RUNS]
