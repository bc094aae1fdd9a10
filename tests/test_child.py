"""The child and its compact parameters on an optimizer (Child-Tuning_D)."""

import copy
import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import backward
from test_masks import OPTIMIZERS, train, weights

import childtune_lite as ct


def make_scores(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scope = {n: p for n, p in model.named_parameters() if ct.encoder_scope(n)}
    return {n: torch.rand(p.shape, generator=generator) for n, p in scope.items()}


def child_of(model, p=0.3, seed=0):
    return ct.Child.top(make_scores(model, seed), p)


# ---- choosing


@pytest.mark.parametrize("p", [0.001, 0.1, 0.3, 0.5, 0.999, 1])
def test_top_is_exactly_the_highest_share_over_all_tensors(tiny, p):
    scores = make_scores(tiny)
    child = ct.Child.top(scores, p)
    joined = torch.cat([s.flatten() for s in scores.values()])
    wanted = torch.zeros(joined.numel(), dtype=torch.bool)
    wanted[joined.argsort(descending=True)[: round(p * joined.numel())]] = True
    assert torch.equal(torch.cat([child.mask(n).flatten() for n in scores]), wanted)
    assert (child.size, child.total) == (round(p * joined.numel()), joined.numel())


def test_bottom_is_the_lowest_and_random_has_the_size_and_no_preference(tiny):
    scores = make_scores(tiny)
    top, bottom = ct.Child.top(scores, 0.5), ct.Child.bottom(scores, 0.5)
    assert top.overlap(bottom) == pytest.approx(1 / top.size * (top.total % 2), abs=1e-9)
    random = ct.Child.random(scores, 0.3, seed=1)
    assert random.size == round(0.3 * random.total)
    assert abs(random.overlap(top) - 0.5) < 6 * math.sqrt(0.25 / random.size)
    assert random.overlap(ct.Child.random(scores, 0.3, seed=1)) == 1
    assert random.overlap(ct.Child.random(scores, 0.3, seed=2)) < 0.4


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.sampled_from([0.0, -0.0, 1e-42, 1e-20, 0.5, 1.0, 3e38]), min_size=1, max_size=40),
    cut=st.integers(1, 39),
    p=st.floats(0.01, 1),
)
@example(values=[0.0] * 6, cut=3, p=0.5)  # all tied, over two tensors
def test_any_ties_still_give_exactly_round_pn_and_the_first_ones(values, cut, p):
    """Against a slow reference: sort by (score, then tensor name, then index)."""
    values = torch.tensor(values)
    scores = {"b": values[cut:], "a": values[:cut]}
    scores = {n: s for n, s in scores.items() if s.numel()}
    total = values.numel()
    if round(p * total) == 0:
        with pytest.raises(ValueError, match="less than one entry"):
            ct.Child.top(scores, p)
        return
    child = ct.Child.top(scores, p)
    order = sorted((-s.abs()[i].item(), n, i) for n, s in scores.items() for i in range(s.numel()))
    wanted = {(n, i) for _, n, i in order[: round(p * total)]}
    assert {(n, i) for n, index in child.indices.items() for i in index.tolist()} == wanted
    same = ct.Child.top(dict(reversed(scores.items())), p)
    assert all(torch.equal(child.indices[n], same.indices[n]) for n in scores)


def test_selection_works_across_chunks():
    """More entries than the selection's chunk, with ties that straddle the chunks."""
    values = torch.arange(2_500_000).remainder(1000).float()
    child = ct.Child.top({"w": values}, 0.1005)
    assert child.size == 251_250
    kept = values[child.indices["w"].long()]
    assert (kept >= 899).all()
    ties = child.indices["w"][kept == 899]
    assert torch.equal(ties.long(), (values == 899).nonzero().flatten()[: len(ties)])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_scores_without_an_order_are_refused(bad):
    with pytest.raises(ValueError, match=r"scores\['w'\]"):
        ct.Child.top({"w": torch.tensor([1.0, bad])}, 0.5)


@pytest.mark.parametrize("p", [0, -1, 1.5, math.nan, "0.3", None])
@pytest.mark.parametrize("choose", [ct.Child.top, ct.Child.bottom, ct.Child.random])
def test_bad_p_is_refused(choose, p):
    with pytest.raises(ValueError, match="p="):
        choose({"w": torch.rand(10)}, p)


# ---- training


# Not Adafactor: it factors a matrix's moments by rows and columns, and a compact copy is one-dimensional.
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "adafactor"])
def test_p_1_is_the_plain_optimizer_bit_for_bit(tiny, batches, name):
    make = OPTIMIZERS[name]
    plain, model = tiny, copy.deepcopy(tiny)
    child = child_of(model, p=1)
    optimizer = make(child.parameters(model))
    child.attach(optimizer)
    assert torch.equal(train(plain, make(plain.parameters()), batches), train(model, optimizer, batches))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_entries_outside_the_child_stay_bit_identical(tiny, batches, make):
    """With momentum and weight decay on. Inside the child, and outside the masked scope, things move."""
    model, child = copy.deepcopy(tiny), child_of(tiny)
    optimizer = make(child.parameters(model))
    child.attach(optimizer)
    train(model, optimizer, batches, steps=6)
    before, after = dict(tiny.named_parameters()), dict(model.named_parameters())
    for name in child.indices:
        outside = ~child.mask(name)
        assert torch.equal(before[name][outside], after[name][outside])
    moved = sum(int((before[n] != after[n])[child.mask(n)].sum()) for n in child.indices)
    assert moved > 0.9 * child.size
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])
    assert not torch.equal(before["bert.pooler.dense.weight"], after["bert.pooler.dense.weight"])


@pytest.mark.parametrize(
    "make",
    [
        lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
        lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9, foreach=True),
        lambda params: torch.optim.AdamW(params, lr=0.01, weight_decay=0, foreach=False),
        lambda params: torch.optim.AdamW(params, lr=0.01, weight_decay=0, foreach=True),
        lambda params: torch.optim.AdamW(params, lr=0.01, weight_decay=0, fused=True),
    ],
    ids=["sgd", "sgd_foreach", "adamw", "adamw_foreach", "adamw_fused"],
)
def test_compact_step_equals_the_dense_masked_step(tiny, batches, make):
    dense, model, child = copy.deepcopy(tiny), copy.deepcopy(tiny), child_of(tiny)
    optimizer, reference = make(child.parameters(model)), make(dense.parameters())
    child.attach(optimizer)
    for step in range(6):
        backward(model, batches[step % 3])
        optimizer.step()
        backward(dense, batches[step % 3])
        for name, param in dense.named_parameters():
            param.grad = child.masked(name, param.grad)
        reference.step()
    torch.testing.assert_close(weights(model), weights(dense), rtol=1e-5, atol=1e-6)


def test_moments_are_as_small_as_the_child(tiny, batches):
    child = child_of(tiny, p=0.2)
    optimizer = torch.optim.AdamW(child.parameters(tiny), lr=0.01)
    child.attach(optimizer)
    train(tiny, optimizer, batches)
    held = sum(s["exp_avg"].numel() for s in optimizer.state.values())
    outside_scope = sum(p.numel() for n, p in tiny.named_parameters() if n not in child.indices)
    assert held == child.size + outside_scope


def test_gradients_are_seen_by_zero_grad_and_clipping(tiny, batches):
    child = child_of(tiny)
    optimizer = torch.optim.SGD(child.parameters(tiny), lr=0.1)
    child.attach(optimizer)
    backward(tiny, batches[0])
    held = [p for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
    assert {id(p) for p in held} == {id(p) for p in tiny.parameters()}
    optimizer.step()
    optimizer.zero_grad()
    assert all(p.grad is None for p in tiny.parameters())


def test_parameter_groups_and_names(tiny, batches):
    """Decay on matrices only, by name, in named groups; a parameter of which nothing is chosen stays put."""
    child = ct.Child.top({n: s * (0 if "layer.1" in n else 1) for n, s in make_scores(tiny).items()}, 0.2)
    named = list(child.named_parameters(tiny))
    assert not any("layer.1." in name for name, _ in named)
    groups = [
        {"params": [(n, p) for n, p in named if not n.endswith("bias")], "weight_decay": 0.5},
        {"params": [(n, p) for n, p in named if n.endswith("bias")], "weight_decay": 0.0},
    ]
    before = copy.deepcopy(dict(tiny.named_parameters()))
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    child.attach(optimizer)
    for group in optimizer.param_groups:
        assert len(group["params"]) == len(group["param_names"])
    train(tiny, optimizer, batches)
    for name, param in tiny.named_parameters():
        if "layer.1." in name:
            assert torch.equal(before[name], param)


def test_weights_changed_from_outside_win(tiny, batches):
    child = child_of(tiny)
    optimizer = torch.optim.SGD(child.parameters(tiny), lr=0.0)
    child.attach(optimizer)
    train(tiny, optimizer, batches, steps=1)
    other = {n: torch.full_like(p, 0.25) for n, p in tiny.state_dict().items() if p.is_floating_point()}
    tiny.load_state_dict(other, strict=False)
    train(tiny, optimizer, batches, steps=1)
    assert (weights(tiny) == 0.25).all()
    name = next(iter(child.indices))
    tiny.get_parameter(name).data.fill_(0.5)  # PyTorch cannot see this one
    child.refresh()
    train(tiny, optimizer, batches, steps=1)
    assert (tiny.get_parameter(name) == 0.5).all()


def test_parameters_replaced_under_our_hands_are_an_error(tiny, batches):
    child = child_of(tiny)
    optimizer = torch.optim.SGD(child.parameters(tiny), lr=0.1)
    child.attach(optimizer)
    tiny.load_state_dict(copy.deepcopy(tiny.state_dict()), assign=True)
    backward(tiny, batches[0])
    with pytest.raises(RuntimeError, match="another object"):
        optimizer.step()


@pytest.mark.parametrize("steps_of_closure", ["once", "lbfgs"])
def test_closures_train_only_the_child(tiny, batches, steps_of_closure):
    model, child = copy.deepcopy(tiny), child_of(tiny)
    params = child.parameters(model)
    optimizer = torch.optim.LBFGS(params, lr=0.1, max_iter=4) if steps_of_closure == "lbfgs" else None
    optimizer = optimizer or torch.optim.SGD(params, lr=0.1)
    child.attach(optimizer)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = model(**batches[0]).loss
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
    optimizer.step(closure)
    assert losses[-1] < losses[0]
    assert len(losses) > (4 if steps_of_closure == "lbfgs" else 1)
    for name in child.indices:
        outside = ~child.mask(name)
        assert torch.equal(tiny.get_parameter(name)[outside], model.get_parameter(name)[outside])


def test_parameters_without_a_gradient_do_not_move(tiny, batches):
    child = child_of(tiny)
    optimizer = torch.optim.AdamW(child.parameters(tiny), lr=0.01, weight_decay=0.1)
    child.attach(optimizer)
    backward(tiny, batches[0])
    name = next(iter(child.indices))
    tiny.get_parameter(name).grad = None
    before = tiny.get_parameter(name).detach().clone()
    optimizer.step()
    assert torch.equal(before, tiny.get_parameter(name))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_train(tiny, batches, dtype):
    model = copy.deepcopy(tiny).to(dtype)
    before, child = copy.deepcopy(model), child_of(tiny)
    optimizer = torch.optim.SGD(child.parameters(model), lr=0.5)
    child.attach(optimizer)
    train(model, optimizer, batches, steps=2)
    for name in child.indices:
        outside = ~child.mask(name)
        assert torch.equal(before.get_parameter(name)[outside], model.get_parameter(name)[outside])
    assert not torch.equal(weights(before), weights(model))


def test_accumulated_gradients_make_one_step(tiny, batches):
    """Two backward passes and one step equal one pass over both batches, up to rounding."""
    first, second = copy.deepcopy(tiny), tiny
    child = child_of(tiny)
    both = {k: torch.cat([batches[0][k], batches[1][k]]) for k in batches[0]}
    for model, parts in ((first, batches[:2]), (second, [both])):
        optimizer = torch.optim.SGD(child.parameters(model), lr=0.1)
        child.attach(optimizer)
        for part in parts:
            (model(**part).loss / len(parts)).backward()
        optimizer.step()
    torch.testing.assert_close(weights(first), weights(second), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fused", [False, True])
def test_skipped_amp_step_changes_nothing(tiny, batches, fused):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    child = child_of(tiny)
    optimizer = torch.optim.AdamW(child.parameters(tiny), lr=0.1, fused=fused)
    child.attach(optimizer)
    before = weights(tiny)
    scaler.scale(tiny(**batches[0]).loss).backward()
    tiny.get_parameter(next(iter(child.indices))).grad.view(-1)[0] = math.inf
    scaler.step(optimizer)
    assert torch.equal(before, weights(tiny))


def test_resume_equals_the_run_that_never_stopped(tiny, batches):
    def start(model, child):
        optimizer = torch.optim.AdamW(child.parameters(model), lr=0.01)
        child.attach(optimizer)
        return optimizer

    through, model, child = copy.deepcopy(tiny), copy.deepcopy(tiny), child_of(tiny)
    train(through, start(through, child), batches, steps=6)
    optimizer = start(model, child)
    train(model, optimizer, batches, steps=3)
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    fresh = copy.deepcopy(tiny)
    fresh.load_state_dict(saved[0])
    resumed = start(fresh, ct.Child.from_state_dict(saved[1]))
    resumed.load_state_dict(saved[1])
    assert torch.equal(weights(through), train(fresh, resumed, batches, steps=3))


# ---- keeping


def test_child_is_known_by_name_and_survives_copies_and_files(tiny, batches, tmp_path):
    child = child_of(tiny)
    child.save(tmp_path / "child.safetensors")
    loaded = ct.Child.load(tmp_path / "child.safetensors")
    assert loaded.overlap(child) == 1
    assert loaded.shapes == child.shapes
    results = []
    tiny.save_pretrained(tmp_path / "model")
    for model in (copy.deepcopy(tiny), type(tiny).from_pretrained(tmp_path / "model").eval()):
        optimizer = torch.optim.SGD(loaded.parameters(model), lr=0.1)
        loaded.attach(optimizer)
        results.append(train(model, optimizer, batches))
    assert torch.equal(*results)


def test_file_that_is_no_child_is_refused(tiny, tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(2)}, str(tmp_path / "x.safetensors"))
    with pytest.raises(ValueError, match="not one that"):
        ct.Child.load(tmp_path / "x.safetensors")
    (tmp_path / "y.safetensors").write_bytes(b"no safetensors at all")
    with pytest.raises(ValueError, match="no safetensors file"):
        ct.Child.load(tmp_path / "y.safetensors")


def test_trained_share_counts_what_always_trains(tiny):
    child = child_of(tiny, p=0.2)
    everything = sum(p.numel() for p in tiny.parameters())
    assert child.trained_share(tiny) == (everything - child.total + child.size) / everything
    assert f"{child.size:,} of {child.total:,}" in repr(child)


# ---- what must not pass in silence


def test_forgotten_attach_is_an_error_at_the_first_step(tiny, batches):
    optimizer = torch.optim.SGD(child_of(tiny).parameters(tiny), lr=0.1)
    backward(tiny, batches[0])
    with pytest.raises(RuntimeError, match="not attached"):
        optimizer.step()


def test_optimizer_without_the_childs_parameters_is_refused(tiny):
    child = child_of(tiny)
    with pytest.raises(ValueError, match="does not hold"):
        child.attach(torch.optim.SGD(tiny.parameters(), lr=0.1))
    other = child_of(tiny, seed=1)
    with pytest.raises(ValueError, match="does not hold"):
        child.attach(torch.optim.SGD(other.parameters(tiny), lr=0.1))
    whole = tiny.get_parameter(next(iter(child.shapes)))
    with pytest.raises(ValueError, match="also holds whole"):
        child.attach(torch.optim.SGD([*child.parameters(tiny), whole], lr=0.1))
    twice = [*child.parameters(tiny), *(p for p in child.parameters(tiny) if hasattr(p, "child_slice"))]
    with pytest.raises(ValueError, match="more than once"):
        child.attach(torch.optim.SGD(twice, lr=0.1))


def test_copied_optimizer_does_not_train_in_full(tiny, batches):
    child = child_of(tiny)
    optimizer = torch.optim.SGD(child.parameters(tiny), lr=0.1)
    child.attach(optimizer)
    backward(tiny, batches[0])
    with pytest.raises(RuntimeError, match="the mask is gone"):
        copy.deepcopy(optimizer).step()


def test_child_of_another_network_is_refused(tiny):
    child = child_of(tiny)
    with pytest.raises(ValueError, match="does not fit"):
        child.parameters(torch.nn.Linear(2, 2))
    smaller = ct.Child.top({"w": torch.rand(4)}, 0.5)
    with pytest.raises(ValueError, match="another network"):
        child.overlap(smaller)
    with pytest.raises(ValueError, match="masked scope"):
        child.mask("nowhere")


def test_state_of_another_child_is_refused(tiny):
    optimizers = []
    for seed in (0, 1):
        child = child_of(tiny, seed=seed)
        optimizers.append(torch.optim.SGD(child.parameters(tiny), lr=0.1))
        child.attach(optimizers[-1])
    with pytest.raises(ValueError, match="another child"):
        optimizers[0].load_state_dict(optimizers[1].state_dict())


def test_damaged_indices_are_refused():
    shapes = {"w": (2, 3)}
    for index in ([0, 6], [1, 1], [2, 1], [-1, 2]):
        with pytest.raises(ValueError, match="must ascend"):
            ct.Child({"w": torch.tensor(index, dtype=torch.int32)}, shapes)
    with pytest.raises(ValueError, match="int32"):
        ct.Child({"w": torch.tensor([1])}, shapes)


def test_removed_child_leaves_an_optimizer_that_says_so(tiny, batches):
    child = child_of(tiny)
    optimizer = torch.optim.SGD(child.parameters(tiny), lr=0.1)
    child.attach(optimizer).remove()
    backward(tiny, batches[0])
    with pytest.raises(RuntimeError, match="not attached"):
        optimizer.step()
