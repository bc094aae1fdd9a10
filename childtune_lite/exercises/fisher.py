"""The exercises of notebook 03: three scores, a scoring pass without faults, an exact child, chance, a blind check."""

from functools import partial
from types import SimpleNamespace

import torch

from ..child import Child
from .exercise import Code
from .quiz import Choice, Number


def in_order(result):
    """Named results in one order, whatever order the learner's dict has. None is reported by the comparison."""
    if not isinstance(result, dict | None):
        raise TypeError(f"the result is a {type(result).__name__}, where a dict of tensors by name was wanted")
    return result and {str(name): result[name] for name in sorted(result, key=str)}


def gradient_tables(seed, sizes=((8, 2, 2, torch.float32), (12, 3, 4, torch.float64), (6, 5, 1, torch.float32))):
    """Softmax regression: the gradient of each example's loss for each label it might have."""
    generator = torch.Generator().manual_seed(seed)
    for n, classes, size, dtype in sizes:
        x, w = (torch.randn(rows, 3, generator=generator, dtype=dtype) for rows in (n, classes))
        p = torch.softmax(x @ w.T, -1)
        labels = torch.randint(0, classes, (n,), generator=generator)
        table = ((p[:, None, :] - torch.eye(classes))[..., None] * x[:, None, None, :]).flatten(2)
        yield f"{n} examples, {classes} classes, batches of {size}", (table, p, labels, size)


def weight_by_weight(gradients, probabilities, labels, size):
    """The slow way, in Python numbers: one weight, one example, one label after the other."""
    n, classes, weights = gradients.shape
    g, p, y = gradients.tolist(), probabilities.tolist(), labels.tolist()
    scores = {"expected": [], "per_batch": [], "per_example": []}
    for i in range(weights):
        true = [g[j][y[j]][i] for j in range(n)]
        means = [sum(true[start : start + size]) / size for start in range(0, n, size)]
        scores["per_example"].append(sum(t * t for t in true) / n)
        scores["per_batch"].append(sum(m * m for m in means) / len(means))
        scores["expected"].append(sum(p[j][c] * g[j][c][i] ** 2 for j in range(n) for c in range(classes)) / n)
    return {name: torch.tensor(score, dtype=gradients.dtype) for name, score in scores.items()}


def but(name, wrong):
    """All three right but one: wrong(gradients, probabilities, the gradients for the true labels, size)."""

    def function(g, p, y, size):
        return weight_by_weight(g, p, y, size) | {name: wrong(g, p[..., None], g[torch.arange(len(y)), y], size)}

    return function


THREE_SCORES = Code(
    name="03.1", title="three scores from the same gradients", reference=weight_by_weight, cases=gradient_tables,
    hidden=lambda seed: gradient_tables(seed, ((15, 4, 15, torch.float32), (30, 2, 3, torch.float64))),
    observe=lambda function, *arguments: in_order(function(*arguments)),
    mistakes=[
        ("per_batch: you square first and average then. In a batch the gradients are averaged before anyone squares.",
         but("per_batch", lambda g, p, t, size: (t**2).mean(0))),
        ("per_batch: a batch's loss is a mean, so its gradient is the mean of the examples' gradients, not their sum.",
         but("per_batch", lambda g, p, t, size: (torch.stack(t.split(size)).sum(1) ** 2).mean(0))),
        ("per_batch: your batches hold other examples. A batch is `size` examples in a row.",
         but("per_batch", lambda g, p, t, size: (t.view(size, len(t) // size, -1).mean(0) ** 2).mean(0))),
        ("expected: you average over the labels before squaring. That gives zero, for every model.",
         but("expected", lambda g, p, t, size: ((p * g).sum(1) ** 2).mean(0))),
        ("expected: all labels count alike. How often would the model itself draw each of them?",
         but("expected", lambda g, p, t, size: (g**2).mean((0, 1)))),
        ("expected: you took the true labels. That is the empirical score, and you have it as per_example.",
         but("expected", lambda g, p, t, size: (t**2).mean(0))),
    ],
)  # fmt: skip


class Small(torch.nn.Module):
    """Takes batches as transformers models do. `tied`: one tensor under two names, used twice."""

    def __init__(self, classes, generator, dtype, tied):
        super().__init__()
        drawn = (torch.randn(n, 4, generator=generator, dtype=dtype) for n in (4, 4, classes))
        self.layer_0, other, self.head = map(torch.nn.Parameter, drawn)
        self.layer_1 = self.layer_0 if tied else other
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x, labels):
        logits = self.dropout(torch.tanh(torch.tanh(x @ self.layer_0.T) @ self.layer_1.T)) @ self.head.T
        return SimpleNamespace(logits=logits, loss=torch.nn.functional.cross_entropy(logits, labels))


def models(seed, tied=False):
    generator = torch.Generator().manual_seed(seed)
    for sizes, classes, dtype, mode in (
        ((3, 3, 2), 2, torch.float32, "evaluation"),
        ((4, 1), 3, torch.float64, "training"),
        ((2, 4), 2, torch.float32, "training"),
    ):
        model = Small(classes, generator, dtype, tied).train(mode == "training")
        xs = [torch.randn(n, 4, generator=generator, dtype=dtype) for n in sizes]
        batches = [{"x": x, "labels": torch.randint(0, classes, (len(x),), generator=generator)} for x in xs]
        yield f"batches of {sizes}, {classes} classes, {mode} mode" + ", tied weights" * tied, (model, batches)


def what_a_pass_does(scoring_pass, model, batches):
    """The scores, whether dropout was on, and whether gradients are left."""
    seen = []
    model.dropout.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    torch.manual_seed(0)  # for dropout that should be off
    found = in_order(scoring_pass(model, batches))
    left = any(parameter.grad is not None for parameter in model.parameters())
    return found if found is None else {"dropout is on": any(seen), **found, "gradients stay in `.grad`": left}


def one_loss_each(model, batches):
    """One forward pass a batch, then the loss of each example on its own from the logits."""
    model.eval()
    squares = {name: [] for name, _ in model.named_parameters()}
    for batch in batches:
        log_p = model(**batch).logits.log_softmax(-1)
        for j, label in enumerate(batch["labels"].tolist()):
            for name, parameter in model.named_parameters():
                squares[name].append(torch.autograd.grad(-log_p[j, label], parameter, retain_graph=True)[0].square())
    return {name: torch.stack(of_all).mean(0) for name, of_all in squares.items()}


def by_backward(model, batches, whole=False, zero="each", power=2, over="examples", train=False, leave=False):
    """A pass by `backward`. The defaults are right; each mistake sets some of them."""
    model.train(model.training and train)
    parts = {"examples": sum(len(batch["labels"]) for batch in batches), "batches": len(batches), "nothing": 1}[over]
    squares = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    for batch in batches:
        for j in [slice(None)] if whole else [slice(j, j + 1) for j in range(len(batch["labels"]))]:
            if zero == "each" or (zero == "batch" and j.start == 0):
                model.zero_grad()
            model(**{key: value[j] for key, value in batch.items()}).loss.backward()
            for name, parameter in model.named_parameters():
                squares[name] += parameter.grad.abs() ** power / parts
    if not leave:
        model.zero_grad()
    return squares


MEAN_FIRST = "You square the mean gradient of a batch: opposite pulls cancel first. Square each example's."
PASS_FAULTS = [
    (MEAN_FIRST, {"whole": True, "over": "batches"}),
    (MEAN_FIRST, {"whole": True}),
    ("Gradients add up in `.grad` from one example to the next: each must start from none.", {"zero": "never"}),
    ("Gradients add up in `.grad` inside a batch: each example must start from none.", {"zero": "batch"}),
    ("You average the size of the gradient. The score averages its square.", {"power": 1}),
    ("Your scores are sums. The formula divides by N, the number of examples.", {"over": "nothing"}),
    ("You divide by the number of batches, but the sum runs over examples.", {"over": "batches"}),
    ("Dropout is on while you score, so these scores depend on a seed. Which mode switches it off?", {"train": True}),
    ("Right scores, but gradients stay in `.grad`, where a first training step may add to them.", {"leave": True}),
]
SCORING_PASS = Code(
    name="03.2", title="a scoring pass without the faults", reference=one_loss_each, cases=models,
    hidden=lambda seed: models(seed, tied=True), observe=what_a_pass_does,
    mistakes=[(words, partial(by_backward, **{"leave": leave, **fault}))  # with one fault often comes the last one
              for words, fault in PASS_FAULTS for leave in (False, True)],
)  # fmt: skip


def score_sets(seed):
    """Tensors of unlike size and scale, names out of order; in some sets many scores are zero."""
    generator = torch.Generator().manual_seed(seed)
    for p, zeros, dtype in ((0.62, 0.0, torch.float32), (0.4, 0.8, torch.float64), (0.36, 0.5, torch.float32)):
        scores = {}
        for name, shape, scale in (("norm", (5,), 9.0), ("key", (4, 6), 0.5), ("dense", (2, 3, 5), 2.0)):
            drawn = scale * torch.rand(shape, generator=generator, dtype=dtype) ** 3
            scores[name] = drawn * (torch.rand(shape, generator=generator) >= zeros)
        yield f"59 entries in 3 tensors, p = {p}" + f", a share of {zeros} of them zero" * (zeros > 0), (scores, p)


def facts_about_a_child(choose_child, scores, p):
    """Of equal scores any may be chosen: so compare how many were, and what their scores add up to."""
    masks = in_order(choose_child(scores, p))
    if masks is None or set(masks) != set(scores):
        return masks
    fits = all(getattr(masks[n], "dtype", 0) == torch.bool and masks[n].shape == s.shape for n, s in scores.items())
    taken = [score[masks[name]] for name, score in scores.items()] if fits else []
    return {
        "every mask is bool and has the shape of its scores": fits,
        "the number of entries beyond round(p N)": sum(map(len, taken)) - round(p * len(joined(scores))),
        "the sum of the chosen scores": sum(score.double().sum().item() for score in taken),
    }


def in_a_list(scores, p, number=round, largest=True):
    """All entries in one sorted list of (score, name, place)."""
    entries = [(v, name, i) for name, score in scores.items() for i, v in enumerate(score.flatten().tolist())]
    entries.sort(key=lambda entry: entry[0], reverse=largest)
    masks = {name: torch.zeros(score.numel(), dtype=torch.bool) for name, score in scores.items()}
    for _, name, place in entries[: number(p * len(entries))]:
        masks[name][place] = True
    return {name: mask.view(scores[name].shape) for name, mask in masks.items()}


def joined(scores):
    return torch.cat([score.flatten() for score in scores.values()])


EXACT_CHILD = Code(
    name="03.3", title="exactly round(p N) entries", reference=in_a_list, cases=score_sets, observe=facts_about_a_child,
    hidden=lambda seed: [("41 equal scores, p = 0.2", ({"z": torch.ones(8, 5), "a": torch.tensor(1.0)}, 0.2))],
    mistakes=[
        ("You take the share p of each tensor. The paper ranks all entries together: some tensors train whole.",
         lambda s, p: {name: in_a_list({name: score}, p)[name] for name, score in s.items()}),
        ("You take all scores that reach the threshold, and with ties that is too many.",
         lambda s, p: {n: v >= joined(s).topk(round(p * len(joined(s))))[0][-1] for n, v in s.items()}),
        ("A percentile is a value, not a number of entries: between scores it misses by one, at ties by many.",
         lambda s, p: {name: score >= torch.quantile(joined(s), 1 - p) for name, score in s.items()}),
        ("You take the lowest scores. That is the control in which the child should fail.",
         partial(in_a_list, largest=False)),
        ("You take a share of 1 - p: p_D is the share that trains.", lambda s, p: in_a_list(s, 1 - p)),
        ("You cut off the decimals of p N. It is to be rounded.", partial(in_a_list, number=int)),
    ],
)  # fmt: skip


def overlap_of_equal_maps(pairs=20):
    """Children that take all of 1,000 entries, and 3,000 of 30,000 by chance: the mean overlap of two."""
    generator = torch.Generator().manual_seed(3)
    drawn = (torch.rand(30_000, generator=generator) for _ in range(2 * pairs))
    children = [Child.top({"norms": torch.full((1000,), 2.0), "matrix": d}, p=4000 / 31_000) for d in drawn]
    return sum(one.overlap(two) for one, two in zip(children[::2], children[1::2], strict=True)) / pairs


SAME_MAP = Number(
    name="03.4", title="the same map by chance", measure=overlap_of_equal_maps, digits=3,
    tolerance=0.01, near=0.005,  # ten standard errors of the measurement, and five
    mistakes=[
        ("You took p_D. That is chance when nothing is known of where the children lie.", 4000 / 31_000),
        ("You counted the LayerNorms only. In the matrix the two meet by chance, now and then.", 0.25),
        ("That is the matrix alone. The LayerNorm entries are in the child too.", 0.1),
        ("The same map is not the same child: inside the matrix the entries differ.", 1.0),
        ("You averaged the two shares. How many entries of the child stand behind each?", 0.55),
        ("You divided by the entries of both children. The overlap is a share of the first child.", 1300 / 6700),
    ],
)  # fmt: skip
BLIND_CHECK = Choice(
    name="03.5", title="the check that never fails", right=1,
    because="`detach` makes no copy: `before` is the very memory that training writes into. It wants `.clone()`.",
    wrong={
        0: "The arguments are all there: `train` may be any function that trains the model it is given.",
        2: "Training changes the model in place, and that is what is to be checked.",
        3: "Nothing trains after this line, so these tensors may well be the model's own.",
        4: "Bit by bit, so no tolerance. And outside the scope all may move: right to leave it out.",
        5: "`~` turns the mask, so that this counts what moved outside the child, as the name says.",
    },
)  # fmt: skip
EXERCISES = [THREE_SCORES, SCORING_PASS, EXACT_CHILD, SAME_MAP, BLIND_CHECK]
