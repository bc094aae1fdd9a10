"""Wrong answers to the exercises of notebook 03."""

import torch


def of_true_labels(gradients, labels):
    return torch.stack([gradients[j, label] for j, label in enumerate(labels.tolist())])


def scores_of(gradients, probabilities, labels, size):
    """Right, and so the start of answers with one fault."""
    true = of_true_labels(gradients, labels)
    batches = torch.stack(true.split(size))
    return {
        "per_example": true.square().mean(dim=0),
        "per_batch": batches.mean(dim=1).square().mean(dim=0),
        "expected": torch.einsum("nc,ncw->w", probabilities, gradients.square()) / len(gradients),
    }


def batch_of_squares(gradients, probabilities, labels, size):
    scores = scores_of(gradients, probabilities, labels, size)
    squares = of_true_labels(gradients, labels) ** 2
    return {**scores, "per_batch": torch.stack([part.mean(0) for part in squares.split(size)]).mean(0)}


def batch_sums(gradients, probabilities, labels, size):
    scores = scores_of(gradients, probabilities, labels, size)
    sums = [part.sum(0) ** 2 for part in of_true_labels(gradients, labels).split(size)]
    return {**scores, "per_batch": sum(sums) / len(sums)}


def one_big_batch(gradients, probabilities, labels, size):
    scores = scores_of(gradients, probabilities, labels, size)
    return {**scores, "per_batch": of_true_labels(gradients, labels).mean(0).square()}


def likeliest(gradients, probabilities, labels, size):
    scores = scores_of(gradients, probabilities, labels, size)
    return {**scores, "expected": (of_true_labels(gradients, probabilities.argmax(dim=-1)) ** 2).mean(0)}


def one_draw(gradients, probabilities, labels, size):
    drawn = torch.distributions.Categorical(probs=probabilities).sample()
    scores = scores_of(gradients, probabilities, labels, size)
    return {**scores, "expected": (of_true_labels(gradients, drawn) ** 2).mean(0)}


def times_its_chance(gradients, probabilities, labels, size):
    chance = probabilities.gather(1, labels[:, None])
    scores = scores_of(gradients, probabilities, labels, size)
    return {**scores, "expected": (chance * of_true_labels(gradients, labels) ** 2).mean(0)}


def names_exchanged(gradients, probabilities, labels, size):
    scores = scores_of(gradients, probabilities, labels, size)
    return {**scores, "per_batch": scores["per_example"], "per_example": scores["per_batch"]}


def no_squares(gradients, probabilities, labels, size):
    true = of_true_labels(gradients, labels)
    expected = (probabilities[:, :, None] * gradients).sum(1).mean(0)
    return {"per_example": true.mean(0), "per_batch": true.mean(0), "expected": expected}


def batches_not_squared(gradients, probabilities, labels, size):
    scores = scores_of(gradients, probabilities, labels, size)
    return {**scores, "per_batch": of_true_labels(gradients, labels).view(-1, size, gradients.shape[2]).mean((0, 1))}


def root(gradients, probabilities, labels, size):
    scores = scores_of(gradients, probabilities, labels, size)
    return {**scores, "per_example": scores["per_example"].sqrt()}


def every_nth(gradients, probabilities, labels, size):
    scores, true = scores_of(gradients, probabilities, labels, size), of_true_labels(gradients, labels)
    step = len(true) // size
    return {**scores, "per_batch": sum(true[start::step].mean(0) ** 2 for start in range(step)) / step}


def mean_gradient_over_labels(gradients, probabilities, labels, size):
    mean = (gradients * probabilities.unsqueeze(-1)).sum(1)
    return {**scores_of(gradients, probabilities, labels, size), "expected": (mean * mean).mean(0)}


def labels_alike(gradients, probabilities, labels, size):
    return {**scores_of(gradients, probabilities, labels, size), "expected": gradients.square().mean(1).mean(0)}


def true_labels_again(gradients, probabilities, labels, size):
    scores = scores_of(gradients, probabilities, labels, size)
    return {**scores, "expected": scores["per_example"]}


def no_expected(gradients, probabilities, labels, size):
    scores = scores_of(gradients, probabilities, labels, size)
    del scores["expected"]
    return scores


def sketch(model, batches):
    """The article's loop with its names mended: five faults at once, and the first to mend is named."""
    squares = {name: 0 for name, _ in model.named_parameters()}
    for batch in batches:
        model.zero_grad()
        model(**batch).loss.backward()
        for name, param in model.named_parameters():
            torch.nn.utils.clip_grad_norm_(param, 1.0)
            squares[name] = squares[name] + param.grad**2 / len(batches)
    return squares


def examples_of(batches):
    return [(batch["x"][j, None], batch["labels"][j, None]) for batch in batches for j in range(len(batch["x"]))]


def gradients_of(model, batches):
    """Of each example on its own, by name, stacked; nothing is left behind."""
    names, params = zip(*model.named_parameters(), strict=True)
    rows = [torch.autograd.grad(model(x, y).loss, params) for x, y in examples_of(batches)]
    return {name: torch.stack(of_all) for name, of_all in zip(names, zip(*rows, strict=True), strict=True)}


def never_zeroed(model, batches):
    model.eval()
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for x, y in examples_of(batches):
        model(x, y).loss.backward()
        for name, p in model.named_parameters():
            total[name] += p.grad.square()
    return {name: t / len(examples_of(batches)) for name, t in total.items()}


def sizes_not_squares(model, batches):
    return {name: rows.abs().mean(0) for name, rows in gradients_of(model.eval(), batches).items()}


def sums(model, batches):
    return {name: rows.square().sum(0) for name, rows in gradients_of(model.eval(), batches).items()}


def over_batches(model, batches):
    return {name: (rows**2).sum(0) / len(batches) for name, rows in gradients_of(model.eval(), batches).items()}


def with_dropout(model, batches):
    return {name: (rows**2).mean(0) for name, rows in gradients_of(model, batches).items()}


def switched_dropout_on(model, batches):
    """Draws in another order than a plain pass, so that no planted mistake gives the same numbers."""
    model.train()
    backwards = [{key: value.flip(0) for key, value in batch.items()} for batch in reversed(batches)]
    return {name: (rows**2).mean(0) for name, rows in gradients_of(model, backwards).items()}


def zeroed_for_each_batch(model, batches):
    model.eval()
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for batch in batches:
        model.zero_grad()
        for x, y in examples_of([batch]):
            model(x, y).loss.backward()
            for name, p in model.named_parameters():
                total[name] += p.grad.square() / len(examples_of(batches))
    model.zero_grad()
    return total


def leaves_gradients(model, batches):
    model.eval()
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for x, y in examples_of(batches):
        model.zero_grad()
        model(x, y).loss.backward()
        for name, p in model.named_parameters():
            total[name] += p.grad.square() / len(examples_of(batches))
    return total


def clipped(model, batches):
    model.eval()
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for x, y in examples_of(batches):
        model.zero_grad()
        model(x, y).loss.backward()
        for name, p in model.named_parameters():
            p.grad.mul_(min(1.0, 1 / (p.grad.norm().item() + 1e-6)))
            total[name] += p.grad.square() / len(examples_of(batches))
    model.zero_grad()
    return total


def not_squared(model, batches):
    return {name: rows.mean(0) for name, rows in gradients_of(model.eval(), batches).items()}


def mean_of_means(model, batches):
    parts = [gradients_of(model.eval(), [batch]) for batch in batches]
    return {name: torch.stack([part[name].square().mean(0) for part in parts]).mean(0) for name in parts[0]}


def losses_divided(model, batches):
    model.eval()
    total, count = {name: torch.zeros_like(p) for name, p in model.named_parameters()}, 0
    for batch in batches:
        logits, n = model(**batch).logits, len(batch["labels"])
        losses = torch.nn.functional.cross_entropy(logits, batch["labels"], reduction="none") / n
        for loss in losses:
            gradients = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
            for name, gradient in zip(total, gradients, strict=True):
                total[name] += gradient**2
        count += n
    return {name: value / count for name, value in total.items()}


def by_objects(model, batches):
    names = dict(model.named_parameters())
    return {names[name]: rows.square().mean(0) for name, rows in gradients_of(model.eval(), batches).items()}


def by_number(model, batches):
    return {i: rows.square().mean(0) for i, rows in enumerate(gradients_of(model.eval(), batches).values())}


def without_a_first_dimension(model, batches):
    model.eval()
    names, params = zip(*model.named_parameters(), strict=True)
    rows = [
        torch.autograd.grad(model(**{key: value[j] for key, value in batch.items()}).loss, params)
        for batch in batches
        for j in range(len(batch["labels"]))
    ]
    return {
        name: torch.stack(of_all).square().mean(0) for name, of_all in zip(names, zip(*rows, strict=True), strict=True)
    }


def weights_changed(model, batches):
    scores = {name: rows.square().mean(0) for name, rows in gradients_of(model.eval(), batches).items()}
    for p in model.parameters():
        p.data.mul_(0.9)
    return scores


def root_of_it(model, batches):
    return {name: (rows**2).mean(0).sqrt() for name, rows in gradients_of(model.eval(), batches).items()}


def as_a_list(model, batches):
    return [(rows**2).mean(0) for rows in gradients_of(model.eval(), batches).values()]


def flat_of(scores):
    return torch.cat([scores[name].reshape(-1) for name in scores])


def each_tensor(scores, p):
    masks = {}
    for name, score in scores.items():
        flat = torch.zeros(score.numel(), dtype=torch.bool)
        flat[score.flatten().argsort(descending=True)[: round(p * score.numel())]] = True
        masks[name] = flat.view(score.shape)
    return masks


def with_its_ties(scores, p):
    flat = flat_of(scores)
    k = round(p * flat.numel())
    threshold = flat.kthvalue(flat.numel() - k + 1).values
    return {name: score >= threshold for name, score in scores.items()}


def by_percentile(scores, p):
    import numpy as np

    threshold = float(np.percentile(flat_of(scores).numpy(), 100 * (1 - p)))
    return {name: score >= threshold for name, score in scores.items()}


def pieces(scores, chosen):
    mask = torch.zeros(flat_of(scores).numel(), dtype=torch.bool)
    mask[chosen] = True
    return {n: m.view(s.shape) for (n, s), m in zip(scores.items(), mask.split([s.numel() for s in scores.values()]))}  # noqa: B905


def lowest(scores, p):
    flat = flat_of(scores)
    return pieces(scores, flat.topk(round(p * len(flat)), largest=False).indices)


def drop_share(scores, p):
    flat = flat_of(scores)
    return pieces(scores, flat.topk(round((1 - p) * len(flat))).indices)


def cut_off(scores, p):
    flat = flat_of(scores)
    return pieces(scores, flat.argsort(descending=True)[: int(p * len(flat))])


def above_only(scores, p):
    flat = flat_of(scores)
    threshold = sorted(flat.tolist(), reverse=True)[round(p * len(flat)) - 1]
    return {name: score > threshold for name, score in scores.items()}


def half_up(scores, p):
    flat = flat_of(scores)
    return pieces(scores, flat.argsort(descending=True)[: int(p * len(flat) + 0.5)])


def at_least_one(scores, p):
    flat = flat_of(scores)
    return pieces(scores, flat.topk(max(1, round(p * len(flat)))).indices)


def from_the_end(scores, p):
    flat = flat_of(scores)
    return pieces(scores, flat.argsort()[-round(p * len(flat)) :])


def numbered(scores, p):
    return dict(enumerate(with_its_ties(scores, max(p, 0.02)).values()))


def rounded_up(scores, p):
    flat = flat_of(scores)
    return pieces(scores, flat.argsort(descending=True)[: -int(-p * len(flat) // 1)])


def shuffled(scores, p):
    """The right number, of the wrong entries: joined in one order, split in another."""
    turned = dict(reversed(scores.items()))
    flat = flat_of(turned)
    return pieces(scores, flat.topk(round(p * len(flat))).indices)


def zeros_and_ones(scores, p):
    flat = flat_of(scores)
    masks = pieces(scores, flat.topk(round(p * len(flat))).indices)
    return {name: mask.float() for name, mask in masks.items()}


def positions(scores, p):
    flat = flat_of(scores)
    return flat.topk(round(p * len(flat))).indices


WRONG = {
    "03.1": [
        (batch_of_squares, "square first and average then"),
        (batch_sums, "not their sum"),
        (one_big_batch, "where is `size`?"),
        (batches_not_squared, "the batches' gradients are not squared"),
        (names_exchanged, "have changed places"),
        (no_squares, "Nothing is squared"),
        (likeliest, "likeliest label"),
        (one_draw, "you drew one label"),
        (times_its_chance, "The other labels are missing"),
        (root, "`per_example` differs in"),
        (every_nth, "your batches hold other examples"),
        (mean_gradient_over_labels, "average over the labels before squaring"),
        (labels_alike, "all labels count alike"),
        (true_labels_again, "the empirical score"),
        (no_expected, "`per_batch`, `per_example` where `expected`"),
    ],
    "03.2": [
        (sketch, "opposite pulls cancel first"),
        (clipped, "You clip before you square"),
        (not_squared, "You square nothing"),
        (mean_of_means, "in a short batch each example counts for more"),
        (losses_divided, "by the size of its batch, and square that"),
        (by_objects, "Your keys are the parameter objects"),
        (by_number, "The list of names is '0, 1, 2', wanted 'head, layer_0, layer_1'"),
        (without_a_first_dimension, "has a first dimension"),
        (weights_changed, "A weight was changed: yes, wanted no"),
        (never_zeroed, "add up in `.grad`"),
        (zeroed_for_each_batch, "inside a batch"),
        (sizes_not_squares, "the size of the gradient"),
        (sums, "Your scores are sums"),
        (over_batches, "the number of batches, but"),
        (with_dropout, "Which mode switches it off?"),
        (switched_dropout_on, "Dropout is on: yes, wanted no"),
        (leaves_gradients, "a first training step may add to them"),
        (root_of_it, "`head` differs in"),
        (as_a_list, "is a list, where a dict"),
    ],
    "03.3": [
        (each_tensor, "the share p of each tensor"),
        (with_its_ties, "with ties that is too many"),
        (by_percentile, "A percentile is a value"),
        (lowest, "You take the lowest scores"),
        (drop_share, "a share of 1 - p"),
        (cut_off, "You cut off the decimals"),
        (above_only, "`>` takes one too few"),
        (half_up, "round(12.5) is 12"),
        (at_least_one, "You take at least one entry"),
        (from_the_end, "`[-0:]` is the whole list"),
        (numbered, "The list of names is '0, 1, 2'"),
        (rounded_up, "The number of entries beyond round(p N) is 1, wanted 0"),
        (shuffled, "The sum of the chosen scores is"),
        (zeros_and_ones, "The mask `norm` is 'float32 of shape (5,)', wanted 'bool of shape (5,)'"),
        (positions, "is a Tensor, where a dict"),
    ],
    "03.4": [
        (0.129, "chance if nothing is known"),
        (1 / 4, "the LayerNorms only"),
        (0.1, "the matrix alone"),
        (1, "not the same child"),
        (0.55, "averaged the two shares"),
        (0.194, "entries of both children"),
        (0.4, "0.400 is too high"),
        ("a third", "wanted a number"),
    ],
    "03.5": [
        (0, "arguments are all there"),
        (2, "Training changes the model in place"),
        (3, "Nothing trains after this line"),
        (4, "so no tolerance"),
        (5, "what moved outside the child"),
        ("detach", "none of the choices"),
    ],
}
