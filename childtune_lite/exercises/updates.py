"""The exercises of notebook 02: two terms, a bracket for a variance, a plain twin, shared coins, what is covered."""

from itertools import product

import torch

from ..updates import simulate_updates
from .exercise import Code
from .quiz import Choice, Number

F32, F64 = torch.float32, torch.float64
DATA = ((3, 2, 2, 0.25, 1.0, F64), (4, 3, 3, 0.5, 0.1, F32), (2, 4, 5, 0.2, 2.0, F64))
MORE_DATA = ((5, 2, 1, 1.0, 0.5, F64), (4, 2, 3, 0.1, 3.0, F64))
CLOUDS = ((3000, (0, 1), 0.2, 4.0, F64), (2000, (1, 0.4, 0), 0.5, 2.0, F32), (2500, (3,), 1.0, 3.0, F64))
MORE_CLOUDS = ((6000, (0, -2), 0.1, 1.0, F64),)
GROUPS = (
    ("each weight its own coin, correlated noise", (0, 1, 2), 0.25, 8, 1.0, 1.0, 1.0),
    ("one coin for two weights, independent noise", (4, 4), 0.2, 16, 0.5, 2.0, 0.0),
    ("two coins for four weights", (0, 1, 1, 0), 0.5, 3, 2.0, 1.0, 1.0),
    ("two coins for three weights, at a minimum", (7, 3, 7), 0.3, 2, 1.0, 0.0, 1.0),
)
MORE_GROUPS = (("three coins for five weights", (2, 0, 2, 9, 0), 0.15, 4, 0.3, -1.0, 1.0),)


def named(result, names):
    """A dict in the wanted order, or a pair with names: so that messages can say which part is wrong."""
    if isinstance(result, dict) and set(result) == set(names):
        return {name: result[name] for name in names}
    pair = isinstance(result, tuple | list) and len(result) == len(names)
    return dict(zip(names, result, strict=True)) if pair else result


def data_sets(seed, settings=DATA):
    """Few examples and small batches, so that the reference can list every batch."""
    generator = torch.Generator().manual_seed(seed)
    for n, k, batch, p, rate, dtype in settings:
        examples = torch.randn(n, k, generator=generator, dtype=F64) + 1.5
        yield f"{n} examples of {k} weights, B = {batch}, p = {p}, {dtype}", (examples.to(dtype), batch, p, rate)


def every_batch(examples, batch, p, rate):
    """List every batch, under a coin that shows 1 and under one that shows 0, one weight after the other."""
    rows, odds = [], torch.tensor([p, 1 - p], dtype=F64)
    for column in examples.double().T.tolist():
        averages = torch.tensor([sum(drawn) / batch for drawn in product(column, repeat=batch)], dtype=F64)
        steps = torch.stack([-rate * averages / p, 0 * averages])
        middles, spreads = steps.mean(1), (steps - steps.mean(1, keepdim=True)).square().mean(1)
        rows.append(torch.stack([odds @ middles, odds @ spreads, odds @ (middles - odds @ middles).square()]))
    return dict(zip(("mean", "noise", "coin"), torch.stack(rows).to(examples.dtype).T, strict=True))


def terms(change, correction=0):
    """A wrong `two_terms`: `change` takes g, s^2, B, p and rate, and returns mean, noise and coin."""
    return lambda examples, *rest: change(examples.mean(0), examples.var(0, correction=correction), *rest)


TWO_TERMS = Code(
    name="02.1", title="the theorem on a data set", reference=every_batch, cases=data_sets,
    hidden=lambda seed: data_sets(seed, MORE_DATA),
    observe=lambda function, *arguments: named(function(*arguments), ("mean", "noise", "coin")),
    because="And with a larger B only the noise term shrinks: the coin term does not know B.",
    mistakes=[
        ("This is the update that is not divided by p: its mean is p times too small, and its noise falls with p.",
         terms(lambda g, v, B, p, r: (-r * p * g, r**2 * p * v / B, r**2 * p * (1 - p) * g**2))),
        ("Your noise term does not know p. A step is taken in a share p of cases, and then it is 1/p times too long.",
         terms(lambda g, v, B, p, r: (-r * g, r**2 * v / B, r**2 * (1 - p) / p * g**2))),
        ("Your noise term does not know B: it is the noise of one example, not of the average of B.",
         terms(lambda g, v, B, p, r: (-r * g, r**2 * v / p, r**2 * (1 - p) / p * g**2))),
        ("Your coin term falls with B. One coin decides over the whole batch, so a larger batch does not calm it.",
         terms(lambda g, v, B, p, r: (-r * g, r**2 * v / (p * B), r**2 * (1 - p) / p * g**2 / B))),
        ("Your coin term has lost a p: the coin's variance is p (1 - p), and the division by p is squared too.",
         terms(lambda g, v, B, p, r: (-r * g, r**2 * v / (p * B), r**2 * (1 - p) * g**2))),
        ("You divide by N - 1, as `var` does by default. Nothing is estimated here: these N examples are all there is.",
         terms(lambda g, v, B, p, r: (-r * g, r**2 * v / (p * B), r**2 * (1 - p) / p * g**2), correction=1)),
        ("Your two terms add up to the right variance, but split it otherwise: at g = 0 the coin term must vanish.",
         terms(lambda g, v, B, p, r: (-r * g, r**2 * v / B, r**2 * (1 - p) / p * (v / B + g**2)))),
        ("Your coin term has the average square of the examples, where it needs the square of their average.",
         terms(lambda g, v, B, p, r: (-r * g, r**2 * v / (p * B), r**2 * (1 - p) / p * (v + g**2)))),
        ("Noise and coin have changed places: at a minimum, where g = 0, it is the noise that is left.",
         terms(lambda g, v, B, p, r: (-r * g, r**2 * (1 - p) / p * g**2, r**2 * v / (p * B)))),
    ],
)  # fmt: skip


def clouds(seed, settings=CLOUDS):
    """Updates of several weights, some on a slope, some at a minimum."""
    generator = torch.Generator().manual_seed(seed)
    for n, g, p, width, dtype in settings:
        seen = torch.tensor(g) + torch.randn(n, len(g), generator=generator)
        cloud = -seen * (torch.rand(n, len(g), generator=generator) < p) / p
        yield f"{n} updates of {len(g)} weights, p = {p}, width {width:g}, {dtype}", (cloud.to(dtype), width)


def middle_and_half(variance_interval, cloud, width):
    """Where the bracket lies, in units of the cloud's variance: so one tolerance serves all, N or N - 1 no matter."""
    result = variance_interval(cloud, width)
    result = tuple(result) if torch.is_tensor(result) and result.dim() == 2 else result
    two = isinstance(result, tuple | list) and len(result) == 2 and all(map(torch.is_tensor, result))
    if not two or {tuple(end.shape) for end in result} != {(cloud.shape[1],)}:
        return named(result, ("middle of low and high", "half of high - low"))
    (low, high), unit = (end.double() for end in result), cloud.double().var(0)
    return {"middle of low and high": (low + high) / 2 / unit, "half of high - low": (high - low) / 2 / unit}


def by_draw(cloud, width):
    """One draw after the other: a list of squared deviations, its mean, and that mean's standard error."""
    ends, n = [], len(cloud)
    for column in cloud.double().T.tolist():
        mean = sum(column) / n
        squares = [(x - mean) ** 2 for x in column]
        variance = sum(squares) / n
        error = (sum((square - variance) ** 2 for square in squares) / n / n) ** 0.5
        ends.append((variance - width * error, variance + width * error))
    return tuple(torch.tensor(ends).T)


def bracket(error, centred=True):
    """A wrong `variance_interval`: `error` takes deviations, their number and the width, and returns the half width."""

    def wrong(cloud, width):
        deviations = cloud - cloud.mean(0) * centred
        middle, half = deviations.square().mean(0), error(deviations, len(cloud), width)
        return middle - half, middle + half

    return wrong


BRACKET = Code(
    name="02.2", title="a bracket for a variance", reference=by_draw, cases=clouds, observe=middle_and_half,
    hidden=lambda seed: clouds(seed, MORE_CLOUDS),
    because="At a minimum with p = 0.2 (kurtosis 15) your bracket is sqrt(14 / 2), about 2.6, times the textbook's.",
    tolerance=0.003,  # N against N - 1 changes the results by at most 0.0005, the nearest mistake by 0.008
    mistakes=[
        ("Your width is a normal cloud's, where kurtosis is 3. A masked cloud has more, and its bracket is wider.",
         bracket(lambda x, n, w: w * x.var(0) * (2 / n) ** 0.5)),
        ("That is the standard error of the mean. What is averaged for the variance is the squared deviation.",
         bracket(lambda x, n, w: w * x.std(0) / n**0.5)),
        ("Your bracket does not shrink with more draws: that is the spread of one draw, not the error of an average.",
         bracket(lambda x, n, w: w * x.square().std(0))),
        ("The spread of an average falls with the root of the number of draws. You divide by the number itself.",
         bracket(lambda x, n, w: w * x.square().std(0) / n)),
        ("Where is `width`? Yours is always one standard error down and up.",
         bracket(lambda x, n, w: x.square().std(0) / n**0.5)),
        ("The middle is the mean square. On a slope that is more than the variance: subtract the mean first.",
         bracket(lambda x, n, w: w * x.square().std(0) / n**0.5, centred=False)),
        ("You took the mean fourth power whole. A variance is the mean square less the square of the mean, here too.",
         bracket(lambda x, n, w: w * (x**4).mean(0).sqrt() / n**0.5)),
    ],
)  # fmt: skip


def twin_batch(p=0.25, batch=40.0):
    """Two masked steps at a minimum, simulated; then the batch at which one step of twice the rate shakes as much."""
    two_steps = sum(simulate_updates(torch.zeros(1), 1.0, batch, p, draws=300_000, seed=seed) for seed in (11, 12))
    return (2.0**2 / two_steps.double().var()).item()


TWIN = Number(
    name="02.3", title="the plain twin", measure=twin_batch, digits=1,
    tolerance=0.5,  # five standard errors of the simulation
    mistakes=[
        ("With p B the noise is right at the same rate. Hers is twice as large, and takes half as many steps.", 10.0),
        ("So one step of hers is as noisy as one of ours. But hers is counted as two, and two shake twice.", 40.0),
        ("The wrong way: a larger rate shakes more, so her batch must be larger than p B, not smaller.", 5.0),
        ("Where is p? The mask makes our noise 1/p times larger, and she must have that noise too.", 80.0),
        ("A root too many: compare variances, which go with the rate squared and with 1 over the batch.", 200**0.5),
    ],
)  # fmt: skip


def groupings(seed, settings=GROUPS):
    """Gradients, noise and coins; the last two settings: how steep the slope is, and how correlated the noise."""
    generator = torch.Generator().manual_seed(seed)
    for words, groups, p, batch, rate, slope, correlated in settings:
        root = correlated * torch.randn(len(groups), len(groups), generator=generator, dtype=F64)
        gradient = slope * (1 + torch.rand(len(groups), generator=generator, dtype=F64))
        noise = root @ root.T + 4 * torch.eye(len(groups), dtype=F64)
        yield f"{words}, p = {p}, B = {batch}", (gradient, noise, batch, p, rate, torch.tensor(groups))


def every_toss(gradient, Sigma, batch, p, rate, group):
    """List every outcome of the coins; add up mean and mean product, entry by entry."""
    of, g, k = group.tolist(), gradient.tolist(), len(gradient)
    names, mean, products = sorted(set(of)), [0.0] * k, torch.zeros(k, k, dtype=F64)
    for toss in product((0, 1), repeat=len(names)):
        chance = p ** sum(toss) * (1 - p) ** (len(toss) - sum(toss))
        step = [-rate * toss[names.index(name)] / p for name in of]
        for i in range(k):
            mean[i] += chance * step[i] * g[i]
            for j in range(k):
                products[i, j] += chance * step[i] * step[j] * (Sigma[i, j].item() / batch + g[i] * g[j])
    return torch.tensor(mean), products - torch.tensor([[a * b for b in mean] for a in mean])


def coins(covariance, divided=True):
    """A wrong `shared_coins`: `covariance` takes noise, g g^T, its diagonal, p, and who shares a coin; at rate 1."""

    def wrong(g, Sigma, B, p, rate, group):
        outer, same = torch.outer(g, g), (group[:, None] == group[None, :]).double()
        found = covariance(Sigma / B, outer, outer.diag().diag(), p, same)
        return -rate * g * (1 if divided else p), rate**2 * found * (1 if divided else p**2)

    return wrong


SHARED_COINS = Code(
    name="02.4", title="weights that share a coin", reference=every_toss, cases=groupings,
    hidden=lambda seed: groupings(seed, MORE_GROUPS),
    observe=lambda function, *arguments: named(function(*arguments), ("mean", "covariance")),
    tolerance=1e-4, dtypes=False,  # a factor 1/p in float32 will do
    because="Off the diagonal a shared coin adds eta^2 (1 - p)/p (g1 g2 + Sigma12/B): pI alone does not show it.",
    mistakes=[
        ("Each of your weights has a coin of its own: what does `group` say?",
         coins(lambda n, gg, d, p, same: n + (1 - p) / p * (n.diag().diag() + d))),
        ("One coin decides over all your weights. Weights of different groups have different coins.",
         coins(lambda n, gg, d, p, same: (n + gg) / p - gg)),
        ("You divide all of the noise by p, as a smaller batch would. For two different coins, what is E[M1 M2]?",
         coins(lambda n, gg, d, p, same: n / p + (1 - p) / p * gg * same)),
        ("That is the smaller batch, and the coin on the diagonal only. What is E[M1 M2] for two coins, and for one?",
         coins(lambda n, gg, d, p, same: n / p + (1 - p) / p * d)),
        ("The gradient counts only on your diagonal. A shared coin switches both gradients on and off together.",
         coins(lambda n, gg, d, p, same: n * (1 + same * (1 / p - 1)) + (1 - p) / p * d)),
        ("That is the mean product. A covariance is the mean product less the product of the means.",
         coins(lambda n, gg, d, p, same: (n + gg) * (1 + same * (1 / p - 1)))),
        ("Between groups your covariance is 0. The coins are independent, but correlated noise stays correlated.",
         coins(lambda n, gg, d, p, same: ((n + gg) / p - gg) * same)),
        ("This is the update that is not divided by p: the mean is p times too small.",
         coins(lambda n, gg, d, p, same: (n + gg) * (1 + same * (1 / p - 1)) - gg, divided=False)),
        ("Where is `batch`? `Sigma` is the covariance of one example's gradient: an average of B has less.",
         lambda g, Sigma, B, *rest: every_toss(g, Sigma, 1, *rest)),
        ("You give a shared coin 1/p^2, as if it always showed 1. It does so in a share p of the steps.",
         coins(lambda n, gg, d, p, same: (n + gg) * (1 + same * (1 / p**2 - 1)) - gg)),
        ("Off its diagonal you drop `Sigma`. Noise that two weights have in common moves both of them.",
         coins(lambda n, gg, d, p, same: (n.diag().diag() + gg) * (1 + same * (1 / p - 1)) - gg)),
    ],
)  # fmt: skip


COVERED = Choice(
    name="02.5", title="which prediction comes true?", right=1,
    because="Only a mean, a variance and independence were used: the noise may have any shape that has a variance.",
    wrong={
        0: "Adam divides by the size of what it sees, and the mask has made that larger. What did the ratio come to?",
        2: "Child-Tuning_D tosses no coin and divides by nothing. What was the variance inside the child?",
        3: "That is the smaller batch. Under the mask two different coins rarely show 1 at once.",
        4: "Two moments do not fix the tails. What was the kurtosis of one weight's updates, and of a normal cloud?",
    },
)  # fmt: skip

EXERCISES = [TWO_TERMS, BRACKET, TWIN, SHARED_COINS, COVERED]
