"""Exercise 03.2, a scoring pass without the faults: its models, what is looked at, and the faults one by one."""

from functools import partial
from types import SimpleNamespace

import torch

from .exercise import Code


class Memory(dict):
    """Stays itself when its model is copied: all the mistakes share one run of the model."""

    def __deepcopy__(self, _):
        return self


class Small(torch.nn.Module):
    """Takes batches as transformers models do. `tied`: one tensor under two names, used twice."""

    def __init__(self, classes, generator, dtype, tied):
        super().__init__()
        drawn = (torch.randn(n, 4, generator=generator, dtype=dtype) for n in (4, 4, classes))
        self.layer_0, other, self.head = map(torch.nn.Parameter, drawn)
        self.layer_1 = self.layer_0 if tied else other
        self.dropout = torch.nn.Dropout(0.5)
        self.memory = Memory()

    def forward(self, x, labels):
        if x.dim() != 2:
            raise ValueError(f"x has shape {tuple(x.shape)}. A batch of one example has a first dimension, too")
        logits = self.dropout(torch.tanh(torch.tanh(x @ self.layer_0.T) @ self.layer_1.T)) @ self.head.T
        return SimpleNamespace(logits=logits, loss=torch.nn.functional.cross_entropy(logits, labels))


def models(seed, tied=False):
    """The first in evaluation mode: there no dropout blurs which other fault it is."""
    generator = torch.Generator().manual_seed(seed)
    for sizes, classes, dtype, mode in (
        ((3, 3, 2), 2, torch.float32, "evaluation"),
        ((4, 1), 3, torch.float64, "training"),
        ((2, 4), 2, torch.float32, "training"),
    ):
        model = Small(classes, generator, dtype, tied).train(mode == "training")
        xs = [3 * torch.randn(n, 4, generator=generator, dtype=dtype) for n in sizes]  # some norms are above 1
        batches = [{"x": x, "labels": torch.randint(0, classes, (len(x),), generator=generator)} for x in xs]
        yield f"batches of {sizes}, {classes} classes, {mode} mode" + ", tied weights" * tied, (model, batches)


def kind_of(key):
    return "parameter objects" if isinstance(key, torch.Tensor) else str(key)


def what_a_pass_does(scoring_pass, model, batches):
    """The names, whether dropout was on, the scores, whether gradients are left, and whether a weight was changed."""
    before, seen = {name: p.detach().clone() for name, p in model.named_parameters()}, []
    model.dropout.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    torch.default_generator.manual_seed(0)  # for dropout that should be off
    found = scoring_pass(model, batches)
    if not isinstance(found, dict):
        if found is None:
            return None
        raise TypeError(f"the result is a {type(found).__name__}, where a dict of tensors by name was wanted")
    right = set(found) == set(before)  # with other names nothing else is looked at
    scores = found if right else dict.fromkeys(before, 0.0)
    return {
        "the list of names": ", ".join(sorted(set(map(kind_of, found)))),
        "dropout is on": right and any(seen),
        **{name: scores[name] for name in sorted(scores)},
        "gradients stay in `.grad`": right and any(p.grad is not None for p in model.parameters()),
        "a weight was changed": right and any(not torch.equal(p, before[n]) for n, p in model.named_parameters()),
    }


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


def gradients(model, batches, whole):
    """Of each example, or of each whole batch: the number of its batch, the examples in that, its gradients."""
    if (whole, model.training) in model.memory:
        model.dropout(torch.zeros(1))  # whoever looks whether dropout is on sees it
    else:
        model.memory[whole, model.training] = [
            (place, len(batch["labels"]), torch.autograd.grad(model(**part).loss, list(model.parameters())))
            for place, batch in enumerate(batches)
            for part in ([batch] if whole else cut(batch))
        ]
    return model.memory[whole, model.training]


def cut(batch):
    for j in range(len(batch["labels"])):
        yield {key: value[j : j + 1] for key, value in batch.items()}


POWERS = {"square": torch.square, "size": torch.abs, "sign kept": torch.clone}
SHARES = {  # of one gradient in the score: of `n` in its batch, `N` in all, in `batches` batches
    "1 / N": lambda n, N, batches: 1 / N,
    "1 / batches": lambda n, N, batches: 1 / batches,
    "1": lambda n, N, batches: 1.0,
    "mean of means": lambda n, N, batches: 1 / batches / n,
    "loss / n": lambda n, N, batches: 1 / N / n**2,
}


def a_pass(
    model, batches, whole=False, clip=False, zero="each", power="square", share="1 / N", train=False, leave=False
):
    """A pass by `backward`, played from the gradients. The defaults are right; each mistake sets some of them."""
    model.train(model.training and train)
    of_all = sum(len(batch["labels"]) for batch in batches)
    scores, held, before = [torch.zeros_like(p) for p in model.parameters()], None, None
    for place, n, found in gradients(model, batches, whole):
        if held is None or zero == "each" or (zero == "batch" and place != before):
            held = found
        else:
            held = [old + new for old, new in zip(held, found, strict=True)]
        if clip:
            held = [g * (1 / (g.norm() + 1e-6)).clamp(max=1) for g in held]
        for score, g in zip(scores, held, strict=True):
            score += POWERS[power](g) * SHARES[share](n, of_all, len(batches))
        before = place
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if leave else None
    return {name: score for (name, _), score in zip(model.named_parameters(), scores, strict=True)}


MEAN_FIRST = "You square the mean gradient of a batch: opposite pulls cancel first. Square each example's."
CLIPPED = "You clip before you square. A score takes no step, and the size of the gradient is the information."
BATCH_MEANS = "You average within each batch, then over batches: in a short batch each example counts for more."
PASS_FAULTS = [
    *((MEAN_FIRST, {"whole": True, "share": share, **more})
      for share in ("1 / batches", "1 / N", "1") for more in ({}, {"clip": True}, {"zero": "never"})),
    *((CLIPPED, {"clip": True, "share": share}) for share in ("1 / N", "1 / batches")),
    ("Gradients add up in `.grad` from one example to the next: each must start from none.", {"zero": "never"}),
    ("Gradients add up in `.grad` inside a batch: each example must start from none.", {"zero": "batch"}),
    ("You average the size of the gradient. The score averages its square.", {"power": "size"}),
    ("You square nothing, so opposite pulls cancel. The score averages the squares.", {"power": "sign kept"}),
    ("Your scores are sums. The formula divides by N, the number of examples.", {"share": "1"}),
    ("You divide by the number of batches, but the sum runs over examples.", {"share": "1 / batches"}),
    (BATCH_MEANS, {"share": "mean of means"}),
    ("You divide each example's loss by the size of its batch, and square that. Scored alone, it keeps its whole loss.",
     {"share": "loss / n"}),
]  # fmt: skip
ALONE = [
    ("Gradients stay in `.grad` when you are done: a first training step may add to them.", {"leave": True}),
    ("Dropout is on while you score, so these scores depend on a seed. Which mode switches it off?", {"train": True}),
]
SCORING_PASS = Code(
    name="03.2", title="a scoring pass without the faults", reference=one_loss_each, cases=models,
    hidden=lambda seed: models(seed, tied=True), observe=what_a_pass_does,
    mistakes=[
        ("Your keys are the parameter objects. Use their names: a copy of the model has other objects.",
         lambda model, batches: dict.fromkeys(model.parameters())),
        # With one fault often come those that stand alone below: the first is named, the next at the next try.
        *((words, partial(a_pass, **fault, train=train, leave=leave))
          for words, fault in PASS_FAULTS for train in (False, True) for leave in (False, True)),
        *((words, partial(a_pass, **fault | more)) for words, fault in ALONE for more in ({}, {"train": True})),
    ],
)  # fmt: skip
