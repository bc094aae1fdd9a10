"""The exercises of notebook 01: one coin an entry, mask and divide, how many masks, the norm, a mask gone astray."""

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
        mask *= shape != (7,)  # and one mask that drops everything
        gradient = torch.randn(shape, generator=generator).to(dtype)
        kept = "" if mask.any() else ", nothing is kept"
        yield f"shape {shape}, {str(dtype).removeprefix('torch.')}, p = {p}{kept}", (gradient, mask, p)


def by_entry(gradient, mask, p):
    """The slow way: one entry after the other."""
    result = torch.zeros_like(gradient)
    for place in range(gradient.numel()):
        if mask.flatten()[place] == 1:
            result.view(-1)[place] = gradient.flatten()[place] / p
    return result


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
        # Before the next one: a mask of zeros stays what it is, so the case without survivors tells the two apart.
        ("You overwrote the mask: whoever handed it over may still need it. Use `/`, not `/=` or `div_`.",
         lambda g, m, p: g * m.div_(p)),
        ("You overwrote the gradient itself. Use `*` and `/`, not `*=` or `mul_`.", lambda g, m, p: g.mul_(m).div_(p)),
    ],
)  # fmt: skip


def shapes(seed):
    for shape, p in (((40, 50), 0.2), ((3000,), 0.7), ((10, 20, 10), 0.5)):
        yield f"shape {shape}, p = {p}", (shape, p, seed)


def wide(seed):
    yield "shape (5000, 2), p = 0.05", ((5000, 2), 0.05, seed)


def facts_about_draws(draw_mask, shape, p, seed):
    """What can be said of a random mask.

    The share of ones is rounded to p where it is as near as its coins allow (five standard errors; whole rows may
    share one). The tolerance is five standard errors of a share that is not p.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = [draw_mask(shape, p, generator) for _ in range(40)]
    if drawn[0] is None:
        return None
    masks = torch.stack([torch.as_tensor(mask).double() for mask in drawn])
    torch.manual_seed(seed)
    one = torch.as_tensor(draw_mask(shape, p, torch.Generator().manual_seed(seed)))
    torch.manual_seed(seed + 1)
    two = torch.as_tensor(draw_mask(shape, p, torch.Generator().manual_seed(seed)))
    flat, n, wide = masks.reshape(len(masks), -1), masks[0].numel(), masks[0].dim() > 1
    counts, half = flat.sum(1), n // 2
    whole = bool((flat == flat[:, :1]).all())
    rows = wide and bool((masks.flatten(2) == masks.flatten(2)[..., :1]).all())
    columns = wide and bool((masks == masks[:, :1]).all())
    own_coins = 1 if whole else len(masks[0]) if rows else n // len(masks[0]) if columns else n
    share, spread = masks.mean().item(), (n * p * (1 - p)) ** 0.5
    error = (p * (1 - p) / (len(masks) * own_coins)) ** 0.5
    return {
        "your mask": torch.zeros(masks[0].shape),  # for its shape
        "values other than 0 and 1": bool(((masks != 0) & (masks != 1)).any()),
        "share of ones": p if abs(share - p) < 5 * error else share,
        "every mask is the same": bool((masks == masks[0]).all()),
        "the number of ones is always the same": bool((counts == counts[0]).all()),
        "whole rows are equal": rows,
        "whole columns are equal": columns,
        "one half of the mask repeats the other": torch.equal(flat[:, :half], flat[:, n - half :]),
        "the number of ones spreads as n coins do": bool(0.5 * spread < counts.std() < 2 * spread),
        "one generator state gives one mask": torch.equal(one, two),
    }


def coins(shape, p, generator):
    """One coin after the other, from the generator."""
    thrown = torch.rand(math.prod(shape), generator=generator).tolist()
    return torch.tensor([1.0 if coin < p else 0.0 for coin in thrown]).reshape(shape)


def exact_count(shape, p, generator):
    mask = torch.zeros(math.prod(shape))
    mask[torch.randperm(len(mask), generator=generator)[: round(p * len(mask))]] = 1
    return mask.reshape(shape)


A_ROW = "One coin decides over a whole row. Every entry wants a coin of its own."
A_COLUMN = "One coin decides over a whole column. Every entry wants a coin of its own."
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
        (A_ROW, lambda s, p, g: (torch.rand(*s[:-1], 1, generator=g) < p).float().expand(s)),
        (A_ROW, lambda s, p, g: (torch.rand(s[0], *[1] * (len(s) - 1), generator=g) < p).float().expand(s)),
        (A_COLUMN, lambda s, p, g: (torch.rand(1, *s[1:], generator=g) < p).float().expand(s)),
        (A_COLUMN, lambda s, p, g: (torch.rand(s[-1], generator=g) < p).float().expand(s)),
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


def masks_for_a_tenth(p=0.1, n=2_000_000):
    """How many masks it takes until one entry's average has a standard error of a tenth of it: variance measured."""
    generator = torch.Generator().manual_seed(6)
    factors = (torch.rand(n, generator=generator) < p).double() / p
    return factors.var().item() / 0.1**2


HOW_MANY = Number(
    name="01.3",
    title="how many masks?",
    measure=masks_for_a_tenth,
    tolerance=10.0,
    near=0.5,
    digits=0,
    mistakes=[
        ("You square the noise, but not the tenth: a standard error falls with the *root* of the number.", 90),
        ("You square the tenth, but not the noise: variances shrink with the number of masks.", 300),
        ("Neither is squared: a standard error falls with the *root* of the number of masks.", 30),
        ("You took the variance for p / (1 - p). Small p means more noise, not less.", 100 / 9),
        ("You took the variance for 1 / p. That is the mean of the square; subtract the square of the mean.", 1_000),
        ("That is the noise of the mask alone. The survivors are divided by p, which makes it larger.", 9),
        ("That would be right for a noise as large as the entry. At this p, it is larger.", 100),
        ("That is for p = 0.2. Smaller p, more noise.", 400),
        ("You squared the variance. The standard error is its root, over the root of the number.", 8_100),
    ],
    because="With fewer masks a check wants a wider tolerance, or it fails by chance.",
)


def norm_before(p=0.3, after=10.0, n=200_000):
    """A gradient whose masked copy has the norm `after`: its own norm, measured."""
    generator = torch.Generator().manual_seed(5)
    gradient = torch.randn(n, generator=generator, dtype=torch.float64)
    masked = gradient * (torch.rand(n, generator=generator) < p) / p
    return (gradient.norm() * after / masked.norm()).item()


NORM = Number(
    name="01.4",
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
    name="01.5",
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

EXERCISES = [DRAWN_MASK, MASKED_GRADIENT, HOW_MANY, NORM, ASTRAY]
