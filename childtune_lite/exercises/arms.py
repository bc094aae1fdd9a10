"""Exercise 05.1, two arms that pair: AdamW written out, and what goes wrong between two arms."""

import copy
from types import SimpleNamespace

import torch
from torch.nn.utils import parameters_to_vector

from ..masks import BernoulliMask
from ..parents import draw_head
from .exercise import Code

LR = 0.03


class Tiny(torch.nn.Sequential):
    """Words, dropout, a head; called as the networks of transformers are."""

    base_model, config = property(lambda self: self[:3]), SimpleNamespace(initializer_range=0.02)

    def forward(self, words, labels):
        logits = super().forward(words).mean(1)
        return SimpleNamespace(loss=2 * torch.nn.functional.cross_entropy(logits, labels), logits=logits)


def parents(seed, settings=((4, 0.3, 1), (6, 0.6, 2), (5, 0.2, 3)), tied=False):
    """A parent in evaluation mode, its batches, a rate, a share p and a number of warmup steps."""
    for place, (steps, p, warmup) in enumerate(settings):
        with torch.random.fork_rng([]):
            torch.manual_seed(1000 * place + seed)
            parent = Tiny(torch.nn.Embedding(9, 6), torch.nn.Dropout(0.2), torch.nn.Tanh(), torch.nn.Linear(6, 9))
            parent[3].weight = parent[0].weight if tied else parent[3].weight
            sizes = [2 + 4 * (step % 3) for step in range(steps)]  # so that the gradient's norm passes 1, and does not
            batches = [{"words": torch.randint(9, (n, 3)), "labels": torch.randint(9, (n,))} for n in sizes]
        label = f"{steps} batches, p = {p}, warmup = {warmup}" + ", tied weights" * tied
        yield label, (parent.double().eval(), batches, LR, p, warmup)


def what_the_arms_did(two_arms, parent, batches, *arguments):
    """The losses of both, and whether the parent is what it was."""
    before = parameters_to_vector(parent.parameters()).clone()
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        begin = copy.deepcopy(parent).train()(**batches[0]).loss.item()
    losses = two_arms(parent, batches, *arguments)
    if not isinstance(losses, dict) or set(losses) != {"vanilla", "F"}:
        raise TypeError(f'wanted {{"vanilla": [...], "F": [...]}}, got {losses!r:.60}')
    if not all(hasattr(loss, "__len__") and len(loss) == len(batches) for loss in losses.values()):
        raise TypeError("wanted a list for each arm, with the loss of each step")
    facts = {"the parent itself was trained": not before.equal(parameters_to_vector(parent.parameters()))}
    for arm, known in (("vanilla", ""), ("F", "vanilla is right, but ")):
        seen = torch.stack([torch.as_tensor(loss).detach().float() for loss in losses[arm]])
        first = abs(seen[0].item() - begin) < 2e-5
        facts |= {f"{known}{arm} begins with the loss of the parent after `torch.manual_seed(0)`": first}
        facts |= {f"{known}the further loss of {arm}": seen - seen[:1]}
    return facts


def climb_and_fall(i, n, w):
    return min((i + 1) / (w + 1), (n - i) / (n - w))


def arms_with(fault="", rate=climb_and_fall, seed=0, masked=("F",)):
    """The comparison with AdamW written out, one tensor after the other. Or with a fault: the one that is named."""

    def two_arms(parent, batches, lr, p, warmup):
        losses, model, n = {"vanilla": [], "F": []}, copy.deepcopy(parent), len(batches)
        p = 1 - p if fault == "drop rate" else p
        for arm in losses:
            model = parent if fault == "one parent" else model if fault == "one copy" else copy.deepcopy(parent)
            model = (draw_head(model, 0) if fault == "new head" else model).train(fault != "no dropout")
            if arm == "vanilla" or fault != "one seed":
                torch.manual_seed(seed)
            mask = BernoulliMask(p, seed=int(fault == "mask seed"))
            w, weights = 0 if (arm, fault) == ("F", "confound") else warmup, dict(model.named_parameters())
            left, first, second = ({name: torch.zeros_like(x) for name, x in weights.items()} for _ in range(3))
            for i, batch in enumerate(batches):
                loss = model(**batch).loss
                gradients = torch.autograd.grad(loss, list(weights.values()))
                gradients = {name: left[name] + g for name, g in zip(weights, gradients, strict=True)}
                norm = sum(g.square().sum() for g in gradients.values()).sqrt().item()
                for place, (name, x) in enumerate(weights.items()):
                    g = gradients[name] / max(1 if fault == "no clip" else norm, 1)
                    if arm in masked:
                        g = g * mask.keep(f"0.{place}" if fault == "places" else name, x.shape, step=i) / p
                    left[name] = g * (fault == "piled up")
                    first[name] = 0.9 * first[name] + 0.1 * g
                    second[name] = 0.999 * second[name] + 0.001 * g**2
                    size = (second[name] / (1 - 0.999 ** (i + 1))).sqrt() + 1e-8
                    step = first[name] / (1 - 0.9 ** (i + 1)) / size + 0.01 * x * (fault == "decay")
                    x.data -= lr * rate(i, n, w) * step
                losses[arm].append(loss.item())
        return losses

    return two_arms


SCHEDULES = {
    "Your rate is constant: there is no schedule in it.": lambda i, n, w: 1,
    "Your rate stays that of step 0. Does the schedule step?": lambda i, n, w: 1 / (w + 1),
    "Your rates fall from the first step on: no warmup.": lambda i, n, w: 1 - i / n,
    "Your rates are those of section 3: for 4 steps, and without warmup.": lambda i, n, w: 1 - i / 4,
    "Your climb is a step late: the first rate is not 0.": lambda i, n, w: min(i / w, (n - i) / (n - w)),
    "Your climb is a step early: it takes w + 1 steps.": lambda i, n, w: min((i + 1) / w, (n - i) / (n - w)),
    "Your fall is a step early: the last rate is not 0.": lambda i, n, w: min((i + 1) / (w + 1), (n - i - 1) / (n - w)),
    "Your fall does not begin at the full rate.": lambda i, n, w: (i + 1) / (w + 1) if i < w else (n - i) / n,
    "Your rate does not fall after the warmup.": lambda i, n, w: min((i + 1) / (w + 1), 1),
    "Each rate comes a step early. Does the optimizer step first?": lambda i, n, w: climb_and_fall(i + 1, n, w),
    "Your rates hold `lr` twice: the schedule gives a factor only.": lambda i, n, w: LR * climb_and_fall(i, n, w),
    "`warmup` counts steps here, and is no share of them.": lambda i, n, w: (
        (i + 1) / (w * n + 1) / (w > 1)
    ),  # divides by 0
}
ARMS = Code(
    name="05.1", title="two arms that pair", reference=arms_with(), cases=parents, observe=what_the_arms_did,
    hidden=lambda seed: parents(seed, ((5, 0.4, 2), (3, 1.0, 1)), tied=True),
    tolerance=2e-5,  # rounding leaves 1e-6, and clipping's own 1e-6; every mistake below moves a loss by more
    mistakes=[
        ("F starts at its full rate where vanilla climbs: the confound of the released code.", arms_with("confound")),
        ("The second arm does not begin at the parent: the first arm trained it. Copy it.", arms_with("one parent")),
        ("Both arms train one copy: the second begins where the first ended.", arms_with("one copy")),
        ("The arms drop other units. Where does dropout's random state begin in each?", arms_with("one seed")),
        ("Both arms drop the same units, but not those of `torch.manual_seed(0)`.", arms_with(seed=1)),
        ("Dropout is off: the parent comes in evaluation mode.", arms_with("no dropout")),
        ("You drew a new head: the parent has its own already.", arms_with("new head")),
        ("Both arms are the same: the mask sits on neither.", arms_with(masked=())),
        ("Both arms are the same: the mask sits on both.", arms_with(masked=("vanilla", "F"))),
        ("A valid mask, but another draw: attach it with the model, so that weights have names.", arms_with("places")),
        ("A valid mask, but another draw: which seed should it have?", arms_with("mask seed")),
        ("F keeps a share of 1 - p: p is the share that stays.", arms_with("drop rate")),
        ("The gradient is longer than it should be where its norm passes 1: clip it.", arms_with("no clip")),
        ("From the second step on, does the gradient of the batch before still lie there?", arms_with("piled up")),
        ("Weights decay where they should not: AdamW does so unless told otherwise.", arms_with("decay")),
        *((words, arms_with(rate=rate)) for words, rate in SCHEDULES.items()),
    ],
)  # fmt: skip
