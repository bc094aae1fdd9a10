"""The exercises of notebook 05: arms that pair, a recipe told by its gradients, seeds, pairs, a mask that got lost."""

import bisect
import copy
import statistics
from types import SimpleNamespace

import torch
from scipy import stats

from ..evidence import detectable_difference
from ..masks import BernoulliMask
from ..recorder import gradient_statistics
from .exercise import Code
from .quiz import Choice, Number


class Tiny(torch.nn.Sequential):
    """Words, dropout, a head; called as the networks of transformers are."""

    def forward(self, words, labels):
        logits = super().forward(words).mean(1)
        return SimpleNamespace(loss=4 * torch.nn.functional.cross_entropy(logits, labels), logits=logits)


def parents(seed, settings=((4, 0.3, 1), (6, 0.6, 2), (5, 0.2, 3)), tied=False):
    """A parent in evaluation mode, its batches, a rate, a share p and a number of warmup steps."""
    for place, (steps, p, warmup) in enumerate(settings):
        with torch.random.fork_rng([]):
            torch.manual_seed(1000 * place + seed)
            parent = Tiny(torch.nn.Embedding(9, 6), torch.nn.Dropout(0.2), torch.nn.Tanh(), torch.nn.Linear(6, 9))
            parent[3].weight = parent[0].weight if tied else parent[3].weight
            batches = [{"words": torch.randint(9, (5, 3)), "labels": torch.randint(9, (5,))} for _ in range(steps)]
        label = f"{steps} batches, p = {p}, warmup = {warmup}" + ", tied weights" * tied
        yield label, (parent.double().eval(), batches, 0.03, p, warmup)


def what_the_arms_did(two_arms, parent, *arguments):
    """The losses of both, and whether the parent is what it was."""
    before = torch.nn.utils.parameters_to_vector(parent.parameters()).clone()
    losses = two_arms(parent, *arguments)
    if not isinstance(losses, dict) or set(losses) != {"vanilla", "F"}:
        raise TypeError(f'wanted {{"vanilla": [...], "F": [...]}}, got {losses!r:.60}')
    after = torch.nn.utils.parameters_to_vector(parent.parameters())
    facts = {"the parent itself was trained": not torch.equal(before, after)}
    for arm in ("vanilla", "F"):
        seen = torch.stack([torch.as_tensor(loss).detach().float() for loss in losses[arm]])
        facts |= {f"first loss of {arm}": seen[:1], f"loss of {arm}, minus its first": seen - seen[:1]}
    return facts


def arms_with(fault=""):
    """The comparison with AdamW written out, one tensor after the other. Or with a fault: the one that is named."""

    def two_arms(parent, batches, lr, p, warmup):
        losses, model, n = {"vanilla": [], "F": []}, copy.deepcopy(parent), len(batches)
        for arm in losses:
            model = parent if fault == "one parent" else model if fault == "one copy" else copy.deepcopy(parent)
            model.train(fault != "no dropout")
            if arm == "vanilla" or fault != "one seed":
                torch.manual_seed(0)
            mask, w = BernoulliMask(p, seed=0), 0 if (arm, fault) == ("F", "confound") else warmup
            weights = dict(model.named_parameters())
            left, first, second = ({name: torch.zeros_like(x) for name, x in weights.items()} for _ in range(3))
            for i, batch in enumerate(batches):
                loss = model(**batch).loss
                gradients = torch.autograd.grad(loss, list(weights.values()))
                gradients = {name: left[name] + g for name, g in zip(weights, gradients, strict=True)}
                norm = sum(g.square().sum() for g in gradients.values()).sqrt().item()
                rate = lr * min((i + 1) / (w + 1), (n - i) / (n - w))
                for name, x in weights.items():
                    g = gradients[name] / max(1 if fault == "no clip" else norm, 1)
                    if arm == "F":
                        g = g * mask.keep(name, x.shape, step=i) / p
                    left[name] = g * (fault == "piled up")
                    first[name] = 0.9 * first[name] + 0.1 * g
                    second[name] = 0.999 * second[name] + 0.001 * g**2
                    size = (second[name] / (1 - 0.999 ** (i + 1))).sqrt() + 1e-8
                    x.data -= rate * (first[name] / (1 - 0.9 ** (i + 1)) / size + 0.01 * x * (fault == "decay"))
                losses[arm].append(loss.item())
        return losses

    return two_arms


ARMS = Code(
    name="05.1", title="two arms that pair", reference=arms_with(), cases=parents, observe=what_the_arms_did,
    hidden=lambda seed: parents(seed, ((5, 0.4, 2), (3, 1.0, 1)), tied=True),
    tolerance=2e-5,  # rounding leaves 1e-6, and clipping's own 1e-6; every mistake below moves a loss by more
    mistakes=[
        ("F starts at its full rate where vanilla climbs: the confound of the released code.", arms_with("confound")),
        ("The second arm does not begin at the parent: the first arm trained it. Copy it.", arms_with("one parent")),
        ("Both arms train one copy: the second begins where the first ended.", arms_with("one copy")),
        ("The arms drop other units. Where does dropout's random state begin in each?", arms_with("one seed")),
        ("Dropout is off: the parent comes in evaluation mode.", arms_with("no dropout")),
        ("The gradient is longer than it should be where its norm passes 1: clip it.", arms_with("no clip")),
        ("From the second step on, does the gradient of the batch before still lie there?", arms_with("piled up")),
        ("Weights decay where they should not: AdamW does so unless told otherwise.", arms_with("decay")),
    ],
)  # fmt: skip


def recorded(kind, p, layers, generator):
    """Four records of a run: gradients as random numbers, and the mask of that kind."""
    shapes = {"embeddings.words": (90, 20)} | {f"layer.{i}.weight": (80, 100) for i in range(layers)}
    shapes["classifier.weight"] = (2, 200)
    size = {n: (torch.randn(s, generator=generator) - i / 4).exp() for i, (n, s) in enumerate(shapes.items())}
    score = {n: torch.rand(s, generator=generator) for n, s in shapes.items()} if kind == "random child" else size
    lowest = torch.cat([score[n].flatten() for n in shapes if "layer" in n]).quantile(1 - p)

    def masked(name, gradient):
        if kind == "F":
            return gradient * (torch.rand(gradient.shape, generator=generator) < p) / p
        return gradient * (score[name] > lowest) if kind != "vanilla" and "layer" in name else gradient

    for step in range(0, 16, 4):
        drawn = {n: s * torch.randn(s.shape, generator=generator) for n, s in size.items()}
        drawn["embeddings.words"][torch.rand(90, generator=generator) < 0.9] = 0
        yield {"step": step, "layers": gradient_statistics(drawn.items(), masked)}


def runs(seed):
    generator = torch.Generator().manual_seed(seed)
    kinds = (("vanilla", 0), ("F", 0.3), ("D", 0.3), ("F", 0.8), ("D", 0.6), ("random child", 0.3), ("vanilla", 0))
    for place, (kind, p) in enumerate(kinds):
        p, layers = round(p + 0.1 * torch.rand(1, generator=generator).item(), 2), 2 + place % 3
        label = f"run {place}, {layers} layers, " + (kind if kind == "vanilla" else f"{kind} with p = {p}")
        yield label, (list(recorded(kind, p, layers, generator)),)


def by_steps(records):
    """A block without zeros: no mask. The same zeros every time: a child. Else a new mask each time."""
    shares = [record["layers"]["layer 0"]["zeros"] for record in records]
    if all(share == 0 for share in shares):
        return "vanilla"
    return "D" if all(share == shares[0] for share in shares) else "F"


def block(records, layer="layer 0"):
    return records[0]["layers"][layer]


RECIPES = Code(
    name="05.2", title="the recipe, by its gradients alone", reference=by_steps, cases=runs,
    mistakes=[
        ("Vanilla is taken for D, but D is not alone in having a head without zeros.",
         lambda r: "F" if block(r, "head")["zeros"] else "D"),
        ("Vanilla is taken for F. Which zeros need no mask?", lambda r: "D" if by_steps(r) == "D" else "F"),
        ("A child drawn by chance has F's zeros and F's cosine. But what does F do at every step?",
         lambda r: "F" if by_steps(r) == "D" and block(r)["cosine"] ** 2 + block(r)["zeros"] < 1.08 else by_steps(r)),
        ("A large p drops little: look for any zero.", lambda r: by_steps(r) if block(r)["zeros"] > 0.5 else "vanilla"),
        ("Both masks turn the gradient. Which one turns it anew?", lambda r: {"D": "F"}.get(by_steps(r), by_steps(r))),
        ("F and D exchanged: whose mask is drawn once?", lambda r: {"F": "D", "D": "F"}.get(by_steps(r), "vanilla")),
    ],
)  # fmt: skip


def seeds_for(effect=1.5, sd=10.0):
    """The fewest pairs that find this effect four times in five."""
    return 2 + bisect.bisect_left(range(2, 5000), -effect, key=lambda n: -detectable_difference(n, sd))


SEEDS = Number(
    name="05.3", title="how many seeds", measure=seeds_for, tolerance=5, digits=0, near=6,
    mistakes=[
        ("That is the number for the figure: 0.7 points, with pairs that scatter by 1.5.", 39),
        ("That many would find it every second time. Four times in five takes more.", (1.96 * 10 / 1.5) ** 2),
        ("You doubled it. The 10 points are the scatter of a difference already.", 2 * 350.8),
        ("A width falls with the root of n: half the effect takes four times the seeds, not twice.", 2.8 * 10 / 1.5),
        ("That is a one-sided test. It must be able to find a loss as well.", (1.645 + 0.842) ** 2 * 10**2 / 1.5**2),
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
    ends = paired(arm, vanilla)
    fits = isinstance(ends, tuple | list) and len(ends) == 3
    return dict(zip(("mean", "low", "high"), ends, strict=True)) if fits else ends


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


def unpaired(arm, vanilla):
    a, b = ([100 * score for score in column.values()] for column in (arm, vanilla))
    return statistics.mean(a) - statistics.mean(b), *stats.ttest_ind(a, b).confidence_interval()


PAIRS = Code(
    name="05.4", title="the paired interval", reference=from_the_table, cases=scores, observe=named,
    tolerance=0.05,  # points: t may be rounded as in a table
    mistakes=[
        ("You pair by place, but the seeds stand in another order in each arm. Pair by seed.",
         interval_with(pair=lambda a, v: zip(a.values(), v.values(), strict=False))),
        ("Nothing is paired: take the differences first, then their scatter.", unpaired),
        ("1.96 is for many pairs. With few, the scatter itself is uncertain. What pays for it?", interval_with(t=1.96)),
        ("You divided the squares by n. The mean is known: how many vary freely?", interval_with(sd=statistics.pstdev)),
        ("That is how far single pairs scatter. Their mean scatters less: by which factor?", interval_with(root=0)),
        ("The degrees of freedom are one too many.", interval_with(freedom=0)),
        ("That leaves 5% on each side: a 90% interval.", interval_with(level=0.95)),
        ("Points, please: a score of 0.7 is 70 points.", interval_with(scale=1)),
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
