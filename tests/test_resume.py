"""Stop, save, load in a new process, go on: the bits of the run that never stopped."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import backward, tiny_bert

import childtune_lite as ct

STEPS = 6


def batches():
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "input_ids": torch.randint(1, 50, (6, 10), generator=generator),
            "labels": torch.randint(0, 3, (6,), generator=generator),
        }
        for _ in range(STEPS)
    ]


def start(recipe, child=None):
    """F masks and D's child come only from seeds, from scores, or from what was saved: nothing else is handed over."""
    model = tiny_bert()
    if recipe == "F":
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        ct.BernoulliMask(0.3, seed=2).attach(optimizer, model)
    else:
        child = child or ct.Child.top(ct.fisher_scores(model, batches()), 0.3)
        optimizer = torch.optim.AdamW(child.parameters(model), lr=0.01)
        child.attach(optimizer, lean=recipe == "D lean")
    return model, optimizer, torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=STEPS)


def go_on(model, optimizer, schedule, steps):
    for step in steps:
        backward(model, batches()[step])
        optimizer.step()
        schedule.step()


def second_half(folder):
    """What the new process does. The child comes from the saved optimizer state."""
    for path in sorted(Path(folder).glob("*.stopped")):
        saved = torch.load(path)  # weights_only, PyTorch's default: no pickled code
        child = None if path.stem == "F" else ct.Child.from_state_dict(saved["optimizer"])
        model, optimizer, schedule = start(path.stem, child)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        go_on(model, optimizer, schedule, range(saved["step"], STEPS))
        torch.save(model.state_dict(), path.with_suffix(".done"))


@pytest.mark.slow
def test_resume_in_a_new_process_is_bit_equal(tmp_path):
    recipes, through = ("F", "D", "D lean"), {}
    for recipe in recipes:
        through[recipe], *rest = start(recipe)
        go_on(through[recipe], *rest, range(STEPS))
        model, optimizer, schedule = start(recipe)
        go_on(model, optimizer, schedule, range(3))
        state = {"model": model, "optimizer": optimizer, "schedule": schedule}
        torch.save({key: x.state_dict() for key, x in state.items()} | {"step": 3}, tmp_path / f"{recipe}.stopped")
    command = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_resume as t; t.second_half"
    done = subprocess.run(
        [sys.executable, "-c", f"{command}({str(tmp_path)!r})"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for recipe in recipes:
        resumed = torch.load(tmp_path / f"{recipe}.done")
        for name, tensor in through[recipe].state_dict().items():
            assert torch.equal(tensor, resumed[name]), (recipe, name)


ALL = {
    "Adadelta": {"lr": 1.0}, "Adafactor": {"lr": 0.01}, "Adagrad": {"lr": 0.01}, "Adam": {"amsgrad": True},
    "Adamax": {}, "ASGD": {"lr": 0.01}, "NAdam": {}, "RAdam": {"foreach": True}, "RMSprop": {"momentum": 0.9},
    "Rprop": {"lr": 1e-3}, "SGD": {"lr": 0.1, "momentum": 0.9, "fused": True}, "LBFGS": {"lr": 0.1, "max_iter": 2},
}  # fmt: skip


@pytest.mark.parametrize("recipe", ["F", "D"])
@pytest.mark.parametrize("name", ALL)
def test_each_of_torchs_optimizers_trains_masked_and_resumes(name, recipe):
    """D: entries outside the child stay. F: the gradient left behind has about 70% zeros. Both: resume is bit-equal."""

    def make():
        model = tiny_bert()
        if recipe == "F":
            params, attach = list(model.parameters()), lambda o: ct.BernoulliMask(0.3, seed=2).attach(o, model)
        else:
            scores = {n: p.detach().abs() for n, p in model.named_parameters() if ct.encoder_scope(n)}
            child = ct.Child.top(scores, 0.3)
            params, attach = child.parameters(model), child.attach
        optimizer = getattr(torch.optim, name)(params, **ALL[name])
        handle = attach(optimizer)
        return model, optimizer, handle  # the handle too: it holds the mask

    def run(model, optimizer, steps):
        for batch in batches()[steps]:

            def closure(batch=batch):
                optimizer.zero_grad()
                loss = model(**batch).loss
                loss.backward()
                return loss

            optimizer.step(closure)

    (through, optimizer, handle), (model, first, _), (fresh, second, _) = make(), make(), make()
    run(through, optimizer, slice(0, 4))
    run(model, first, slice(0, 2))
    fresh.load_state_dict(model.state_dict())
    second.load_state_dict(first.state_dict())
    run(fresh, second, slice(2, 4))
    start_of = dict(tiny_bert().named_parameters())
    for n, param in through.named_parameters():
        assert torch.equal(param, fresh.get_parameter(n)), n
        assert recipe == "F" or n not in handle.child.indices or torch.equal(
            param[~handle.child.mask(n)], start_of[n][~handle.child.mask(n)]
        )  # fmt: skip
    weight = "bert.encoder.layer.0.output.dense.weight"
    assert not torch.equal(through.get_parameter(weight), start_of[weight])
    if recipe == "F":
        assert 0.6 < (through.get_parameter(weight).grad == 0).float().mean() < 0.8


def test_masks_of_another_run_are_refused(tiny):
    def masked(model, p, seed):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        ct.BernoulliMask(p, seed).attach(optimizer, model)
        return optimizer

    saved = masked(tiny, 0.3, 1).state_dict()
    for p, seed, word in ((0.4, 1, "p=0.3"), (0.3, 2, "seed=1")):
        with pytest.raises(ValueError, match=word):
            masked(tiny, p, seed).load_state_dict(saved)
    renamed = torch.nn.ParameterList([torch.nn.Parameter(p.detach().clone()) for p in tiny.parameters()])
    with pytest.raises(ValueError, match="another model"):
        masked(renamed, 0.3, 1).load_state_dict(saved)
    narrower = torch.optim.SGD(tiny.parameters(), lr=0.1)
    ct.BernoulliMask(0.3, 1, scope=ct.encoder_scope).attach(narrower, tiny)
    with pytest.raises(ValueError, match="or scope"):
        narrower.load_state_dict(saved)
