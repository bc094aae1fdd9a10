"""Fisher information: one score for each entry of the masked parameters, from squared gradients.

Three estimators, which differ in what is squared:

- "per_example": the gradient of each example's loss, squared, then averaged. The paper's equation, with the true
  labels; often called the *empirical* Fisher information.
- "per_batch": the gradient of each batch's mean loss, squared, then averaged over batches. What the released code
  computes (ChildTuningD.py): the spread between examples counts less, by the batch size.
- "expected": like per_example, but over labels from the network's own predictions: the Fisher information proper.

Taught in notebook 03. How the per-example squares come at about the cost of a plain pass: `per_example.py`.
"""

from collections.abc import Callable, Iterable

import torch

from .hooks import check_scope, clean_name
from .modes import in_mode
from .per_example import PerExampleSquares
from .recorder import NUMBERED_BLOCK

ESTIMATORS = ("per_example", "per_batch", "expected")


def encoder_scope(name: str) -> bool:
    """The default masked scope: parameters of a network's numbered blocks, such as "bert.encoder.layer.3. ...".

    Embeddings, pooler and head are outside it and always train. It is the paper's scope for BERT, made explicit: the
    released filter `'layer' in name` also matches, or misses, whatever happens to be called so.
    """
    return NUMBERED_BLOCK.search(name) is not None


def scoped_parameters(model: torch.nn.Module, scope: Callable[[str], bool]) -> dict[str, torch.nn.Parameter]:
    """The trainable parameters of the masked scope by name; a scope that matches none is an error."""
    check_scope(scope)
    trainable = {clean_name(name): p for name, p in model.named_parameters() if p.requires_grad}
    chosen = {name: p for name, p in trainable.items() if scope(name)}
    if not chosen:
        names = list(trainable) or ["(no trainable parameter)"]
        raise ValueError(
            f"scope={getattr(scope, '__name__', scope)} matches none of the model's {len(trainable)} trainable "
            f"parameters ({names[0]!r}, ..., {names[-1]!r}). Pass scope=, a predicate on parameter names."
        )
    return chosen


def fisher_scores(
    model: torch.nn.Module,
    batches: Iterable[dict],
    estimator: str = "per_example",
    scope: Callable[[str], bool] = encoder_scope,
    dropout_seed: int | None = None,
    all_ranks: bool = False,
) -> dict[str, torch.Tensor]:
    """Score every entry of the masked scope: the diagonal of the Fisher information (paper, section 2.3).

    Args:
        model: takes `model(**batch)` and returns an object with `.loss` (and `.logits`), as transformers models do.
        batches: dicts of tensors with the examples along dimension 0, "labels" among them; moved to the model's device.
        estimator: "per_example" (default), "per_batch" or "expected"; see above.
        scope: which parameters are scored, a predicate on their names. Default: the encoder's numbered blocks.
        dropout_seed: None scores in evaluation mode. An int scores with dropout on, as the released code does, and
            the seed says which units are dropped: the scores then depend on it.
        all_ranks: under `torchrun`, each process passes its own part of the batches and gets the scores over all parts
            together, so that all choose the same child. Give it the model itself, not its DDP wrapper.

    Returns:
        {parameter name: float32 tensor of the parameter's shape}, in squared units of the loss gradient, averaged over
        examples (batches, for per_batch).

    The model's `.grad`, its training mode and the global random state are left as they were found.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator={estimator!r}: expected one of {', '.join(ESTIMATORS)}")
    if all_ranks and not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        raise ValueError("all_ranks=True without a process group: call torch.distributed.init_process_group first")
    params = scoped_parameters(model, scope)
    device = next(iter(params.values())).device
    scores = {name: torch.zeros(p.shape, dtype=torch.float32, device=device) for name, p in params.items()}
    squares = PerExampleSquares(model, params, scores, expected=estimator == "expected")
    count = 0
    random_state = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with in_mode(model, training=dropout_seed is not None), random_state, torch.enable_grad():
        if dropout_seed is not None:
            torch.manual_seed(dropout_seed)
        for batch in batches:
            batch = {k: v.to(device) if torch.is_tensor(v) else v for k, v in batch.items()}
            if estimator == "per_batch":
                count += _add_squared_batch_gradient(model, batch, params, scores)
            else:
                count += squares.add(batch)
    if all_ranks:
        count = _sum_over_ranks(scores, count, device)
    if count == 0:
        raise ValueError("batches is empty: there is nothing to compute scores from (an iterator that was used up?)")
    for name, score in scores.items():
        if not torch.isfinite(score.div_(count)).all():
            raise ValueError(
                f"the scores of {name!r} are not finite: the loss or its gradient overflowed. Score in float32, or "
                "look for NaN in the batches."
            )
    return scores


def _sum_over_ranks(scores: dict[str, torch.Tensor], count: int, device: torch.device) -> int:
    """Add up the sums of all processes in place; returns all their examples. Every process gets the same bits."""
    total = torch.tensor(count, device=device)
    for tensor in (total, *scores.values()):
        torch.distributed.all_reduce(tensor)
    return int(total)


def _add_squared_batch_gradient(model, batch, params, scores) -> int:
    loss = model(**batch).loss
    if loss is None:
        raise ValueError("batches: model(**batch) returned no loss; each batch needs 'labels'")
    for name, grad in zip(params, torch.autograd.grad(loss, list(params.values()), allow_unused=True), strict=True):
        if grad is not None:
            scores[name] += grad.float() ** 2
    return 1
