"""A masked optimizer in `transformers.Trainer`: clipping, checkpoints, and resuming from one, bit for bit."""

import copy

import pytest
import torch

import childtune_lite as ct

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def parent_and_task(minilm):
    parent, tokenizer = copy.deepcopy(minilm[0]), minilm[1]
    parent.bert.encoder.layer = parent.bert.encoder.layer[:1]
    return parent, ct.load_task("entailment", tokenizer, n_train=64, n_validation=16)


def masked_optimizer(recipe, model, parent, task):
    if recipe == "F":
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        ct.BernoulliMask(0.3, seed=1).attach(optimizer, model)
        return optimizer, None
    child = ct.Child.top(ct.fisher_scores(parent, task.batches("train", 16)), 0.3)
    optimizer = torch.optim.AdamW(child.parameters(model), lr=1e-3)
    child.attach(optimizer)
    return optimizer, child


def run(recipe, parent, task, folder, resume=None):
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments, get_linear_schedule_with_warmup

    model = copy.deepcopy(parent)
    optimizer, child = masked_optimizer(recipe, model, parent, task)
    arguments = TrainingArguments(
        str(folder), max_steps=8, save_steps=4, per_device_train_batch_size=8, max_grad_norm=0.5, seed=1,
        use_cpu=True, report_to="none", disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    trainer = Trainer(
        model,
        arguments,
        train_dataset=task.train.select_columns(["input_ids", "token_type_ids", "attention_mask", "label"]),
        data_collator=DataCollatorWithPadding(task.tokenizer),
        optimizers=(optimizer, get_linear_schedule_with_warmup(optimizer, 2, 8)),
    )
    trainer.train(resume_from_checkpoint=resume)
    return model, child


@pytest.mark.parametrize("recipe", ["F", "D"])
def test_trainer_trains_masked_and_resumes_bit_for_bit(parent_and_task, tmp_path, recipe):
    parent, task = parent_and_task
    through, child = run(recipe, parent, task, tmp_path)
    resumed, _ = run(recipe, parent, task, tmp_path, resume=str(tmp_path / "checkpoint-4"))
    before, after = dict(parent.named_parameters()), dict(through.named_parameters())
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])
    for name, param in resumed.named_parameters():
        assert torch.equal(after[name], param), name
    for name in child.indices if child else ():
        outside = ~child.mask(name)
        assert torch.equal(before[name][outside], after[name][outside])


def test_a_step_sees_the_clipped_gradient(parent_and_task):
    """Clipping, as Trainer and accelerate do it over the model's parameters, reaches the compact gradients."""
    parent, task = parent_and_task
    model = copy.deepcopy(parent)
    optimizer, _ = masked_optimizer("D", model, parent, task)
    seen = []
    optimizer.register_step_pre_hook(
        lambda o, a, k: seen.extend(p.grad.clone() for g in o.param_groups for p in g["params"] if p.grad is not None)
    )
    model(**next(iter(task.batches("train", 8)))).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    optimizer.step()
    norm = torch.cat([grad.flatten() for grad in seen]).norm().item()
    assert 0 < norm <= 1e-3 * 1.001
