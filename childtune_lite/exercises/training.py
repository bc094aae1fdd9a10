"""The exercises of notebook 05: arms that pair, a recipe told by its gradients, seeds, pairs, a mask that got lost."""

import bisect
import statistics
from functools import partial

import torch
from scipy import stats

from ..evidence import detectable_difference
from ..recorder import gradient_statistics
from .arms import ARMS
from .exercise import Code
from .quiz import Choice, Number


def recorded(kind, p, layers, large, generator):
    """Four records of a run: gradients as random numbers, and the mask of that kind.

    Large: the zeros of a block of the parent, of 1,774,464 entries. There F's share moves by some 0.0004, and one to
    four gradients are too small for float32, whatever the recipe.
    """
    shapes = {"embeddings.words": (90, 20)} | {f"layer.{i}.weight": (80, 100) for i in range(layers)}
    shapes["classifier.weight"] = (2, 200)
    size = {n: (torch.randn(s, generator=generator) - i / 4).exp() for i, (n, s) in enumerate(shapes.items())}
    score = {n: torch.rand(s, generator=generator) for n, s in shapes.items()} if kind == "random child" else size
    lowest = torch.cat([score[n].flatten() for n in shapes if "layer" in n]).quantile(1 - p)
    scope = {"vanilla": (), "D with the head": ("layer", "classifier")}.get(kind, ("layer",))

    def masked(name, gradient):
        if kind == "F":
            return gradient * (torch.rand(gradient.shape, generator=generator) < p) / p
        return gradient * (score[name] > lowest) if name.startswith(scope) else gradient

    for step in range(0, 16, 4):
        drawn = {n: s * torch.randn(s.shape, generator=generator) for n, s in size.items()}
        drawn["embeddings.words"][torch.rand(90, generator=generator) < 0.9] = 0
        found = gradient_statistics(drawn.items(), masked)
        for row in (row for name, row in found.items() if large and "layer" in name):
            moved = (step % 8 / 4 - 0.5) * 4e-4 + 1e-5 * torch.randn(1, generator=generator).item()
            row["zeros"] = 1 - p + moved if kind == "F" else round(row["zeros"], 3)
            row["zeros"] += (1 + step % 3 if kind == "vanilla" else step % 8 / 4) / 1_774_464
        yield {"step": step, "layers": found}


def runs(seed):
    generator = torch.Generator().manual_seed(seed)
    kinds = [("vanilla", 0), ("F", 0.3), ("D", 0.3), ("F", 0.8), ("D", 0.6), ("random child", 0.3), ("vanilla", 0)]
    kinds += [("D with the head", 0.5), ("vanilla", 0), ("F", 0.3), ("F", 0.8), ("D", 0.5)]
    for place, (kind, p) in enumerate(kinds):
        p, layers = round(p + 0.1 * torch.rand(1, generator=generator).item(), 2), 2 + place % 3
        label = f"run {place}, {layers} {'large ' * (place > 7)}layers, {kind}" + f" with p = {p}" * (kind != "vanilla")
        yield label, (list(recorded(kind, p, layers, place > 7, generator)),)


def by_steps(records, allowed=1e-4, moves=1e-5):
    """A block with next to no zeros: no mask. The same zeros every time: a child. Else a new mask each time."""
    shares = [record["layers"]["layer 0"]["zeros"] for record in records]
    if all(share <= allowed for share in shares):
        return "vanilla"
    return "D" if all(abs(share - shares[0]) <= moves for share in shares) else "F"


def block(records, layer="layer 0"):
    return records[0]["layers"][layer]


def by_angle(records, steep=0.85):
    """A child that was drawn by chance turns the gradient as F does; F with a large p turns it little."""
    name, now = by_steps(records), block(records)
    chance = name == "D" and now["cosine"] ** 2 + now["zeros"] < 1.08
    return "F" if chance else "D" if name == "F" and now["cosine"] > steep else name


def saying(**names):
    return lambda records: names.get(by_steps(records), by_steps(records))


RECIPES = Code(
    name="05.2", title="the recipe, by its gradients alone", reference=by_steps, cases=runs,
    mistakes=[
        ("Vanilla may have a zero in a million, from a gradient too small for float32. Put the threshold higher.",
         partial(by_steps, allowed=0)),
        ("A child is taken for F, at a zero in a million more: a gradient too small for float32. How far does F move?",
         partial(by_steps, moves=0)),
        ("You see a mask in one zero in a million: a gradient may be too small for float32. Allow for it, in D, too.",
         partial(by_steps, allowed=0, moves=0)),
        ("Zeros in the head are not F's alone: a child may cover the head. What does only F do?",
         lambda r: "F" if block(r, "head")["zeros"] else by_steps(r)),
        ("Vanilla is taken for D, but D is not alone in having a head without zeros.",
         lambda r: "F" if block(r, "head")["zeros"] else "D"),
        ("A child drawn by chance has F's zeros and F's cosine. But what does F do at every step?",
         partial(by_angle, steep=1)),
        ("A bound on the cosine suits one p, and one way of choosing. What does F's mask do at every step?", by_angle),
        ("Both masks turn the gradient. Which one turns it anew?", saying(D="F")),
        ("Vanilla, yet you see zeros. Are they of absent words? Use a block.", saying(vanilla="F")),
        ("Vanilla, yet you see zeros. Are they of absent words? Use a block.", lambda r: "F"),
        ("A large p drops little: put the threshold between a millionth and a few percent.", lambda r: "vanilla"),
        ("F is taken for D: in a large block its share moves, too, by less than a thousandth.", saying(F="D")),
        ("F and D exchanged: whose mask is drawn once?", saying(F="D", D="F")),
    ],
)  # fmt: skip


def seeds_for(effect=1.5, sd=10.0):
    """The fewest pairs that find this effect four times in five."""
    return 2 + bisect.bisect_left(range(2, 5000), -effect, key=lambda n: -detectable_difference(n, sd))


SEEDS = Number(
    name="05.3", title="how many seeds", measure=seeds_for, tolerance=5, digits=0, near=8,
    mistakes=[
        ("That is the number for the figure: 0.7 points, with pairs that scatter by 1.5.", 39),
        ("A width falls with the root of n: half the effect takes four times the seeds, not twice.", 2.8 * 10 / 1.5),
        ("That is where the paper's line meets the curve, at a scatter of 1.5. Yours is 10.", 10),
        ("That many would find it every second time. Four times in five takes more.", (1.96 * 10 / 1.5) ** 2),
        ("You scaled in proportion: with the scatter, seeds grow as its square.", 10 * 10 / 1.5),
        ("The square is of all three: rule, scatter and effect.", 2.8**2 * 10 / 1.5),
        ("You scaled the 39 in proportion: seeds grow as the square of scatter over effect.", 39 * 0.7 * 10 / 1.5**2),
        ("You scaled the 39, which are for 0.7 points. And with the scatter, seeds grow as its square.", 39 * 10 / 1.5),
        ("That is a one-sided test. It must be able to find a loss as well.", (1.645 + 0.842) ** 2 * 10**2 / 1.5**2),
        ("You scaled the figure's 10 seeds; some of them only pay for being few. Take the rule.", 10 * 10**2 / 1.5**2),
        ("You doubled it. The 10 points are the scatter of a difference already.", 2 * 350.8),
        ("That is for an effect of 0.7 points. The claim to check is 1.5.", (2.8 * 10 / 0.7) ** 2),
    ],
)  # fmt: skip

T_TABLE = {2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 6: 2.4469, 7: 2.3646}  # 95%, by degrees of freedom


def scores(seed):
    """Scores of two arms by seed. The seeds stand in another order in each, and some have run in one arm only."""
    generator = torch.Generator().manual_seed(seed)
    for n, alone in ((5, 0), (3, 0), (8, 2), (4, 1)):
        level = (0.6 + 0.2 * torch.rand(n + alone, generator=generator)).tolist()
        gain = (0.04 + 0.06 * torch.randn(n + alone, generator=generator)).tolist()
        vanilla = {s: level[s] for s in reversed(range(n))} | ({19: 0.7} if alone else {})
        arm = {s: level[s] + gain[s] for s in torch.randperm(n + alone, generator=generator).tolist()}
        yield f"{n} pairs" + ", and seeds without a partner" * bool(alone), (arm, vanilla)


def named(paired, arm, vanilla):
    """Mean and half-widths, which tell more of a fault than the ends do."""
    ends = paired(arm, vanilla)
    if ends is None:
        return None
    if isinstance(ends, dict | str) or not hasattr(ends, "__len__") or len(ends) != 3:
        raise TypeError(f"wanted three numbers: mean, low, high; got {ends!r:.60}")
    mean, low, high = ends
    return {"the mean": mean, "the way down from mean to low": mean - low, "the way up from mean to high": high - mean}


def from_the_table(arm, vanilla):
    """Pair by pair, with t as books print it."""
    gaps = [100 * arm[seed] - 100 * vanilla[seed] for seed in range(20) if seed in arm and seed in vanilla]
    mean, n = sum(gaps) / len(gaps), len(gaps)
    half = T_TABLE[n - 1] * (sum((gap - mean) ** 2 for gap in gaps) / (n - 1) / n) ** 0.5
    return mean, mean - half, mean + half


def interval_with(scale=100.0, pair=lambda a, v: [(a[s], v[s]) for s in a if s in v], sd=statistics.stdev,
                  freedom=-1, level=0.975, root=0.5, t=None):  # fmt: skip
    """The same with a fault: everything that people vary is an argument."""

    def paired(arm, vanilla):
        gaps = [scale * (x - y) for x, y in pair(arm, vanilla)]
        mean, n = statistics.mean(gaps), len(gaps)
        half = (t or stats.t.ppf(level, n + freedom)) * sd(gaps) / n**root
        return mean, mean - half, mean + half

    return paired


def unpaired(arm, vanilla, shared, equal_var):
    a, b = ([100 * c[s] for s in c if not shared or (s in arm and s in vanilla)] for c in (arm, vanilla))
    return statistics.mean(a) - statistics.mean(b), *stats.ttest_ind(a, b, equal_var=equal_var).confidence_interval()


def half_widths(arm, vanilla):
    mean, low, high = from_the_table(arm, vanilla)
    return mean, mean - low, high - mean


PAIRS = Code(
    name="05.4", title="the paired interval", reference=from_the_table, cases=scores, observe=named,
    tolerance=0.05,  # points: t may be rounded as in a table
    mistakes=[
        ("You pair by place, but the seeds stand in another order in each arm. Pair by seed.",
         interval_with(pair=lambda a, v: zip(a.values(), v.values(), strict=False))),
        ("Seeds without a partner shift your pairs. Pair by seed, and leave them out.",
         interval_with(pair=lambda a, v: [(a[s], v[z]) for s, z in zip(sorted(a), sorted(v), strict=False)])),
        *(("That treats the arms as independent samples: take the differences first, then their scatter.",
           partial(unpaired, shared=True, equal_var=equal)) for equal in (True, False)),
        *(("That treats the arms as independent samples, with the scatter of all seeds: pair them first.",
           partial(unpaired, shared=False, equal_var=equal)) for equal in (True, False)),
        ("1.96 is for many pairs. With few, the scatter itself is uncertain. What pays for it?", interval_with(t=1.96)),
        ("You divided the squares by n. The mean is known: how many vary freely?", interval_with(sd=statistics.pstdev)),
        ("That is how far single pairs scatter. Their mean scatters less: by which factor?", interval_with(root=0)),
        ("The degrees of freedom are one too many.", interval_with(freedom=0)),
        ("That leaves 5% on each side: a 90% interval.", interval_with(level=0.95)),
        ("Points, please: a score of 0.7 is 70 points.", interval_with(scale=1)),
        ("The sign: arm minus vanilla is wanted.", lambda arm, vanilla: from_the_table(vanilla, arm)),
        ("Low and high are exchanged.", lambda arm, vanilla: [from_the_table(arm, vanilla)[k] for k in (0, 2, 1)]),
        ("The mean comes first, then low, then high.", lambda a, v: [from_the_table(a, v)[k] for k in (1, 0, 2)]),
        ("Wanted are the ends of the interval, not how far they lie from the mean.", half_widths),
        ("Some seeds ran in one arm only: use those that both have.", lambda arm, vanilla: vanilla[9]),
    ],
)  # fmt: skip


LOST = Choice(
    name="05.5", title="find the bug", right=4,
    because="Without `optimizers=` the Trainer makes an optimizer of its own, and that one has no mask: vanilla.",
    wrong={
        0: "A copy is as it should be: otherwise the parent would be trained.",
        1: "The usual optimizer, on the copy's own weights. It is the one that should step.",
        2: "p and seed are right, and a fresh mask counts from 0.",
        3: "Attached before the first step, to this optimizer and with its model. But who steps this optimizer?",
        5: "Training runs, and the loss falls. Whose optimizer does it?",
        6: "This line only shows it: the mask counts the steps of the optimizer that it sits on.",
    },
)  # fmt: skip

EXERCISES = [ARMS, RECIPES, SEEDS, PAIRS, LOST]
