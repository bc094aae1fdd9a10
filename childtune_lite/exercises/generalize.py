"""The exercises of notebook 07: what a study would see, mask or rate, gain elsewhere, power iteration, Mixout."""

from itertools import product
from statistics import mean, pstdev, stdev

import torch

from ..evidence import paired_interval
from .curvature import (
    all_eigenvalues,
    by_solving,
    eigenvalue_and_cost,
    hessian_times,
    losses,
    quotient,
    ratio_of_entries,
    walked,
)
from .exercise import Code
from .quiz import Choice, Number


def seen_of_a_hundred(gain=8.0, scatter=11.3, pairs=5, studies=200_000):
    """Of a hundred studies, how many have a 95% t interval above zero: simulated, with a standard error of 0.1."""
    from scipy import stats

    generator = torch.Generator().manual_seed(7)
    found = gain + scatter * torch.randn(studies, pairs, generator=generator, dtype=torch.float64)
    reach = stats.t.ppf(0.975, pairs - 1) * found.std(1) / pairs**0.5
    return 100 * (found.mean(1) > reach).double().mean().item()


SEEN = Number(
    name="07.1", title="a gain of eight points", measure=seen_of_a_hundred, tolerance=3, near=1.2, digits=0,
    mistakes=[
        ("Four in five find 19 points. A gain of 8 is less than half of that.", 80),
        ("You took 8 as a share of 19. The chance is no straight line: at no gain at all it is not zero.", 42),
        ("You scaled four in five down by 8/19. The chance is no straight line in the gain.", 33.2),
        ("That is the normal distribution's answer. With five pairs the t distribution has wider tails.", 35.5),
        ("19 are the points that four in five studies find. Asked was what becomes of 8 points.", 18.8),
        ("That is how often an interval leaves zero when there is no gain at all. Here there is one.", 5),
        ("Asked was how many of a hundred. Did you give a share?", 0.22),
        ("Every second study finds more than 8 points. To leave zero out, its interval must be narrow, too.", 50),
    ],
)  # fmt: skip

MASK_OR_RATE = Choice(
    name="07.2", title="what may you write?", right=4,
    because="One line compares F with its control, and it has room for both.",
    wrong={
        1: "One interval leaves zero, one holds it, and still they are close. Which line compares F with its control?",
        2: "An interval that holds zero is no zero: from 1.2 points against the mask to 3.0 for it, all is possible.",
        3: "The control's own interval holds zero: that it gained at all is not shown.",
        5: "F against vanilla is the first line. What F minus its control shows says nothing about that one.",
    },
)  # fmt: skip


def scores(seed):
    """Scores at home and away. A seed's data make both good or bad; runs may be missing, and seeds in any order."""
    generator = torch.Generator().manual_seed(seed)
    for label, arm, baseline, n in (
        ("5 seeds, all runs there", "F", "vanilla", 5),
        ("6 seeds, in another order in each row", "D", "vanilla", 6),
        ("9 seeds, each row lacks another", "F", "vanilla", 9),
        ("4 seeds, the baseline is another arm", "F", "vanilla_sqrt_p", 4),
    ):
        level, tables = 8 * torch.randn(n, generator=generator), ({}, {})
        for lacking, (place, name) in enumerate(product((0, 1), ("vanilla", "F", "D", "vanilla_sqrt_p"))):
            noise = 4 * torch.randn(1, generator=generator) + 2 * torch.randn(n, generator=generator)
            row = (60 - 15 * place + level + noise).tolist()
            order = torch.randperm(n, generator=generator).tolist() if n == 6 else range(n)
            tables[place][name] = {s: round(row[s], 1) for s in order if n < 9 or s != lacking}
        yield label, (*tables, arm, baseline)


def mean_and_error(values):
    return mean(values), stdev(values) / len(values) ** 0.5


def extra_by_seed(home, away, arm, baseline):
    """One seed after the other; one that lacks any of its four runs is passed over."""
    extras = []
    for seed in range(100):
        if all(seed in row for row in (home[arm], home[baseline], away[arm], away[baseline])):
            gain_at_home = home[arm][seed] - home[baseline][seed]
            extras.append(away[arm][seed] - away[baseline][seed] - gain_at_home)
    return mean_and_error(extras)


def by_name(function, *arguments):
    found = function(*arguments)
    pair = found.tolist() if hasattr(found, "tolist") else found
    is_pair = isinstance(pair, list | tuple) and len(pair) == 2
    return {"the mean": pair[0], "its standard error": pair[1]} if is_pair else found


def each(rule, summary=mean_and_error, needs=(0, 1, 2, 3)):
    """A faulty answer: another rule for the scores (at home, its baseline, away, its baseline) of a seed.

    A seed counts if those of its runs are there that `needs` names.
    """

    def answer(home, away, arm, baseline):
        rows = home[arm], home[baseline], away[arm], away[baseline]
        seeds = set.intersection(*(set(rows[place]) for place in needs))
        return summary([rule(*(row.get(seed) for row in rows)) for seed in seeds])

    return answer


def extra(a, b, c, d):
    return (c - d) - (a - b)


def by_place(home, away, arm, baseline):
    rows = (table[name].values() for table in (home, away) for name in (arm, baseline))
    return mean_and_error([extra(*four) for four in zip(*rows, strict=False)])


def two_gains(home, away, arm, base):
    gains = [[t[arm][s] - t[base][s] for s in t[arm].keys() & t[base].keys()] for t in (home, away)]
    (at_home, one), (elsewhere, other) = map(mean_and_error, gains)
    return elsewhere - at_home, (one**2 + other**2) ** 0.5


def four_rows(home, away, arm, base):
    a, b, c, d = (mean_and_error(list(t[name].values())) for t in (home, away) for name in (arm, base))
    return extra(a[0], b[0], c[0], d[0]), sum(error**2 for _, error in (a, b, c, d)) ** 0.5


AWAY = "That is the gain elsewhere. And the gain at home?"
LEFT = "Gains, not scores: take the baseline off, for it leaves home, too."

EXTRA_GAIN = Code(
    name="07.3", title="more elsewhere than at home?", reference=extra_by_seed, cases=scores, observe=by_name,
    tolerance=1e-4,
    mistakes=[
        ("The other way round: you take elsewhere from home.", each(lambda *four: -extra(*four))),
        (AWAY, each(lambda a, b, c, d: c - d)),
        (AWAY, each(lambda a, b, c, d: c - d, needs=(2, 3))),
        (LEFT, each(lambda a, b, c, d: c - a)),
        (LEFT, each(lambda a, b, c, d: c - a, needs=(0, 2))),
        ("You pair runs by place. The key is the seed: a row may be short, or in another order.", by_place),
        ("You treat the two gains as independent. They share seeds: one number a seed, then its scatter.", two_gains),
        ("You treat the four rows as independent. Runs of a seed share its data: one number a seed.", four_rows),
        ("(mean, error), in this order.", each(extra, lambda x: mean_and_error(x)[::-1])),
        ("That is half an interval; the standard error was wanted.",
         each(extra, lambda x: (mean(x), paired_interval(x)[2] - mean(x)))),
        ("That is the scatter of single seeds. Divide by the root of their number.",
         each(extra, lambda x: (mean(x), stdev(x)))),
        ("Your scatter is a whole population's, divided by n. These seeds are a sample: n - 1.",
         each(extra, lambda x: (mean(x), pstdev(x) / len(x) ** 0.5))),
        ("You compare with vanilla, whatever the baseline is.", lambda h, a, m, b: each(extra)(h, a, m, "vanilla")),
    ],
)  # fmt: skip


POWER = Code(
    name="07.4", title="power iteration", reference=by_solving, cases=losses, observe=eigenvalue_and_cost,
    mistakes=[
        ("The length of Hv has no sign. A negative one says: no minimum.", lambda *all_: walked(*all_).norm()),
        ("The numbers outgrow their range: bring the vector back to length 1 after every product.",
         lambda loss, w, v, n: quotient(loss, w, walked(loss, w, v, n, unit=False))),
        ("v . Hv is the eigenvalue if v has length 1. Your last v is a product, and has not.",
         lambda loss, w, v, n: walked(loss, w, v, n) @ hessian_times(loss, w, walked(loss, w, v, n))),
        ("Hv . Hv is the square of the eigenvalue. Take v . Hv.", lambda *all_: walked(*all_).square().sum()),
        ("That is the length of the gradient, the slope. Curvature is how the slope changes.",
         lambda loss, w, *_: hessian_times(loss, w, None).norm()),
        ("That is the curvature along the start. Keep multiplying.", lambda loss, w, v, n: quotient(loss, w, v)),
        ("Right, but you write the whole Hessian down. A large network has no room for it.",
         lambda *all_: max(all_eigenvalues(*all_), key=abs)),
        ("The largest in size was wanted, be it negative.", lambda *all_: max(all_eigenvalues(*all_))),
        ("You divide Hv by v entry by entry. Where the eigenvector is zero that says nothing: take v . Hv.",
         ratio_of_entries),
    ],
)  # fmt: skip


def weights(seed):
    """Tuned weights with their parent's, coins already tossed, and p, the share that stays."""
    generator = torch.Generator().manual_seed(seed)
    for shape, dtype, p in (((3, 4), torch.float32, 0.3), ((9,), torch.float64, 0.8), ((2, 3, 2), torch.float32, 0.6)):
        kept = (torch.rand(shape, generator=generator) < p).to(dtype)
        kept.view(-1)[:2] = torch.tensor([0, 1], dtype=dtype)  # one of each, whatever the coins say
        drawn = [torch.randn(shape, generator=generator).to(dtype) for _ in range(2)]
        yield f"shape {shape}, {str(dtype).removeprefix('torch.')}, p = {p}", (*drawn, kept, p)


def with_gradient(function, weight, parent, kept, p):
    """The mixed weight, and what comes back to the tuned one when n, ..., 2, 1 comes back to the mixed one."""
    weight = weight.clone().requires_grad_()
    mixed, gradient = function(weight, parent, kept, p), torch.zeros_like(parent)
    if isinstance(mixed, torch.Tensor) and mixed.requires_grad and mixed.shape == weight.shape:
        gradient = torch.autograd.grad(mixed.flatten().cumsum(0).sum(), weight)[0]
    return None if mixed is None else {"the mixed weight": mixed, "the gradient of the tuned weight": gradient}


def entry_by_entry(weight, parent, kept, p):
    """A kept entry goes beyond the tuned weight, by as much as makes up for the draws that give the parent's."""
    entries = zip(weight.flatten(), parent.flatten(), kept.flatten(), strict=True)
    return torch.stack([(w - (1 - p) * w0) / p if stays else w0 for w, w0, stays in entries]).view(weight.shape)


MIXOUT = Code(
    name="07.5", title="Mixout by hand", reference=entry_by_entry, cases=weights, observe=with_gradient,
    mistakes=[
        ("This mixture's mean is not the tuned weight. What must grow?", lambda w, w0, k, p: k * w + (1 - k) * w0),
        ("You divide all of it by p: the parent's entries grow, too.", lambda w, w0, k, p: (k * w + (1 - k) * w0) / p),
        ("You divide the tuned part only: on average that is too much.", lambda w, w0, k, p: k * w / p + (1 - k) * w0),
        ("Its mean is weight + parent: each part grows by itself.",
         lambda w, w0, k, p: k * w / p + (1 - k) * w0 / (1 - p)),
        ("`kept` picks the tuned weight, not the parent's.", lambda w, w0, k, p: w + k * (w0 - w) / p),
        ("The mean is right, but where `kept` is 0 it is not the parent's entry.",
         lambda w, w0, k, p: k * w + (1 - k) * w0 + (1 - p) * (w - w0)),
        ("Zero where not kept: that is dropout. Mixout has the parent's there.", lambda w, w0, k, p: k * w / p),
        ("You keep where `kept` is 0: there the parent's belongs.", lambda w, w0, k, p: w0 + (1 - k) * (w - w0) / p),
        ("You divide by 1 - p. Here p is the share that stays.", lambda w, w0, k, p: w0 + k * (w - w0) / (1 - p)),
        ("The numbers are right, but no gradient comes back to `weight`: keep it in the graph.",
         lambda w, w0, k, p: (w0 + k * (w - w0) / p).detach()),
    ],
)  # fmt: skip

EXERCISES = [SEEN, MASK_OR_RATE, EXTRA_GAIN, POWER, MIXOUT]
