"""What surrounds an optimizer in real training: accelerate, Trainer's clipping, other precisions, accumulation."""

import copy
import math

import pytest
import torch
from support import backward
from test_child import child_of
from test_masks import train, weights

import childtune_lite as ct


def masked(model, recipe, make=lambda params: torch.optim.AdamW(params, lr=0.01)):
    if recipe == "F":
        optimizer = make(model.parameters())
        return optimizer, ct.BernoulliMask(0.3, seed=1).attach(optimizer, model)
    child = child_of(model)
    optimizer = make(child.parameters(model))
    return optimizer, child.attach(optimizer, lean=recipe == "D lean")


@pytest.mark.parametrize("recipe", ["F", "D", "D lean"])
def test_accelerate_in_three_lines_is_bit_equal(tiny, batches, recipe):
    accelerate = pytest.importorskip("accelerate")
    plain = copy.deepcopy(tiny)
    wanted = train(plain, masked(plain, recipe)[0], batches, steps=6)
    optimizer, _ = masked(tiny, recipe)
    accelerator = accelerate.Accelerator(cpu=True)
    model, optimizer = accelerator.prepare(tiny, optimizer)
    for step in range(6):
        accelerator.backward(model(**batches[step % 3]).loss)
        optimizer.step()
        optimizer.zero_grad()
    assert torch.equal(wanted, weights(tiny))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["F", "D"])
def test_trainers_max_grad_norm_clips_what_the_mask_sees(tiny, batches, tmp_path, recipe):
    """One step of SGD with lr 1 moves the weights by the masked gradient: at most the norm, over p in F."""
    from transformers import Trainer, TrainingArguments

    limit, before = 1e-3, weights(tiny)
    optimizer, _ = masked(tiny, recipe, lambda params: torch.optim.SGD(params, lr=1.0))
    arguments = TrainingArguments(
        str(tmp_path), max_steps=1, per_device_train_batch_size=6, max_grad_norm=limit, use_cpu=True,
        report_to="none", disable_tqdm=True, logging_strategy="no", save_strategy="no",
    )  # fmt: skip
    examples = [{k: v[i] for k, v in batches[0].items()} for i in range(6)]
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    Trainer(tiny, arguments, train_dataset=examples, optimizers=(optimizer, schedule)).train()
    moved = (weights(tiny) - before).norm().item()
    assert 0.05 * limit < moved < limit / (0.3 if recipe == "F" else 1) * 1.01


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_F_in_other_precisions_keeps_the_same_entries(tiny, batches, dtype):
    """And only they move: kept entries are those of the float32 network."""
    model = copy.deepcopy(tiny).to(dtype)
    optimizer, handle = masked(model, "F", lambda params: torch.optim.SGD(params, lr=0.5))
    backward(model, batches[0])
    name = "bert.encoder.layer.0.output.dense.weight"
    before, grad = model.get_parameter(name).detach().clone(), model.get_parameter(name).grad.clone()
    keep = handle.mask.keep(name, before.shape)
    optimizer.step()
    seen = model.get_parameter(name).grad
    assert torch.equal(seen[~keep], torch.zeros_like(seen[~keep]))
    torch.testing.assert_close(seen[keep], (grad.float() / 0.3).to(dtype)[keep], rtol=1e-2, atol=1e-3)
    assert torch.equal(model.get_parameter(name)[~keep], before[~keep])
    assert not torch.equal(model.get_parameter(name)[keep], before[keep])


def test_F_masks_the_accumulated_gradient_once(tiny, batches):
    optimizer, handle = masked(tiny, "F", lambda params: torch.optim.SGD(params, lr=0.0))
    for part in batches[:2]:
        tiny(**part).loss.backward()
    foretold = handle.mask.masked("classifier.weight", tiny.classifier.weight.grad)
    optimizer.step()
    assert torch.equal(tiny.classifier.weight.grad, foretold)
    assert handle.mask.step == 1


@pytest.mark.parametrize("recipe", ["F", "D", "D lean"])
@pytest.mark.parametrize("fused", [False, True])
def test_after_a_skipped_amp_step_the_run_is_the_one_without_it(tiny, batches, recipe, fused):
    """Nothing changes and nothing is lost: moments, step count and masks go on as if the bad batch had not been."""
    results = []
    for overflows in (False, True):
        model = copy.deepcopy(tiny)
        optimizer, _ = masked(model, recipe, lambda params: torch.optim.AdamW(params, lr=0.01, fused=fused))
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4, growth_interval=1000)
        for step in range(4):
            if step == 2 and overflows:
                scaler.scale(model(**batches[2]).loss).backward()
                next(p for g in optimizer.param_groups for p in g["params"] if p.grad is not None).grad.fill_(math.inf)
                scaler.step(optimizer)
                scaler.update(2.0**4)
                optimizer.zero_grad()
            scaler.scale(model(**batches[step % 3]).loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
        results.append(weights(model))
    assert torch.equal(*results)


@pytest.mark.parametrize("recipe", ["F", "D", "D lean"])
def test_a_loop_with_only_optimizer_zero_grad_leaves_no_gradient_behind(tiny, batches, recipe):
    optimizer, _ = masked(tiny, recipe)
    for batch in batches:
        tiny(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        held = [p for g in optimizer.param_groups for p in g["params"]] + list(tiny.parameters())
        assert all(p.grad is None for p in held)


@pytest.mark.slow
def test_compiled_masks_are_the_eager_ones():
    """Long and short tensors, in one kernel or in shared chunks: the same bits."""
    torch.manual_seed(0)
    sizes = [5, 70_000, 3, 600_001]
    results = []
    for compile in (False, True):
        params = [torch.nn.Parameter(torch.zeros(size)) for size in sizes]
        optimizer = torch.optim.SGD(params, lr=1.0)
        ct.BernoulliMask(0.3, seed=4, compile=compile).attach(optimizer)
        for param in params:
            param.grad = torch.arange(1.0, param.numel() + 1)
        try:
            optimizer.step()
        except RuntimeError as error:
            pytest.skip(f"torch.compile does not work here: {type(error).__name__}")
        results.append([param.detach() for param in params])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert 0.69 < (results[1][3] == 0).float().mean() < 0.71


def test_how_tensors_share_a_chunk_does_not_change_a_mask():
    """Alone, after others, or cut by the end of a chunk."""
    from childtune_lite.draws import CHUNK

    sizes = [CHUNK - 7, 10, 1, 2 * CHUNK + 3]
    params = [torch.nn.Parameter(torch.zeros(size)) for size in sizes]
    optimizer = torch.optim.SGD(params, lr=1.0)
    mask = ct.BernoulliMask(0.3, seed=4)
    mask.attach(optimizer)
    for param in params:
        param.grad = torch.ones_like(param)
    alone = [mask.keep(f"0.{i}", (size,)) for i, size in enumerate(sizes)]
    optimizer.step()
    for param, keep in zip(params, alone, strict=True):
        assert torch.equal(param.detach() != 0, keep)


def test_sparse_gradients_are_refused_in_D():
    embedding = torch.nn.Embedding(10, 4, sparse=True)
    child = ct.Child.top({"weight": torch.rand(10, 4)}, 0.5)
    optimizer = torch.optim.SGD(child.parameters(embedding), lr=0.1)
    child.attach(optimizer)
    embedding(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(ValueError, match="sparse"):
        optimizer.step()
