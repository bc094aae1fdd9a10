"""A toy that holds one piece at a time, and what two updates in pieces did: the observation of exercise 06.2."""

from types import SimpleNamespace

import torch
from torch.nn.utils import clip_grad_norm_, get_total_norm, parameters_to_vector

from ..masks import BernoulliMask


class Regression(torch.nn.Sequential):
    """Called as the networks of transformers are. `seen` is the type of its last product. It has room for one piece."""

    seen, waiting = None, False

    def forward(self, inputs, labels):
        if len(inputs) > 4:
            raise MemoryError("more than one piece does not fit")
        if self.waiting and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("the graph of an earlier piece is still held")
        outputs = super().forward(inputs)
        self.seen = outputs.dtype
        if outputs.requires_grad:
            self.waiting = True
            outputs.register_hook(self.went_back)
        return SimpleNamespace(loss=torch.nn.functional.mse_loss(outputs.float(), labels))

    def went_back(self, _):
        self.waiting = False


class Watched(torch.amp.GradScaler):
    """An ordinary scaler that remembers what was asked of it last."""

    last = None

    def scale(self, outputs):
        self.last = "scale"
        return super().scale(outputs)

    def step(self, *arguments, **named):
        result = super().step(*arguments, **named)
        self.last = "step"
        return result

    def update(self, new_scale=None):
        super().update(new_scale)
        self.last = "update"


def batches_in_pieces(seed, settings=((2, 0.5, 0), (4, 0.3, 0), (3, 0.4, 1e5)), tied=False):
    """A network, two batches in pieces, p. In the third case one label of the first batch makes float16 overflow."""
    for place, (n, p, outlier) in enumerate(settings):
        with torch.random.fork_rng([]):
            torch.manual_seed(1000 * place + seed)
            model = Regression(torch.nn.Linear(6, 6), torch.nn.Tanh(), torch.nn.Linear(6, 6))
            model[2].weight = model[0].weight if tied else model[2].weight
            pieces = [{"inputs": torch.randn(4, 6), "labels": 3 + 4 * torch.randn(4, 6)} for _ in range(2 * n)]
        pieces[0]["labels"][0, 0] += outlier
        label = f"{n} pieces, p = {p}" + ", tied weights" * tied + ", an infinite gradient first" * bool(outlier)
        yield label, (model, [pieces[:n], pieces[n:]], p)


def what_two_updates_did(scaled_step, model, batches, p):
    optimizer, mask = torch.optim.SGD(model.parameters(), lr=1.0), BernoulliMask(p, seed=0)
    mask.attach(optimizer, model)
    scaler, norms = Watched("cpu", init_scale=1024.0), []
    before = parameters_to_vector(model.parameters()).detach()
    for pieces in batches:
        norm = scaled_step(model, pieces, optimizer, scaler)
        if norm is None:
            return None
        norms.append(float(norm))
        if scaler.last != "update":
            break  # the next step would only stumble over it
    norms, weights = torch.tensor(norms), parameters_to_vector(model.parameters()).detach()
    return {
        "the scaler is used": scaler.last is not None,
        "each step ends with `scaler.update()`, a skipped one too": scaler.last == "update",
        "the type of the products": str(model.seen).removeprefix("torch."),
        "the first norm": "finite" if norms[0].isfinite() else "not finite",
        "the weights moved": not torch.equal(before, weights),
        "masks used up": mask.step,
        "loss scale": scaler.get_scale(),
        "norms": norms,
        "weights": weights,
    }


def by_hand(model, pieces, optimizer, scaler):
    """The scaler's part in plain arithmetic: look for infinities, then step or halve the scale."""
    weights, scale = list(model.parameters()), scaler.get_scale()
    total = [torch.zeros_like(weight) for weight in weights]
    for piece in pieces:
        with torch.autocast("cpu", torch.float16):
            loss = scaler.scale(model(**piece).loss)
        for so_far, gradient in zip(total, torch.autograd.grad(loss, weights), strict=True):
            so_far += gradient / scale / len(pieces)
    norm = sum(gradient.square().sum() for gradient in total).sqrt()
    scaler.update(scale if norm.isfinite() else scale / 2)
    if norm.isfinite():
        for weight, gradient in zip(weights, total, strict=True):
            weight.grad = gradient / norm.clamp(min=1)
        optimizer.step()
        optimizer.zero_grad()
    return norm.item()


def finish(model, optimizer, scaler, fault):
    """All that comes after the last backward pass, with the fault that is named."""
    if fault == "cleared first":
        optimizer.zero_grad()
    for weight in model.parameters() if fault == "twice" else ():
        weight.grad /= scaler.get_scale()
    if fault not in ("early", "twice", "no scaler"):
        scaler.unscale_(optimizer)
    for weight in model.parameters() if fault == "hidden" else ():
        weight.grad.nan_to_num_(0, 0, 0)
    if fault == "late":
        scaler.step(optimizer)
    norm = clip_grad_norm_(model.parameters(), 1e9 if fault == "long" else 1.0)
    if fault == "after":
        norm = get_total_norm([weight.grad for weight in model.parameters()])
    if fault == "cleared early":
        optimizer.zero_grad()
    if fault in ("unguarded", "no scaler"):
        optimizer.step()
    elif fault != "late":
        scaler.step(optimizer)
    if fault != "no scaler":
        scaler.update()
    if fault != "piled up":
        optimizer.zero_grad()
    return norm.item()


def step_with(fault):
    """A step in pieces with the fault that is named."""
    kind = fault if fault in ("float32", "bfloat16") else "float16"

    def scaled_step(model, pieces, optimizer, scaler):
        total = 0.0
        for piece in pieces:
            if fault == "last piece":
                optimizer.zero_grad()
            with torch.autocast("cpu", getattr(torch, kind) if kind != "float32" else None, enabled=kind != "float32"):
                loss = model(**piece).loss
            loss = loss if fault in ("sum", "each piece") else loss / len(pieces)
            if fault == "held":
                total = total + loss
                continue
            (loss if fault == "no scaler" else scaler.scale(loss)).backward()
            norm = finish(model, optimizer, scaler, fault) if fault == "each piece" else None
        if fault == "held":
            scaler.scale(total).backward()
        return norm if fault == "each piece" else finish(model, optimizer, scaler, fault)

    return scaled_step
