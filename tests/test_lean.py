"""The lean mode of a child: gradients gathered during backward. It must train exactly as the ordinary mode does."""

import copy
import math

import pytest
import torch
from support import backward
from test_child import child_of, make_scores
from test_masks import OPTIMIZERS, train, weights

import childtune_lite as ct


def attached(model, lean, make=OPTIMIZERS["adamw"], child=None):
    child = child or child_of(model)
    optimizer = make(child.parameters(model))
    child.attach(optimizer, lean=lean)
    return child, optimizer


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_lean_training_equals_the_ordinary_one_bit_for_bit(tiny, batches, make):
    ordinary, lean = copy.deepcopy(tiny), tiny
    results = [train(m, attached(m, on, make)[1], batches, steps=5) for m, on in ((ordinary, False), (lean, True))]
    assert torch.equal(*results)


def test_gradients_held_at_the_step_are_the_childs(tiny, batches):
    """And the parameters outside the masked scope; nothing of a parameter of which nothing was chosen."""
    child = ct.Child.top({n: s * (0 if "layer.1" in n else 1) for n, s in make_scores(tiny).items()}, 0.2)
    _, optimizer = attached(tiny, True, child=child)
    tiny(**batches[0]).loss.backward()
    assert all(tiny.get_parameter(name).grad is None for name in child.indices)
    held = {id(p): p.grad.numel() for g in optimizer.param_groups for p in g["params"] if p.grad is not None}
    outside = sum(p.numel() for n, p in tiny.named_parameters() if n not in child.indices)
    assert sum(held.values()) == child.size + outside
    optimizer.zero_grad()
    assert all(p.grad is None for g in optimizer.param_groups for p in g["params"])


@pytest.mark.parametrize("clear", ["optimizer", "model"])  # Trainer calls only model.zero_grad
def test_accumulation_and_zero_grad(tiny, batches, clear):
    results = []
    for lean in (False, True):
        model = copy.deepcopy(tiny)
        _, optimizer = attached(model, lean)
        for _ in range(3):
            for part in batches[:2]:
                model(**part).loss.backward()
            optimizer.step()
            (optimizer if clear == "optimizer" else model).zero_grad()
        results.append(weights(model))
    assert torch.equal(*results)


def test_clipping_sees_the_masked_gradient(tiny, batches):
    reference = copy.deepcopy(tiny)
    child, optimizer = attached(tiny, True, torch.optim.SGD)
    backward(reference, batches[0])
    masked = torch.cat([child.masked(n, p.grad).flatten() for n, p in reference.named_parameters()])
    tiny(**batches[0]).loss.backward()
    torch.testing.assert_close(child.clip_grad_norm_(1e-3), masked.norm())
    before = weights(tiny)
    optimizer.step()
    torch.testing.assert_close((weights(tiny) - before).norm().item(), 1e-3 * 1e-3, rtol=1e-2, atol=0)  # lr is 1e-3


def test_clipping_in_the_ordinary_mode_is_torchs(tiny, batches):
    reference = copy.deepcopy(tiny)
    child, _ = attached(tiny, False)
    for model in (reference, tiny):
        backward(model, batches[0])
    norm = torch.nn.utils.clip_grad_norm_(reference.parameters(), 1e-3)
    torch.testing.assert_close(child.clip_grad_norm_(1e-3), norm)
    torch.testing.assert_close(tiny.classifier.weight.grad, reference.classifier.weight.grad)
    name = next(iter(child.indices))
    torch.testing.assert_close(tiny.get_parameter(name).grad, reference.get_parameter(name).grad)
    with pytest.raises(ValueError, match="attached to 0 optimizers"):
        child_of(tiny).clip_grad_norm_(1.0)


@pytest.mark.parametrize("fused", [False, True])
def test_overflow_skips_the_step_and_the_next_one_is_taken(tiny, batches, fused):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    child, optimizer = attached(tiny, True, lambda params: torch.optim.AdamW(params, lr=0.1, fused=fused))
    before = weights(tiny)
    for overflow in (True, False):
        optimizer.zero_grad()
        scaler.scale(tiny(**batches[0]).loss).backward()
        if overflow:
            compact = next(p for g in optimizer.param_groups for p in g["params"] if hasattr(p, "child_slice"))
            compact.grad[0] = math.inf
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(before, weights(tiny)) == overflow
    name = next(iter(child.indices))
    assert torch.isfinite(tiny.get_parameter(name)).all()


@pytest.mark.parametrize("kind", ["sgd", "lbfgs"])
def test_closures_equal_the_ordinary_mode(tiny, batches, kind):
    results = []
    for lean in (False, True):
        model = copy.deepcopy(tiny)
        makers = {"sgd": lambda p: torch.optim.SGD(p, lr=0.1), "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1)}
        _, optimizer = attached(model, lean, makers[kind])

        def closure(model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = model(**batches[0]).loss
            loss.backward()
            return loss

        optimizer.step(closure)
        optimizer.step(closure)
        results.append(weights(model))
    assert torch.equal(*results)
    assert not torch.equal(results[0], weights(tiny))


def test_a_model_that_is_moved_after_attach_is_followed(tiny, batches):
    """To another precision here; to another device it is the same code."""
    results = []
    for lean in (False, True):
        model = copy.deepcopy(tiny)
        _, optimizer = attached(model, lean)
        model.double()
        results.append(train(model, optimizer, batches))
    assert results[0].dtype == torch.float64
    assert torch.equal(*results)


def test_a_state_saved_in_one_mode_goes_on_in_the_other(tiny, batches):
    through, model = copy.deepcopy(tiny), copy.deepcopy(tiny)
    train(through, attached(through, False)[1], batches, steps=6)
    _, optimizer = attached(model, False)
    train(model, optimizer, batches, steps=3)
    _, lean = attached(tiny, True)
    tiny.load_state_dict(model.state_dict())
    lean.load_state_dict(optimizer.state_dict())
    assert torch.equal(weights(through), train(tiny, lean, batches, steps=3))


def test_a_second_optimizer_on_the_same_model_is_refused_until_the_first_is_gone(tiny, batches):
    child, optimizer = attached(tiny, True)
    with pytest.raises(ValueError, match="lean mode"):
        attached(tiny, False)
    del child, optimizer
    _, second = attached(tiny, False)
    before = weights(tiny)
    assert not torch.equal(before, train(tiny, second, batches, steps=1))


def test_removed_lean_child_lets_dense_gradients_be(tiny, batches):
    child = child_of(tiny)
    child.attach(torch.optim.SGD(child.parameters(tiny), lr=0.1), lean=True).remove()
    tiny(**batches[0]).loss.backward()
    assert all(p.grad is not None for p in tiny.parameters())
    attached(tiny, False)
