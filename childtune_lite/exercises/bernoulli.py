"""The exercises of notebook 01: one coin an entry, mask and divide, the norm before the mask, a mask gone astray."""

import math

import torch

from .exercise import Code
from .quiz import Choice, Number


def gradients(seed):
    """Gradients of several shapes and dtypes, each with a mask and a p."""
    generator = torch.Generator().manual_seed(seed)
    for shape, dtype, p in (
        ((3, 4), torch.float32, 0.2),
        ((7,), torch.float64, 0.5),
        ((2, 3, 5), torch.float32, 0.9),
        ((8, 8), torch.bfloat16, 0.3),
    ):
        mask = (torch.rand(shape, generator=generator) < p).to(dtype)
        mask.view(-1)[0] = 1  # at least one survivor, or a forgotten 1/p would not show
        gradient = torch.randn(shape, generator=generator).to(dtype)
        yield f"shape {shape}, {str(dtype).removeprefix('torch.')}, p = {p}", (gradient, mask, p)


def by_entry(gradient, mask, p):
    """The slow way: one entry after the other."""
    result = torch.zeros_like(gradient)
    for place in range(gradient.numel()):
        if mask.flatten()[place] == 1:
            result.view(-1)[place] = gradient.flatten()[place] / p
    return result


def masked_in_place(gradient, mask, p):
    return gradient.mul_(mask).div_(p)


MASKED_GRADIENT = Code(
    name="01.2",
    title="the masked gradient by hand",
    reference=by_entry,
    cases=gradients,
    mistakes=[
        ("The mean of your update is p times too small: did you divide by p_F?", lambda g, m, p: g * m),
        ("You multiply by p where the survivors are divided by it.", lambda g, m, p: g * m * p),
        ("You divide by 1 - p. That is dropout's p, the share that is dropped; ours is the share that stays.",
         lambda g, m, p: g * m / (1 - p)),
        ("You keep what the mask drops: 1 in the mask means that the entry stays.", lambda g, m, p: g * (1 - m) / p),
        ("Every entry is divided by p, but none is dropped: where is the mask?", lambda g, m, p: g / p),
        ("The result is right, but you overwrote the gradient itself. Use `*` and `/`, not `*=` or `mul_`.",
         masked_in_place),
    ],
)  # fmt: skip


def shapes(seed):
    for shape, p in (((40, 50), 0.2), ((3000,), 0.7), ((10, 20, 10), 0.5)):
        yield f"shape {shape}, p = {p}", (shape, p, seed)


def wide(seed):
    yield "shape (5000, 2), p = 0.05", ((5000, 2), 0.05, seed)


def facts_about_draws(draw_mask, shape, p, seed):
    """What can be said of a random mask. The shares have standard errors below 0.002; the tolerance is five of them."""
    generator = torch.Generator().manual_seed(seed)
    n, draws = math.prod(shape), 40
    masks = [torch.as_tensor(draw_mask(shape, p, generator)) for _ in range(draws)]
    if tuple(masks[0].shape) != tuple(shape):
        return {"shape": masks[0]}
    masks = torch.stack([m.double().reshape(shape) for m in masks])
    counts = masks.flatten(1).sum(1)
    torch.manual_seed(seed)
    one = draw_mask(shape, p, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed + 1)
    two = draw_mask(shape, p, torch.Generator().manual_seed(seed))
    spread = (n * p * (1 - p)) ** 0.5
    return {
        "values other than 0 and 1": bool(((masks != 0) & (masks != 1)).any()),
        "share of ones": masks.mean().item(),
        "two masks are the same": torch.equal(masks[0], masks[1]),
        "the number of ones is always the same": bool((counts == counts[0]).all()),
        "the number of ones spreads as n coins do": bool(0.5 * spread < counts.std() < 2 * spread),
        "whole rows are equal": bool((masks.flatten(2) == masks.flatten(2)[..., :1]).all())
        if len(shape) > 1
        else False,
        "one generator state gives one mask": torch.equal(torch.as_tensor(one), torch.as_tensor(two)),
    }


def coins(shape, p, generator):
    """One coin after the other, from the generator."""
    thrown = torch.rand(math.prod(shape), generator=generator).tolist()
    return torch.tensor([1.0 if coin < p else 0.0 for coin in thrown]).reshape(shape)


def exact_count(shape, p, generator):
    mask = torch.zeros(math.prod(shape))
    mask[torch.randperm(len(mask), generator=generator)[: round(p * len(mask))]] = 1
    return mask.reshape(shape)


DRAWN_MASK = Code(
    name="01.1",
    title="one coin an entry",
    reference=coins,
    cases=shapes,
    hidden=wide,
    observe=facts_about_draws,
    tolerance=0.01,
    mistakes=[
        ("You keep a share of 1 - p: p is the share that stays, not the share that is dropped.",
         lambda s, p, g: (torch.rand(s, generator=g) >= p).float()),
        ("One coin decides over the whole tensor. Every entry wants a coin of its own.",
         lambda s, p, g: (torch.rand(1, generator=g) < p).float().expand(s)),
        ("One coin decides over a whole row. Every entry wants a coin of its own.",
         lambda s, p, g: (torch.rand(s[0], *[1] * (len(s) - 1), generator=g) < p).float().expand(s)),
        ("You get the same mask at every step: the generator must move on from one draw to the next.",
         lambda s, p, g: (torch.rand(s, generator=torch.Generator().manual_seed(0)) < p).float()),
        ("Exactly p N ones in every mask: a Bernoulli mask tosses N coins, so the number of ones varies.", exact_count),
        ("The mask holds numbers other than 0 and 1. The division by p comes later.",
         lambda s, p, g: (torch.rand(s, generator=g) < p).float() / p),
        ("A normal number below p is not a coin that shows 1 with probability p: use uniform numbers.",
         lambda s, p, g: (torch.randn(s, generator=g) < p).float()),
        ("You draw from the global random state. Draw from `generator`, or dropout and data order will change.",
         lambda s, p, g: (torch.rand(s) < p).float()),
    ],
)  # fmt: skip


def norm_before(p=0.3, after=10.0, n=200_000):
    """A gradient whose masked copy has the norm `after`: its own norm, measured."""
    generator = torch.Generator().manual_seed(5)
    gradient = torch.randn(n, generator=generator, dtype=torch.float64)
    masked = gradient * (torch.rand(n, generator=generator) < p) / p
    return (gradient.norm() * after / masked.norm()).item()


NORM = Number(
    name="01.3",
    title="the norm before the mask",
    measure=norm_before,
    tolerance=0.1,
    mistakes=[
        ("The mask keeps the mean, not the norm: survivors are divided by p, and squares feel that twice.", 10.0),
        ("You took p. Squared norms grow by 1/p, so norms grow by its root.", 3.0),
        ("The right factor, the wrong way round: the masked gradient is the longer one.", 10 / 0.3**0.5),
        ("Wrong way round, and without the root: the masked gradient is the longer one.", 10 / 0.3),
        ("You took the root of 1 - p, the share that is dropped.", 10 * 0.7**0.5),
    ],
)  # fmt: skip


ASTRAY = Choice(
    name="01.4",
    title="find the bug",
    right=3,
    because="The mask is put on the weights: entries that are not drawn become 0, and every weight gets the gradient.",
    wrong={
        0: "The arguments are all there: p, the rate, and a generator of its own.",
        1: "One uniform number for each entry, drawn from the generator: that is as it should be.",
        2: "A uniform number is below p with probability p, so a share p is kept. This line is right.",
        4: "A gradient step, divided by p. It would be right if `gradient` were the masked one. Who was to mask it?",
    },
)

EXERCISES = [DRAWN_MASK, MASKED_GRADIENT, NORM, ASTRAY]
