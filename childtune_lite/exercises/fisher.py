"""The exercises of notebook 03: three scores, a scoring pass without faults, an exact child, chance, a blind check."""

from functools import partial

import torch

from ..child import Child
from .exercise import Code
from .fisher_pass import SCORING_PASS
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


def of_labels(gradients, labels):
    return gradients[torch.arange(len(labels)), labels]


def but(**wrong):
    """All three right but those named: wrong(gradients, probabilities, the gradients for the true labels, size)."""

    def function(g, p, y, size):
        given = g, p[..., None], of_labels(g, y), size
        return weight_by_weight(g, p, y, size) | {name: of(*given) for name, of in wrong.items()}

    return function


def own_label(g, p, y, size):
    """Only the true label counts in `expected`, with its probability."""
    score = (p[torch.arange(len(y)), y, None] * of_labels(g, y) ** 2).mean(0)
    return weight_by_weight(g, p, y, size) | {"expected": score}


def exchanged(g, p, y, size):
    right = weight_by_weight(g, p, y, size)
    return right | {"per_batch": right["per_example"], "per_example": right["per_batch"]}


OF_BATCHES = [
    ("per_batch: you square first and average then. In a batch the gradients are averaged before anyone squares.",
     lambda g, p, t, size: (t**2).mean(0)),
    ("per_batch: a batch's loss is a mean, so its gradient is the mean of the examples' gradients, not their sum.",
     lambda g, p, t, size: (torch.stack(t.split(size)).sum(1) ** 2).mean(0)),
    ("per_batch: your batches hold other examples. A batch is `size` examples in a row.",
     lambda g, p, t, size: (t.view(size, len(t) // size, -1).mean(0) ** 2).mean(0)),
    ("per_batch: where is `size`? You average over all examples before you square, as if they were one batch.",
     lambda g, p, t, size: t.mean(0) ** 2),
    ("per_batch: the batches' gradients are not squared.", lambda g, p, t, size: t.mean(0)),
]  # fmt: skip
EXPECTED = [
    ("expected: you average over the labels before squaring. That gives zero, for every model.",
     lambda g, p, t, size: ((p * g).sum(1) ** 2).mean(0)),
    ("expected: all labels count alike. How often would the model itself draw each of them?",
     lambda g, p, t, size: (g**2).mean((0, 1))),
    ("expected: you took the true labels. That is the empirical score, and you have it as per_example.",
     lambda g, p, t, size: (t**2).mean(0)),
    ("expected: you took each example's likeliest label. Average over all labels, as often as the model draws them.",
     lambda g, p, t, size: (of_labels(g, p[..., 0].argmax(1)) ** 2).mean(0)),
    ("expected: you drew one label for each example. No draw is needed: average over all labels by their chance.",
     lambda g, p, t, size: (of_labels(g, p[..., 0].multinomial(1)[:, 0]) ** 2).mean(0)),
    ("expected: the gradients are not squared.", lambda g, p, t, size: (p * g).sum(1).mean(0)),
]  # fmt: skip
THREE_SCORES = Code(
    name="03.1", title="three scores from the same gradients", reference=weight_by_weight, cases=gradient_tables,
    hidden=lambda seed: gradient_tables(seed, ((15, 4, 15, torch.float32), (30, 2, 3, torch.float64))),
    observe=lambda function, *arguments: in_order(function(*arguments)),
    because="Without any labels you could compute `expected`, and only that one.",
    mistakes=[
        ("per_batch and per_example have changed places.", exchanged),
        ("Nothing is squared: opposite gradients cancel in all three.",
         but(per_batch=OF_BATCHES[-1][1], expected=EXPECTED[-1][1], per_example=lambda g, p, t, size: t.mean(0))),
        ("expected: you took the true label alone, times its chance. The other labels are missing.", own_label),
        *((words, but(per_batch=wrong)) for words, wrong in OF_BATCHES),
        *((words, but(expected=wrong)) for words, wrong in EXPECTED),
        *((words, but(expected=wrong, per_batch=other)) for words, wrong in EXPECTED for _, other in OF_BATCHES),
    ],
)  # fmt: skip


def score_sets(seed):
    """Tensors of unlike size and scale, names out of order; in some sets many scores are zero, in one none is taken."""
    generator = torch.Generator().manual_seed(seed)
    for p, zeros, dtype, last in (
        (0.62, 0.0, torch.float32, (2, 3, 5)), (0.4, 0.8, torch.float64, (2, 3, 5)),
        (0.36, 0.5, torch.float32, (2, 3, 5)), (0.25, 0.0, torch.float64, (3, 7)), (0.008, 0.0, torch.float32, (3, 7)),
    ):  # fmt: skip
        scores = {}
        for name, shape, scale in (("norm", (5,), 9.0), ("key", (4, 6), 0.5), ("dense", last, 2.0)):
            drawn = scale * torch.rand(shape, generator=generator, dtype=dtype) ** 3
            scores[name] = drawn * (torch.rand(shape, generator=generator) >= zeros)
        n = len(joined(scores))
        words = f"a share of {zeros} of them zero" if zeros else f"p N = {p * n:g}, rounded {round(p * n)}"
        yield f"{n} entries in 3 tensors, p = {p}, {words}", (scores, p)


def looks(mask):
    if not isinstance(mask, torch.Tensor):
        return f"{type(mask).__name__}, no tensor"
    return f"{str(mask.dtype).removeprefix('torch.')} of shape {tuple(mask.shape)}"


def facts_about_a_child(choose_child, scores, p):
    """Of equal scores any may be chosen: so compare how many were, and what their scores add up to."""
    masks = in_order(choose_child(scores, p))
    if masks is None:
        return None
    kinds = {name: looks(masks.get(name)) for name in scores}
    fits = set(masks) == set(scores) and all(kinds[n] == looks(s.bool()) for n, s in scores.items())
    taken = [score[masks[name]] for name, score in scores.items()] if fits else []
    return {
        "the list of names": ", ".join(masks),
        **{f"the mask `{name}`": kind for name, kind in kinds.items()},
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


def from_threshold(scores, p, compare=torch.ge, percentile=False):
    """All scores that reach the k-th highest, or a percentile."""
    ranked = joined(scores).sort(descending=True).values
    threshold = torch.quantile(ranked, 1 - p) if percentile else ranked[round(p * len(ranked)) - 1]
    return {name: compare(score, threshold) for name, score in scores.items()}


def at_none(wrong, outcome):
    """As `wrong`, but for an empty child: there all entries, or an error."""

    def function(scores, p):
        if round(p * len(joined(scores))) > 0:
            return wrong(scores, p)
        if isinstance(outcome, type):
            raise outcome
        return {name: torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}

    return function


CHOICES = [
    ("You take the share p of each tensor. The paper ranks all entries together: some tensors train whole.",
     lambda s, p: {name: in_a_list({name: score}, p)[name] for name, score in s.items()}),
    ("You take all scores that reach the threshold, and with ties that is too many.", from_threshold),
    ("You leave out the threshold's own entry: `>` takes one too few, and with ties many too few.",
     partial(from_threshold, compare=torch.gt)),
    ("You take the lowest scores. That is the control in which the child should fail.",
     partial(in_a_list, largest=False)),
    ("You take a share of 1 - p: p_D is the share that trains.", lambda s, p: in_a_list(s, 1 - p)),
    ("You cut off the decimals of p N. It is to be rounded.", partial(in_a_list, number=int)),
    ("You round halves up. Python's `round` takes them to the even neighbour: round(12.5) is 12.",
     partial(in_a_list, number=lambda x: int(x + 0.5))),
    ("You take at least one entry. Where p N rounds to 0, the child is empty.",
     partial(in_a_list, number=lambda x: max(1, round(x)))),
    *(("A percentile is a value, not a number of entries: between scores it misses by one, at ties by many.",
       partial(from_threshold, compare=compare, percentile=True)) for compare in (torch.ge, torch.gt)),
]  # fmt: skip
EXACT_CHILD = Code(
    name="03.3", title="exactly round(p N) entries", reference=in_a_list, cases=score_sets, observe=facts_about_a_child,
    hidden=lambda seed: [("41 equal scores, p = 0.2", ({"z": torch.ones(8, 5), "a": torch.tensor(1.0)}, 0.2))],
    mistakes=[
        ("With k = 0 you take everything: `[-0:]` is the whole list.", at_none(in_a_list, "all")),
        *CHOICES,
        *((words, at_none(wrong, what)) for words, wrong in CHOICES for what in ("all", IndexError, RuntimeError)),
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
        ("You took the child's share of the network: chance if nothing is known of where children lie.", 4000 / 31_000),
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
