"""The largest Hessian eigenvalue: against the Hessian written out, on a network small enough for it."""

from types import SimpleNamespace

import pytest
import torch
from support import tiny_bert
from torch import nn

from childtune_lite.sharpness import Loss, dot, random_direction, top_eigenvalue, unit


class Toy(nn.Module):
    """Two layers, 23 parameters; a loss that is no mere quadratic."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 1)
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x, labels):
        out = self.second(torch.tanh(self.first(x))).squeeze(-1)
        return SimpleNamespace(loss=((out - labels) ** 2).mean())


def toy_batches(sizes=(5, 2)):
    generator = torch.Generator().manual_seed(1)
    return [{"x": torch.randn(n, 3, generator=generator), "labels": torch.randn(n, generator=generator)} for n in sizes]


def full_hessian(model, batches):
    names = [n for n, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])

    def loss(vector):
        parts = vector.split([s.numel() for s in shapes])
        params = {n: part.view(s) for n, part, s in zip(names, parts, shapes, strict=True)}
        total = sum(len(b["labels"]) for b in batches)
        return sum(
            torch.func.functional_call(model, params, kwargs=b).loss * (len(b["labels"]) / total) for b in batches
        )

    return torch.autograd.functional.hessian(loss, flat)


def test_top_eigenvalue_is_that_of_the_hessian():
    model, batches = Toy(), toy_batches()
    values, vectors = torch.linalg.eigh(full_hessian(model, batches))
    largest = values.abs().argmax()
    found = top_eigenvalue(model, batches, iterations=500, tolerance=1e-7)
    assert found.value == pytest.approx(values[largest].item(), rel=1e-3)
    vector = torch.cat([v.flatten() for v in found.vector.values()])
    assert abs(vector @ vectors[:, largest]).item() == pytest.approx(1, abs=1e-3)


def test_a_negative_eigenvalue_keeps_its_sign():
    class Saddle(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(3))

        def forward(self, labels):
            return SimpleNamespace(loss=(self.w**2 * torch.tensor([1.0, 0.5, -4.0])).sum())

    found = top_eigenvalue(Saddle(), [{"labels": torch.zeros(1)}], iterations=100, tolerance=1e-6)
    assert found.value == pytest.approx(-8.0, rel=1e-3)
    assert len(found.history) < 100
    positive = top_eigenvalue(Saddle(), [{"labels": torch.zeros(1)}], iterations=200, tolerance=1e-7, shift=8.0)
    assert positive.value == pytest.approx(2.0, rel=1e-3)


def test_products_on_a_transformer_agree_with_differences_of_gradients():
    model = tiny_bert().double()
    batch = {"input_ids": torch.arange(1, 13).view(3, 4), "labels": torch.tensor([0, 1, 1])}  # 0 would be padding
    loss = Loss(model, [batch])
    vector = random_direction(loss.params, seed=0)
    product = loss.hessian_product(vector)

    def gradient(step):
        params = {n: (p + step * vector[n]).requires_grad_() for n, p in loss.params.items()}
        value = sum(loss._parts(params))
        parts = torch.autograd.grad(value, list(params.values()), allow_unused=True)
        return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(params.items(), parts, strict=True)}

    plus, minus = gradient(1e-3), gradient(-1e-3)
    difference = {n: (plus[n] - minus[n]) / 2e-3 for n in plus}
    assert dot(unit(product), unit(difference)) == pytest.approx(1, abs=1e-4)
    assert dot(product, product) == pytest.approx(dot(difference, difference), rel=1e-3)


def test_the_network_is_left_as_it_was():
    model, batches = Toy().train(), toy_batches()
    model.first.bias.requires_grad_(False)
    before, state = {n: p.detach().clone() for n, p in model.named_parameters()}, torch.get_rng_state()
    top_eigenvalue(model, batches, iterations=3)
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert not model.first.bias.requires_grad
    assert model.second.bias.requires_grad
    assert torch.equal(state, torch.get_rng_state())


def test_loss_along_a_line():
    model, batches = Toy(), toy_batches()
    loss = Loss(model, batches)
    direction = random_direction(loss.params, seed=2)
    assert dot(direction, direction) == pytest.approx(1, abs=1e-5)
    left, here, right = loss.along(direction, [-0.1, 0.0, 0.1])
    assert here == pytest.approx(loss.value())
    curvature = dot(direction, loss.hessian_product(direction))
    assert (left - 2 * here + right) / 0.01 == pytest.approx(curvature, rel=0.05)


@pytest.mark.parametrize(("change", "names"), [({"batches": []}, "batches"), ({"iterations": 0}, "iterations")])
def test_bad_input_is_named(change, names):
    with pytest.raises(ValueError, match=names):
        top_eigenvalue(**{"model": Toy(), "batches": toy_batches(), **change})


def test_parts_keep_their_own_mode_and_an_error_changes_none():
    model, batches = Toy().train(), toy_batches()
    model.first.eval()  # a part that is kept in evaluation mode while the rest trains
    Loss(model, batches).value()
    assert (model.training, model.first.training, model.second.training) == (True, False, True)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Loss(model, [{**batches[0], "x": torch.zeros(2, 99)}]).value()
    assert (model.training, model.first.training, model.second.training) == (True, False, True)
