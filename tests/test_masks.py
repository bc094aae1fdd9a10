"""The Bernoulli mask: what it draws, and what it does on an optimizer (Child-Tuning_F)."""

import copy
import gc
import math
import subprocess
import sys
import weakref

import pytest
import torch
from support import backward

import childtune_lite as ct
from childtune_lite.draws import CHUNK, MAX_ENTRIES, make_key, random_int32

OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adamw": lambda params: torch.optim.AdamW(params, lr=0.01, foreach=False),
    "adamw_foreach": lambda params: torch.optim.AdamW(params, lr=0.01, foreach=True),
    "adamw_fused": lambda params: torch.optim.AdamW(params, lr=0.01, fused=True),
    "adafactor": lambda params: torch.optim.Adafactor(params, lr=0.01),
}


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def train(model, optimizer, batches, steps=4):
    for step in range(steps):
        backward(model, batches[step % len(batches)])
        optimizer.step()
    return weights(model)


# ---- the draw


@pytest.mark.parametrize("p", [0.05, 0.2, 0.5, 0.8])
def test_share_kept_is_p(p):
    n = 1_000_000
    kept = ct.BernoulliMask(p, seed=3).keep("w", (n,)).sum().item()
    assert abs(kept - n * p) < 5 * math.sqrt(n * p * (1 - p))


def correlation(a, b):
    return torch.corrcoef(torch.stack([a.flatten().float(), b.flatten().float()]))[0, 1].item()


@pytest.mark.parametrize(
    "pair",
    [
        lambda m: (m.keep("w", (400_000,))[:-1], m.keep("w", (400_000,))[1:]),
        lambda m: (m.keep("w", (400_000,))[::2], m.keep("w", (400_000,))[1::2]),
        lambda m: m.keep("w", (2, CHUNK)),
        lambda m: (m.keep("w", (400_000,), step=7), m.keep("w", (400_000,), step=8)),
        lambda m: (m.keep("w", (400_000,)).view(-1, 2), m.keep("w", (400_000,), step=1).view(-1, 2).flip(1)),
        lambda m: (m.keep("layer.0.w", (400_000,)), m.keep("layer.1.w", (400_000,))),
        lambda m: (m.keep("w", (400_000,)), ct.BernoulliMask(m.p, seed=m.seed + 1).keep("w", (400_000,))),
    ],
    ids=["neighbours", "even-odd", "chunks", "steps", "steps-swapped", "parameters", "seeds"],
)
def test_draws_are_unrelated(pair):
    """A correlation of independent draws has standard error 1 / sqrt(n); 6 of them leave no room for a pattern."""
    a, b = pair(ct.BernoulliMask(0.3, seed=0))
    assert abs(correlation(a, b)) < 6 / math.sqrt(a.numel())


def test_counts_over_steps_are_binomial():
    """Each entry's count over 200 steps has the binomial's variance: no entry is favoured."""
    mask, steps, n, p = ct.BernoulliMask(0.3, seed=0), 200, 20_000, 0.3
    counts = sum(mask.keep("w", (n,), step=s).float() for s in range(steps))
    expected = steps * p * (1 - p)
    assert abs(counts.var().item() / expected - 1) < 6 * math.sqrt(2 / n)


def test_bits_fill_the_whole_range():
    bits = torch.cat([b.clone() for _, b in random_int32(make_key(0, 0, "w"), 300_000)])
    assert abs((bits < 0).float().mean().item() - 0.5) < 6 * 0.5 / math.sqrt(len(bits))
    for bit in range(32):
        assert abs(((bits >> bit) & 1).float().mean().item() - 0.5) < 6 * 0.5 / math.sqrt(len(bits))


def test_mask_is_a_pure_function_of_seed_step_name_and_index():
    mask = ct.BernoulliMask(0.3, seed=5)
    first = mask.keep("w", (300, 1000), step=2)  # more than one chunk
    torch.manual_seed(99)
    torch.rand(10)
    assert torch.equal(first, ct.BernoulliMask(0.3, seed=5).keep("w", (300, 1000), step=2))
    assert torch.equal(first.flatten()[:1000], mask.keep("w", (1000,), step=2))  # of the index, not of the shape
    code = "import childtune_lite as ct; print(int(ct.BernoulliMask(0.3, seed=5).keep('w', (300, 1000), step=2).sum()))"
    other_process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other_process.stdout) == int(first.sum())


def test_drawing_touches_no_random_state(tiny, batches):
    state = torch.get_rng_state()
    optimizer = torch.optim.SGD(tiny.parameters(), lr=0.1)
    ct.BernoulliMask(0.3).attach(optimizer, tiny)
    train(tiny, optimizer, batches)
    assert torch.equal(state, torch.get_rng_state())


def test_too_many_entries_for_int32_are_refused():
    with pytest.raises(ValueError, match="int32"):
        next(random_int32((1, 2), MAX_ENTRIES + 1))


def test_toy_mask_is_zero_or_one_and_draws_from_the_generator_given():
    gradient = torch.randn(3, 4, dtype=torch.float64)
    mask = ct.bernoulli_mask(gradient, 0.2, torch.Generator().manual_seed(0))
    assert mask.shape == gradient.shape
    assert mask.dtype == gradient.dtype
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(mask, ct.bernoulli_mask(gradient, 0.2, torch.Generator().manual_seed(0)))
    assert ct.bernoulli_mask(gradient, 1).all()


# ---- on an optimizer


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_p_1_is_the_plain_optimizer_bit_for_bit(tiny, batches, make):
    plain, masked = tiny, copy.deepcopy(tiny)
    optimizer = make(masked.parameters())
    ct.BernoulliMask(1.0).attach(optimizer, masked)
    assert torch.equal(train(plain, make(plain.parameters()), batches), train(masked, optimizer, batches))


def test_update_has_the_mean_and_covariance_of_theorem_1():
    """E[dw] = -eta g; Cov[dw] = eta^2 s^2 I / (p B) + (1 - p) eta^2 diag(g)^2 / p, for noisy per-example gradients."""
    p, eta, noise, batch_size, draws = 0.3, 0.1, 0.5, 4, 40_000
    gradient = torch.tensor([0.0, 0.3, -1.0, 2.0])
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(draws, 4))  # every row is one independent step of the same four entries
    optimizer = torch.optim.SGD([weight], lr=eta)
    ct.BernoulliMask(p, seed=1).attach(optimizer)
    per_example = gradient + noise * torch.randn(batch_size, draws, 4, generator=generator)
    weight.grad = per_example.mean(0)
    optimizer.step()
    step = weight.detach().double()
    variance = eta**2 * (noise**2 / (p * batch_size) + (1 - p) * gradient.double() ** 2 / p)
    assert ((step.mean(0) + eta * gradient).abs() < 5 * (variance / draws).sqrt()).all()
    fourth = ((step - step.mean(0)) ** 4).mean(0)  # the standard error of a sample variance
    assert ((step.var(0) - variance).abs() < 5 * ((fourth - variance**2) / draws).sqrt()).all()
    off_diagonal = torch.corrcoef(step.T) - torch.eye(4)
    assert off_diagonal.abs().max() < 5 / math.sqrt(draws)


def test_fresh_mask_at_each_step_and_the_same_one_in_another_run(tiny, batches):
    def masked_gradients():
        model = copy.deepcopy(tiny)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        ct.BernoulliMask(0.5, seed=1).attach(optimizer, model)
        seen = []
        for _ in range(2):
            backward(model, batches[0])
            optimizer.step()
            seen.append(model.classifier.weight.grad != 0)
        return seen

    first, second = masked_gradients()
    assert not torch.equal(first, second)
    assert torch.equal(torch.stack([first, second]), torch.stack(masked_gradients()))


def test_p_may_change_while_training(tiny, batches):
    optimizer = torch.optim.SGD(tiny.parameters(), lr=0.0)
    mask = ct.BernoulliMask(0.1)
    mask.attach(optimizer, tiny)
    shares = []
    for p in (0.1, 0.9):
        mask.p = p
        backward(tiny, batches[0])
        optimizer.step()
        grad = tiny.bert.encoder.layer[0].intermediate.dense.weight.grad
        shares.append((grad != 0).float().mean().item())
    assert shares[0] < 0.25
    assert shares[1] > 0.75


def test_scope_says_what_is_masked(tiny, batches):
    optimizer = torch.optim.SGD(tiny.parameters(), lr=0.0)
    ct.BernoulliMask(0.3, scope=ct.encoder_scope).attach(optimizer, tiny)
    backward(tiny, batches[0])
    before = tiny.classifier.weight.grad.clone()
    optimizer.step()
    assert torch.equal(before, tiny.classifier.weight.grad)
    assert (tiny.bert.encoder.layer[0].output.dense.weight.grad == 0).float().mean() > 0.5


def test_masked_foretells_what_the_optimizer_sees(tiny, batches):
    optimizer = torch.optim.SGD(tiny.parameters(), lr=0.0)
    mask = ct.BernoulliMask(0.3)
    mask.attach(optimizer, tiny)
    backward(tiny, batches[0])
    foretold = mask.masked("classifier.weight", tiny.classifier.weight.grad)
    optimizer.step()
    assert torch.equal(foretold, tiny.classifier.weight.grad)


def test_parameters_are_known_by_name_not_by_place(tiny, batches):
    """Named in the optimizer, in the model given, or wrapped: the mask is the same."""

    def gradient_after_step(make, model_given):
        model = copy.deepcopy(tiny)
        optimizer = make(model)
        ct.BernoulliMask(0.5).attach(optimizer, model if model_given else None)
        backward(model, batches[0])
        optimizer.step()
        return model.classifier.weight.grad

    in_order = gradient_after_step(lambda m: torch.optim.SGD(m.parameters(), lr=0.0), True)
    reversed_ = gradient_after_step(lambda m: torch.optim.SGD(list(m.parameters())[::-1], lr=0.0), True)
    named = gradient_after_step(lambda m: torch.optim.SGD(m.named_parameters(), lr=0.0), False)
    wrapped = gradient_after_step(
        lambda m: torch.optim.SGD([(f"module.{n}", p) for n, p in m.named_parameters()], lr=0.0), False
    )
    for other in (reversed_, named, wrapped):
        assert torch.equal(in_order, other)


def test_closure_is_masked_too(tiny, batches):
    optimizer = torch.optim.SGD(tiny.parameters(), lr=0.0)
    ct.BernoulliMask(0.3).attach(optimizer, tiny)

    def closure():
        tiny.zero_grad()
        loss = tiny(**batches[0]).loss
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0
    share_zero = (tiny.bert.encoder.layer[0].output.dense.weight.grad == 0).float().mean().item()
    assert 0.5 < share_zero < 0.9


def test_gradients_of_odd_layout_and_half_precision_are_masked():
    weight = torch.nn.Parameter(torch.zeros(64, 32, dtype=torch.bfloat16))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    ct.BernoulliMask(0.3).attach(optimizer)
    weight.grad = torch.ones(32, 64, dtype=torch.bfloat16).T  # not contiguous
    optimizer.step()
    assert set(weight.detach().float().unique().tolist()) == {0.0, -float(torch.tensor(1 / 0.3).bfloat16())}


def test_resume_equals_the_run_that_never_stopped(tiny, batches):
    def start(model):
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        ct.BernoulliMask(0.3, seed=2).attach(optimizer, model)
        return optimizer

    through, model = copy.deepcopy(tiny), copy.deepcopy(tiny)
    train(through, start(through), batches, steps=6)
    optimizer = start(model)
    train(model, optimizer, batches, steps=3)
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    fresh = copy.deepcopy(tiny)
    resumed = start(fresh)
    fresh.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    assert torch.equal(weights(through), train(fresh, resumed, batches, steps=3))


@pytest.mark.parametrize("fused", [False, True])  # a fused optimizer's step is called all the same, and skips inside
def test_step_that_gradscaler_skips_changes_nothing(tiny, batches, fused):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    optimizer = torch.optim.AdamW(tiny.parameters(), lr=0.1, fused=fused)
    mask = ct.BernoulliMask(0.3)
    mask.attach(optimizer, tiny)
    before = weights(tiny)
    scaler.scale(tiny(**batches[0]).loss).backward()
    tiny.classifier.weight.grad[0, 0] = math.inf
    scaler.step(optimizer)
    scaler.update()
    assert mask.step == 0
    assert torch.equal(before, weights(tiny))
    optimizer.zero_grad()
    scaler.scale(tiny(**batches[0]).loss).backward()
    scaler.step(optimizer)
    assert mask.step == 1
    assert not torch.equal(before, weights(tiny))


# ---- what must not pass in silence


@pytest.mark.parametrize("p", [0, -0.1, 1.1, math.nan, "0.3", None, True])
def test_bad_p_is_an_error_that_names_it(p):
    with pytest.raises(ValueError, match="p="):
        ct.BernoulliMask(p)
    mask = ct.BernoulliMask(0.5)
    with pytest.raises(ValueError, match="p="):
        mask.p = p
    with pytest.raises(ValueError, match="p="):
        ct.bernoulli_mask(torch.ones(2), p)


def test_scope_that_matches_nothing_is_an_error_and_leaves_no_mask(tiny):
    optimizer = torch.optim.SGD(tiny.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="scope matches none"):
        ct.BernoulliMask(0.3, scope=lambda name: "nowhere" in name).attach(optimizer, tiny)
    ct.BernoulliMask(0.3).attach(optimizer, tiny)  # the failed one is gone


def test_model_that_does_not_hold_the_parameters_is_an_error(tiny):
    other = copy.deepcopy(tiny)
    with pytest.raises(ValueError, match="model has no parameter"):
        ct.BernoulliMask(0.3).attach(torch.optim.SGD(tiny.parameters(), lr=0.1), other)


def test_second_mask_second_optimizer_and_wrapper_are_refused(tiny):
    optimizer = torch.optim.SGD(tiny.parameters(), lr=0.1)
    mask = ct.BernoulliMask(0.3)
    handle = mask.attach(optimizer, tiny)
    with pytest.raises(ValueError, match="already has"):
        ct.BernoulliMask(0.3).attach(optimizer, tiny)
    with pytest.raises(ValueError, match="attached already"):
        mask.attach(torch.optim.SGD(tiny.parameters(), lr=0.1), tiny)
    handle.remove()
    mask.attach(optimizer, tiny)
    with pytest.raises(ValueError, match="expected a torch"):
        ct.BernoulliMask(0.3).attach("adam", tiny)


def test_accelerates_wrapper_is_refused(tiny):
    accelerate = pytest.importorskip("accelerate")
    wrapped = accelerate.Accelerator(cpu=True).prepare(torch.optim.SGD(tiny.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="wrapper"):
        ct.BernoulliMask(0.3).attach(wrapped, tiny)


def test_copied_optimizer_does_not_train_in_full(tiny, batches):
    optimizer = torch.optim.SGD(tiny.parameters(), lr=0.1)
    ct.BernoulliMask(0.3).attach(optimizer, tiny)
    copied = copy.deepcopy(optimizer)
    with pytest.raises(RuntimeError, match="the mask is gone"):
        copied.step()


def test_states_of_masked_and_plain_runs_do_not_mix(tiny):
    masked, plain = (torch.optim.SGD(tiny.parameters(), lr=0.1) for _ in range(2))
    ct.BernoulliMask(0.3, seed=1).attach(masked, tiny)
    with pytest.raises(ValueError, match="no mask"):
        masked.load_state_dict(plain.state_dict())
    plain.load_state_dict(masked.state_dict())
    with pytest.raises(RuntimeError, match="the mask is gone"):
        plain.step()
    other = torch.optim.SGD(tiny.parameters(), lr=0.1)
    ct.BernoulliMask(0.4, seed=1).attach(other, tiny)
    with pytest.raises(ValueError, match=r"p=0\.3"):
        other.load_state_dict(masked.state_dict())


def test_remove_gives_the_plain_optimizer_back(tiny, batches):
    plain, model = copy.deepcopy(tiny), tiny
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ct.BernoulliMask(0.3).attach(optimizer, model).remove()
    assert torch.equal(
        train(model, optimizer, batches), train(plain, torch.optim.SGD(plain.parameters(), lr=0.1), batches)
    )
    assert "child_tuning" not in optimizer.state_dict()


def test_sparse_gradient_is_refused():
    embedding = torch.nn.Embedding(10, 4, sparse=True)
    optimizer = torch.optim.SGD(embedding.parameters(), lr=0.1)
    ct.BernoulliMask(0.3).attach(optimizer, embedding)
    embedding(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(ValueError, match="sparse"):
        optimizer.step()


def test_an_optimizer_with_a_mask_is_freed_at_once():
    """A cycle between optimizer and mask would keep a model's moments in memory until the garbage collector runs."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 4))
    torch.optim.AdamW(model.parameters())  # the first optimizer of a process leaves frames of PyTorch's imports behind
    scores = {name: torch.rand_like(w) for name, w in model.named_parameters()}
    gc.disable()
    try:
        for attach in ("F", "D", "lean"):
            if attach == "F":
                optimizer = torch.optim.AdamW(model.parameters())
                handle = ct.BernoulliMask(p=0.5, seed=0).attach(optimizer, model)
            else:
                child = ct.Child.top(scores, p=0.5)
                optimizer = torch.optim.AdamW(child.parameters(model))
                handle = child.attach(optimizer, lean=attach == "lean")
            model(torch.ones(1, 4)).sum().backward()
            optimizer.step()
            gone = weakref.ref(optimizer)
            del optimizer
            assert handle is not None
            del handle
            assert gone() is None, attach
            model.zero_grad()
    finally:
        gc.enable()
