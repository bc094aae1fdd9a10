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
    """The article's loop with its names mended."""
    model.eval()
    squares = {name: 0 for name, _ in model.named_parameters()}
    for batch in batches:
        model.zero_grad()
        model(**batch).loss.backward()
        for name, param in model.named_parameters():
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
        (one_big_batch, "Per_batch differs in"),
        (every_nth, "your batches hold other examples"),
        (mean_gradient_over_labels, "average over the labels before squaring"),
        (labels_alike, "all labels count alike"),
        (true_labels_again, "the empirical score"),
        (no_expected, "per_batch, per_example where expected"),
    ],
    "03.2": [
        (sketch, "opposite pulls cancel first"),
        (never_zeroed, "add up in `.grad`"),
        (zeroed_for_each_batch, "inside a batch"),
        (sizes_not_squares, "the size of the gradient"),
        (sums, "Your scores are sums"),
        (over_batches, "the number of batches, but"),
        (with_dropout, "Which mode switches it off?"),
        (switched_dropout_on, "Dropout is on: yes, wanted no"),
        (leaves_gradients, "a first training step may add to them"),
        (root_of_it, "Head differs in"),
        (as_a_list, "is a list, where a dict"),
    ],
    "03.3": [
        (each_tensor, "the share p of each tensor"),
        (with_its_ties, "with ties that is too many"),
        (by_percentile, "A percentile is a value"),
        (lowest, "You take the lowest scores"),
        (drop_share, "a share of 1 - p"),
        (cut_off, "You cut off the decimals"),
        (rounded_up, "The number of entries beyond round(p N) is 1, wanted 0"),
        (shuffled, "The sum of the chosen scores is"),
        (zeros_and_ones, "Every mask is bool and has the shape of its scores: no"),
        (positions, "is a Tensor, where a dict"),
    ],
    "03.4": [
        (0.129, "when nothing is known"),
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
