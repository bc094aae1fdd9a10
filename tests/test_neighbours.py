"""BitFit, LoRA, Mixout and decay toward the parent: each against its definition."""

import copy

import pytest
import torch
from support import backward, tiny_bert
from torch import nn
from torch.nn.utils import parametrize

from childtune_lite import neighbours
from childtune_lite.neighbours import Mixout, bitfit, fold, head_names, lora, mixout, pull_to_parent


def test_mixout_is_its_definition_and_keeps_the_mean():
    """Lee et al.: (m w0 + (1 - m) w - q w0) / (1 - q), m ~ Bernoulli(q); the mean over m is w."""
    parent, weight, q = torch.randn(6, 5), torch.randn(6, 5), 0.7
    layer = Mixout(parent, q, seed=3, name="a")
    draws = torch.stack([layer(weight) for _ in range(4000)])
    swapped, kept = (parent - q * parent) / (1 - q), (weight - q * parent) / (1 - q)
    is_swapped = torch.isclose(draws, swapped.expand_as(draws), atol=1e-5)
    assert (is_swapped | torch.isclose(draws, kept.expand_as(draws), atol=1e-5)).all()
    assert is_swapped.float().mean().item() == pytest.approx(q, abs=0.01)
    spread = ((kept - swapped) * (q * (1 - q)) ** 0.5 / 4000**0.5).abs()
    assert ((draws.mean(0) - weight).abs() <= 5 * spread + 1e-5).all()


def test_mixout_gradient_reaches_the_kept_entries_only():
    parent, weight = torch.zeros(1000), torch.ones(1000, requires_grad=True)
    out = Mixout(parent, 0.7)(weight)
    out.sum().backward()
    assert torch.equal(weight.grad != 0, out != 0)
    assert weight.grad[weight.grad != 0].tolist() == pytest.approx([1 / 0.3] * int((out != 0).sum()))


def test_mixout_in_evaluation_mode_is_the_weight_and_draws_differ_by_seed_name_and_pass():
    parent, weight = torch.zeros(100), torch.ones(100)
    assert torch.equal(Mixout(parent, 0.7).eval()(weight), weight)
    first = Mixout(parent, 0.7, 0, "a")
    draws = [first(weight), first(weight), Mixout(parent, 0.7, 1, "a")(weight), Mixout(parent, 0.7, 0, "b")(weight)]
    assert len({tuple(d.tolist()) for d in draws}) == 4
    assert torch.equal(Mixout(parent, 0.7, 0, "a")(weight), draws[0])


def test_mixout_touches_no_random_state_and_starts_at_the_parent():
    model, state = tiny_bert(), torch.get_rng_state()
    plain = copy.deepcopy(model)
    mixout(model, 0.3, seed=0)
    model.train(), plain.train()
    assert torch.equal(state, torch.get_rng_state())
    ids = torch.arange(6)[None]
    torch.manual_seed(0)
    expected = plain(input_ids=ids).logits
    torch.manual_seed(0)
    assert torch.equal(model(input_ids=ids).logits, expected)


def test_bitfit_trains_biases_and_head():
    model = tiny_bert()
    names = {n for n, _ in bitfit(model)}
    assert names == {n for n, _ in model.named_parameters() if n.endswith("bias")} | head_names(model)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == names


def test_lora_adds_a_product_of_rank_8_to_every_linear_layer_of_the_body():
    model, state = tiny_bert(), torch.get_rng_state()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    layers = {n for n, m in model.base_model.named_modules() if isinstance(m, nn.Linear)}
    trained = lora(model, seed=0)
    assert torch.equal(state, torch.get_rng_state())
    assert len([n for n, _ in trained if "lora_A" in n]) == len(layers)
    with torch.no_grad():
        for name, param in trained:
            if "lora_B" in name:
                param.normal_()
    model.eval()
    ids = torch.arange(6)[None]
    logits = model(input_ids=ids).logits
    fold(model)
    after = dict(model.named_parameters())
    assert after.keys() == before.keys()
    assert torch.allclose(model(input_ids=ids).logits, logits, atol=1e-5)
    for name, weight in before.items():
        rank = torch.linalg.matrix_rank(after[name] - weight, atol=1e-4) if weight.ndim == 2 else 0
        within = name.removeprefix("bert.").removesuffix(".weight") in layers
        assert rank == (min(neighbours.LORA_RANK, *weight.shape) if within else 0), name


def test_lora_of_two_seeds_differs():
    drawn = [dict(lora(tiny_bert(), seed)) for seed in (0, 0, 1)]
    name = next(n for n in drawn[0] if "lora_A" in n)
    assert torch.equal(drawn[0][name], drawn[1][name])
    assert not torch.equal(drawn[0][name], drawn[2][name])


def test_fold_takes_the_mixing_off():
    model = tiny_bert()
    plain = {n: p.detach().clone() for n, p in model.named_parameters()}
    mixout(model, 0.3, seed=0)
    fold(model)
    assert not any(parametrize.is_parametrized(m) for m in model.modules())
    assert {n: p.shape for n, p in model.named_parameters()} == {n: p.shape for n, p in plain.items()}
    assert all(torch.equal(p, plain[n]) for n, p in model.named_parameters())


def test_pull_to_parent_is_decay_with_the_parent_in_the_place_of_zero():
    """w - w0 shrinks by 1 - lr * pull at each step; the head is left alone. Plain SGD as the measure."""
    pulled, plain = tiny_bert(), tiny_bert()
    start = {n: p.detach().clone() for n, p in pulled.named_parameters()}
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.01) for m in (pulled, plain)]
    pull_to_parent(optimizers[0], pulled, pull=20.0)
    for model, optimizer in zip((pulled, plain), optimizers, strict=True):
        backward(model, {"input_ids": torch.arange(6)[None], "labels": torch.tensor([1])})
        optimizer.step()
    moved = dict(plain.named_parameters())
    for name, param in pulled.named_parameters():
        factor = 1.0 if name in head_names(pulled) else 1 - 0.01 * 20.0
        assert torch.allclose(param - start[name], factor * (moved[name] - start[name]), atol=1e-7), name
    assert any((moved[n] != start[n]).any() for n in moved)


def test_a_step_that_a_scaler_skipped_pulls_nothing():
    model = tiny_bert()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
    pull_to_parent(optimizer, model, pull=20.0)
    with torch.no_grad():
        for param in model.parameters():
            param.add_(1.0)  # far from where it started
    before = [p.detach().clone() for p in model.parameters()]
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(model(input_ids=torch.arange(6)[None], labels=torch.tensor([1])).loss).backward()
    model.classifier.bias.grad.fill_(torch.inf)
    scaler.step(optimizer)
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
