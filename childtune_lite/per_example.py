"""Squared gradients of each example, summed over a batch, at about the cost of one plain backward pass.

Autograd gives the gradient of the batch's *sum*; the square must be taken of each example's own. For the common
layers the parts are at hand all the same: a Linear's weight gradient for example b is G_b^T A_b, with A_b what went
into the layer and G_b the gradient of what came out. So forward hooks keep the inputs and outputs, one backward pass
gives every G, and a small product for each example does the rest. (`torch.func.vmap`, the usual road, stops at a
data-dependent branch in transformers 5 encoders.)

Two checks decide when that shortcut may be taken, and one-at-a-time gradients, exact for any network, stand in:
- at the start, one example's gradients are computed directly and compared, parameter by parameter;
- on every batch, the loss must be the mean of a known loss of each example, recomputed from the logits.
"""

from collections import defaultdict

import torch
import torch.nn.functional as F

_COVERED = (torch.nn.Linear, torch.nn.LayerNorm, torch.nn.Embedding)


class PerExampleSquares:
    """Adds the squared gradient of each example to `scores`, {name: float32 tensor of the parameter's shape}.

    Args:
        model, params: the network and its scored parameters by name.
        expected: weigh the gradients over labels from the model's own predictions, instead of the true label.
    """

    def __init__(self, model, params: dict[str, torch.nn.Parameter], scores: dict[str, torch.Tensor], expected: bool):
        self.model, self.params, self.scores, self.expected = model, params, scores, expected
        self.name_of = {id(p): name for name, p in params.items()}
        self.covered = None  # names for which the shortcut holds; known after the first batch

    def add(self, batch: dict) -> int:
        """Take in one batch; returns its number of examples."""
        size = _batch_size(batch)
        if self.covered is None:
            self.covered = self._find_covered(_slice(batch, 0, min(2, size), size), min(2, size))
        output, uses = self._forward_with_hooks(batch, size)
        if not self.expected and not _is_mean_over_examples(output, batch, size):
            self._add_one_at_a_time(batch, size, list(self.params))
            return size
        covered = [name for name in self.params if name in self.covered and uses[name]]
        targets = _targets(output, self.expected)
        for i, (target, weight) in enumerate(targets):
            # The loss is a mean: times the batch size, it holds each example's own gradient.
            _fill_output_gradients(target if self.expected else target * size, uses, last=i == len(targets) - 1)
            for name in covered:
                _add_squares(self.scores[name], uses[name], weight, size)
        rest = [name for name in self.params if name not in covered]
        if rest:
            self._add_one_at_a_time(batch, size, rest)
        return size

    def _forward_with_hooks(self, batch: dict, size: int):
        """Run the model and note, for each scored parameter, in which layers and with which input it was used."""
        uses: dict[str, list[_Use]] = defaultdict(list)

        def keep(module, args, output):
            if not args:  # called by keyword: left to one-at-a-time gradients
                return output
            call = _Call(module, args[0].detach(), output)
            if output.requires_grad and call.input.dim() > 0 and call.input.shape[0] == output.shape[0] == size:
                for which, param in module.named_parameters(recurse=False):
                    if id(param) in self.name_of:
                        uses[self.name_of[id(param)]].append(_Use(call, which))
            return output.clone()  # a later in-place operation must not change what we hold

        owners = [m for m in self.model.modules() if isinstance(m, _COVERED)]
        owners = [m for m in owners if any(id(p) in self.name_of for p in m.parameters(recurse=False))]
        hooks = [module.register_forward_hook(keep) for module in owners]
        try:
            return self.model(**batch), uses
        finally:
            for hook in hooks:
                hook.remove()

    def _find_covered(self, batch: dict, size: int) -> set[str]:
        """The names for which the shortcut gives the first example's gradient. Two examples are enough to tell.

        It fails where a weight is used outside the layers we watch, or where examples are not along dimension 0.
        """
        was_training = self.model.training
        self.model.eval()  # dropout would differ between the two passes
        output, uses = self._forward_with_hooks(batch, size)
        if not self.expected and not _is_mean_over_examples(output, batch, size):
            uses.clear()
        else:
            target, _ = _targets(output, self.expected)[0]
            _fill_output_gradients(target if self.expected else target * size, uses, last=True)
        names = [name for name in self.params if uses[name]]
        params = [self.params[name] for name in names]
        target, _ = _targets(self.model(**_slice(batch, 0, 1, size)), self.expected)[0]
        direct = torch.autograd.grad(target, params, allow_unused=True) if names else []
        self.model.train(was_training)
        largest = max((float(g.abs().max()) for g in direct if g is not None), default=0.0)
        return {name for name, exact in zip(names, direct, strict=True) if _agree(uses[name], exact, largest)}

    def _add_one_at_a_time(self, batch, size: int, names: list[str]) -> None:
        params = [self.params[name] for name in names]
        for b in range(size):
            targets = _targets(self.model(**_slice(batch, b, b + 1, size)), self.expected)
            for i, (target, weight) in enumerate(targets):
                grads = torch.autograd.grad(target, params, retain_graph=i < len(targets) - 1, allow_unused=True)
                for name, grad in zip(names, grads, strict=True):
                    if grad is not None:
                        self.scores[name] += grad.float() ** 2 * (weight[0] if self.expected else 1)


class _Call:
    """One call of a layer: what went in, what came out, and (later) the gradient of what came out."""

    def __init__(self, module, input: torch.Tensor, output: torch.Tensor):
        self.module, self.input, self.output, self.grad = module, input, output, None


class _Use:
    """One use of a parameter: the call of the layer, and which of the layer's parameters it is."""

    def __init__(self, call: _Call, which: str):
        self.call, self.which = call, which

    def gradient(self, b: int, out: torch.Tensor | None = None) -> torch.Tensor:
        """The gradient of example b, float32, in the parameter's shape; written into `out` where that saves time."""
        module, x, grad = self.call.module, self.call.input[b], self.call.grad[b].float()
        if isinstance(module, torch.nn.LayerNorm):
            shape = module.normalized_shape
            grad = grad if self.which == "bias" else grad * F.layer_norm(x.float(), shape, eps=module.eps)
            return grad.reshape(-1, *shape).sum(0)
        grad = grad.reshape(-1, grad.shape[-1])  # (positions, features)
        if self.which == "bias":
            return grad.sum(0)
        if isinstance(module, torch.nn.Linear):
            return torch.mm(grad.T, x.float().reshape(-1, x.shape[-1]), out=out)
        tokens = x.reshape(-1)
        if module.padding_idx is not None:
            grad = grad * (tokens != module.padding_idx).unsqueeze(1)
        return grad.new_zeros(module.weight.shape).index_add_(0, tokens, grad)


def _fill_output_gradients(target: torch.Tensor, uses: dict[str, list[_Use]], last: bool) -> None:
    """One backward pass, to the outputs of the watched layers only: autograd makes no weight gradients."""
    calls = list({id(use.call): use.call for of_one in uses.values() for use in of_one}.values())
    outputs = [call.output for call in calls]
    grads = torch.autograd.grad(target, outputs, retain_graph=not last, allow_unused=True) if outputs else []
    for call, grad in zip(calls, grads, strict=True):
        call.grad = torch.zeros_like(call.output) if grad is None else grad


def _agree(uses: list[_Use], exact: torch.Tensor | None, largest: float) -> bool:
    """Is the shortcut's gradient of one example the direct one, to the precision of the network?

    `largest` is the largest gradient entry in the network: some gradients are zero but for rounding (a key's bias
    in attention shifts all scores alike), and rounding cannot be asked to agree.
    """
    shortcut = sum(use.gradient(0) for use in uses)
    exact = torch.zeros_like(shortcut) if exact is None else exact.float()
    slack = 1e-4 if uses[0].call.output.dtype == torch.float32 else 2e-2
    return bool((shortcut - exact).abs().max() <= slack * exact.abs().max() + 1e-2 * slack * largest)


def _add_squares(score: torch.Tensor, uses: list[_Use], weight: torch.Tensor | None, size: int) -> None:
    """score += sum over examples of weight_b * (sum over uses of the gradient)^2. Uses add up before the square."""
    buffer = torch.empty_like(score)  # one for all examples: fresh memory for each would cost more than the product
    for b in range(size):
        grad = uses[0].gradient(b, buffer)
        for use in uses[1:]:
            grad = grad + use.gradient(b)
        score.addcmul_(grad, grad if weight is None else grad * weight[b])


def _targets(output, expected: bool) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """(scalar to differentiate, weight of each example), one for each label to go through."""
    if not expected:
        return [(output.loss, None)]
    logits = getattr(output, "logits", None)
    if logits is None or logits.dim() != 2:
        raise ValueError(
            "estimator='expected' needs logits of shape (examples, classes) or, for regression, (examples, 1); got "
            f"{None if logits is None else tuple(logits.shape)}. Use estimator='per_example' for this model."
        )
    if logits.shape[1] == 1:  # regression, unit-variance Gaussian: E[(y - f)^2] (df)^2 = (df)^2
        return [(logits.sum(), torch.ones(len(logits), device=logits.device))]
    log_p = F.log_softmax(logits.float(), dim=-1)
    return [(log_p[:, c].sum(), log_p[:, c].detach().exp()) for c in range(logits.shape[1])]


def _is_mean_over_examples(output, batch: dict, size: int) -> bool:
    """Is the loss the plain mean of each example's own loss? Then one backward pass holds each example's gradient."""
    loss, logits, labels = output.loss, getattr(output, "logits", None), batch.get("labels")
    if loss is None:
        raise ValueError("batches: model(**batch) returned no loss; each batch needs 'labels'")
    if size == 1:
        return True
    if logits is None or labels is None or logits.dim() != 2 or labels.shape[0] != size:
        return False
    logits, known = logits.detach().float(), []
    if not labels.is_floating_point() and labels.dim() == 1 and logits.shape[1] > 1 and bool((labels >= 0).all()):
        known.append(F.cross_entropy(logits, labels))
    if labels.numel() == logits.numel():
        known.append(F.mse_loss(logits.flatten(), labels.flatten().float()))
        if labels.is_floating_point():
            known.append(F.binary_cross_entropy_with_logits(logits.flatten(), labels.flatten().float()))
    return any(
        torch.isclose(loss.detach().float(), mean, rtol=1e-2 if loss.dtype != torch.float32 else 1e-4) for mean in known
    )


def _batch_size(batch: dict) -> int:
    for tensor in (batch.get("labels"), *batch.values()):
        if torch.is_tensor(tensor) and tensor.dim() > 0:
            return tensor.shape[0]
    raise ValueError("batches: a batch holds no tensor with examples along dimension 0")


def _slice(batch: dict, start: int, stop: int, size: int) -> dict:
    """Examples start .. stop - 1 of a batch of this size."""
    return {
        k: v[start:stop] if torch.is_tensor(v) and v.dim() > 0 and v.shape[0] == size else v for k, v in batch.items()
    }
