"""Mixed precision in the project's loop: tried on the CPU, whose autocast is the same code path as a GPU's."""

import copy

import pytest
import torch

import childtune_lite as ct
from childtune_lite.finetune import Run
from childtune_lite.precision import Precision, best_precision

SMALL = {"epochs": 1, "batch_size": 8, "record_every": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def parent_and_task(minilm):
    parent, tokenizer = copy.deepcopy(minilm[0]), minilm[1]
    parent.bert.encoder.layer = parent.bert.encoder.layer[:1]
    return parent, ct.load_task("acceptability", tokenizer, n_train=24, n_validation=8)


@pytest.mark.parametrize(
    ("device", "bf16", "expected"),
    [("cpu", True, "float32"), ("cuda", True, "bfloat16"), ("cuda", False, "float16")],
)
def test_auto_takes_what_the_card_can_do(monkeypatch, device, bf16, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16)
    assert best_precision(device) == expected


def test_only_float16_scales_the_loss():
    assert {name: Precision(name, "cpu").scaler.is_enabled() for name in ("float32", "bfloat16", "float16")} == {
        "float32": False, "bfloat16": False, "float16": True,
    }  # fmt: skip


@pytest.mark.parametrize("recipe", ["vanilla", "F", "D"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_it_trains_in_16_bits_and_keeps_the_weights_in_32(parent_and_task, recipe, precision):
    exact = ct.finetune(*parent_and_task, recipe, progress=False, **SMALL)
    rough = ct.finetune(*parent_and_task, recipe, progress=False, precision=precision, **SMALL)
    assert rough.settings["precision"] == precision
    assert {p.dtype for p in rough.model.parameters()} == {torch.float32}
    losses = [[step["loss"] for step in run.steps] for run in (exact, rough)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)


def test_a_step_that_the_scaler_skips_changes_nothing(parent_and_task):
    """A loss scale beyond float32 makes every gradient infinite."""
    run = Run(*parent_and_task, "F", precision="float16", **SMALL)
    run.precision.scaler = torch.amp.GradScaler("cpu", init_scale=3e38)
    before = copy.deepcopy(run.result.model.state_dict())
    assert run.step()
    assert all(torch.equal(before[k], v) for k, v in run.result.model.state_dict().items())
    assert run.mask.step == 0


def test_an_unknown_precision_is_refused(parent_and_task):
    with pytest.raises(ValueError, match=r"precision='half'.*bfloat16"):
        Run(*parent_and_task, "F", precision="half", **SMALL)
