"""The exercises of notebook 07: what a study would see, mask or rate, gain elsewhere, power iteration, Mixout."""

from dataclasses import dataclass
from itertools import product
from statistics import mean, pstdev, stdev

import torch

from .exercise import Code
from .quiz import Choice, Number


def seen_of_a_hundred(gain=8.0, scatter=11.3, pairs=5, studies=20_000):
    """Of a hundred studies, how many have a 95% t interval above zero: simulated, with a standard error of 0.3."""
    from scipy import stats

    generator = torch.Generator().manual_seed(7)
    found = gain + scatter * torch.randn(studies, pairs, generator=generator, dtype=torch.float64)
    reach = stats.t.ppf(0.975, pairs - 1) * found.std(1) / pairs**0.5
    return 100 * (found.mean(1) > reach).double().mean().item()


SEEN = Number(
    name="07.1", title="a gain of eight points", measure=seen_of_a_hundred, tolerance=6, near=1.2, digits=0,
    mistakes=[
        ("Four in five find 19 points. A gain of 8 is less than half of that.", 80),
        ("You took 8 as a share of 19. The chance is no straight line: at no gain at all it is not zero.", 42),
        ("You scaled four in five down by 8/19. The chance is no straight line in the gain.", 34),
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


def each(rule, summary=mean_and_error):
    """A faulty answer: another rule for the scores (at home, its baseline, away, its baseline) of a seed."""

    def answer(home, away, arm, baseline):
        rows = home[arm], home[baseline], away[arm], away[baseline]
        return summary([rule(*(row[s] for row in rows)) for s in set(rows[0]).intersection(*rows)])

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


EXTRA_GAIN = Code(
    name="07.3", title="more elsewhere than at home?", reference=extra_by_seed, cases=scores, tolerance=1e-4,
    mistakes=[
        ("The other way round: you take elsewhere from home.", each(lambda *four: -extra(*four))),
        ("That is the gain elsewhere. Of that, how much was there at home?", each(lambda a, b, c, d: c - d)),
        ("That is what leaving home costs the arm. The baseline leaves home, too.", each(lambda a, b, c, d: c - a)),
        ("You pair runs by place. The key is the seed: a row may be short, or in another order.", by_place),
        ("You treat the two gains as independent. They share seeds: one number a seed, then its scatter.", two_gains),
        ("That is the scatter of single seeds. Their mean is surer.", each(extra, lambda x: (mean(x), stdev(x)))),
        ("Your scatter is a whole population's, divided by n. These seeds are a sample: n - 1.",
         each(extra, lambda x: (mean(x), pstdev(x) / len(x) ** 0.5))),
        ("You compare with vanilla, whatever the baseline is.", lambda h, a, m, b: each(extra)(h, a, m, "vanilla")),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Loss:
    """A quadratic form, and the notebook's toy on top: (a @ b - 1)^2 of these places of w; the same place is tied."""

    hessian: torch.Tensor
    a: tuple[int, ...] = ()
    b: tuple[int, ...] = ()

    def __call__(self, w):
        return w @ self.hessian @ w / 2 + (w[list(self.a)] @ w[list(self.b)] - 1) ** 2


def losses(seed):
    """(loss, w, start, steps). The largest eigenvalue is far enough from the next that all come to rest."""
    generator = torch.Generator().manual_seed(seed)
    for label, curvatures, a, b, steps in (
        ("a bowl, 5 weights", [5, 2, 1, 0.5, 0.2], (), (), 60),
        ("a saddle, 4 weights", [3, -7, 1, 0.2], (), (), 60),
        ("a gorge, 3 weights", [10_000, 10, 1], (), (), 90),
        ("a bowl, 100 weights", [4 * 0.5**k for k in range(100)], (), (), 20),
        ("the notebook's toy", [0, 0], (0,), (1,), 30),
        ("the toy, each weight used twice", [0, 0, 0], (0, 1, 2), (0, 1, 2), 30),
    ):
        shape = len(curvatures) + 2, len(curvatures)
        w, start, *drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        turn = torch.linalg.qr(torch.stack(drawn)).Q
        yield label, (Loss(turn * torch.tensor(curvatures) @ turn.T, a, b), 1 + w.abs(), 3 * start, steps)


def eigenvalue_and_cost(function, loss, w, start, steps):
    """What the answer found, and whether it spent a backward pass on every weight. A product costs two or three."""
    passes = []

    def counted(w):
        w = w * 1.0
        if w.requires_grad:
            w.register_hook(passes.append)
        return loss(w)

    counted.plain = loss  # for the reference
    value = function(counted, w, start, steps)
    value = value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 else value
    found = {"the eigenvalue": value, "the whole Hessian is made": len(passes) > 4 * steps + 5}
    return None if value is None else found


def all_eigenvalues(loss, w, *_):
    return torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, w)).tolist()


def by_solving(loss, w, start, steps):
    """The Hessian entry by entry, all its eigenvalues, and of these the one of largest size."""
    return max(all_eigenvalues(loss.plain, w), key=abs)


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
        ("Zero where not kept: that is dropout. Mixout has the parent's there.", lambda w, w0, k, p: k * w / p),
        ("You keep where `kept` is 0: there the parent's belongs.", lambda w, w0, k, p: w0 + (1 - k) * (w - w0) / p),
        ("You divide by 1 - p. Here p is the share that stays.", lambda w, w0, k, p: w0 + k * (w - w0) / (1 - p)),
        ("The numbers are right, but no gradient comes back to `weight`: keep it in the graph.",
         lambda w, w0, k, p: (w0 + k * (w - w0) / p).detach()),
    ],
)  # fmt: skip

EXERCISES = [SEEN, MASK_OR_RATE, EXTRA_GAIN, POWER, MIXOUT]
