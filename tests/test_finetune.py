"""The training loop and its recipes, on a small slice of the real parent and a generated task."""

import copy
import sys

import pytest
import torch

import childtune_lite as ct
from childtune_lite.recorder import STATISTICS, gradient_statistics, layer_of

SMALL = {"epochs": 1, "batch_size": 8, "record_every": 2, "progress": False}


@pytest.fixture(scope="module")
def parent_and_task(minilm):
    """The real parent's first layer only, so that a run takes a second; and 24 examples."""
    parent, tokenizer = copy.deepcopy(minilm[0]), minilm[1]
    parent.bert.encoder.layer = parent.bert.encoder.layer[:1]
    return parent, ct.load_task("entailment", tokenizer, n_train=24, n_validation=20)


@pytest.fixture(scope="module")
def runs(parent_and_task):
    return {recipe: ct.finetune(*parent_and_task, recipe, p=0.2, seed=1, **SMALL) for recipe in ct.RECIPES}


def weights(model):
    return {n: p.detach() for n, p in model.named_parameters()}


def all_equal(a, b):
    return all(torch.equal(a[n], b[n]) for n in a)


def test_parent_and_random_state_are_left_alone(parent_and_task):
    parent, task = parent_and_task
    before, state = copy.deepcopy(parent.state_dict()), torch.get_rng_state()
    ct.finetune(parent, task, "F", **SMALL)
    assert all(torch.equal(before[k], v) for k, v in parent.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("recipe", ["F", "D"])
def test_p_1_is_vanilla_bit_for_bit(parent_and_task, recipe):
    vanilla = ct.finetune(*parent_and_task, "vanilla", seed=3, **SMALL)
    masked = ct.finetune(*parent_and_task, recipe, p=1.0, seed=3, **SMALL)
    assert [s["loss"] for s in vanilla.steps] == [s["loss"] for s in masked.steps]
    assert all_equal(weights(vanilla.model), weights(masked.model))


def test_recipes_pair(runs):
    """The first loss comes before any update: equal in all recipes if head, data order and dropout are."""
    assert len({run.steps[0]["loss"] for run in runs.values()}) == 1
    final = [run.steps[-1]["loss"] for name, run in runs.items() if name != "vanilla"]
    assert runs["vanilla"].steps[-1]["loss"] not in final


def test_runs_repeat(parent_and_task, runs):
    again = ct.finetune(*parent_and_task, "F", p=0.2, seed=1, **SMALL)
    other = ct.finetune(*parent_and_task, "F", p=0.2, seed=2, **SMALL)
    assert all_equal(weights(runs["F"].model), weights(again.model))
    assert not torch.equal(weights(other.model)["classifier.weight"], weights(again.model)["classifier.weight"])


def test_each_recipe_trains_what_it_says(parent_and_task, runs):
    before = weights(parent_and_task[0])
    for recipe, run in runs.items():
        after = weights(run.model)
        encoder = {n for n in before if ct.encoder_scope(n)}
        if run.child:
            assert run.child.size == round(0.2 * run.child.total)
            for name in encoder:
                outside = ~run.child.mask(name)
                assert torch.equal(before[name][outside], after[name][outside]), recipe
        moved = {n for n in before if not torch.equal(before[n], after[n])} - {"classifier.weight", "classifier.bias"}
        assert bool(moved) == (recipe != "head_only"), recipe
    shares = {recipe: run.trained_share for recipe, run in runs.items()}
    assert shares["vanilla"] == shares["F"] == 1
    assert shares["head_only"] < 0.01 < shares["D"] < 1
    assert runs["D"].child.overlap(runs["D_lowest"].child) == 0
    assert 0.1 < runs["D_random"].child.overlap(runs["D"].child) < 0.3


def test_sqrt_p_control_moves_less_fast(runs):
    ratio = runs["vanilla_sqrt_p"].steps[-1]["lr"] / runs["vanilla"].steps[-1]["lr"]
    assert ratio == pytest.approx(0.2**0.5)


def test_schedule_rises_then_falls(parent_and_task):
    run = ct.finetune(*parent_and_task, "head_only", lr=1.0, epochs=4, batch_size=8, warmup=0.25, progress=False)
    rates = [s["lr"] for s in run.steps]
    peak = rates.index(max(rates))
    assert (peak, max(rates)) == (3, 1.0)
    assert rates[:4] == sorted(rates[:4])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 0 < rates[-1] < 0.2


def test_recorded_statistics_show_the_mask(runs):
    for recipe, run in runs.items():
        assert [g["step"] for g in run.gradients] == [0, 2]
        everything = run.gradients[0]["layers"]["all"]
        assert set(everything) == set(STATISTICS)
        if recipe == "F":
            assert run.gradients[0]["layers"]["layer 0"]["zeros"] == pytest.approx(0.8, abs=0.01)
        if recipe in ("D", "D_random"):
            assert run.gradients[0]["layers"]["layer 0"]["zeros"] == pytest.approx(0.8, abs=0.02)
            assert run.gradients[0]["layers"]["head"]["cosine"] == pytest.approx(1)
        if recipe == "vanilla":
            assert everything["cosine"] == pytest.approx(1)
    cosines = {r: runs[r].gradients[0]["layers"]["layer 0"]["cosine"] for r in ("D", "D_random", "D_lowest")}
    assert cosines["D"] > cosines["D_random"] > cosines["D_lowest"]


def test_statistics_equal_a_plain_computation():
    generator = torch.Generator().manual_seed(0)
    grads = {f"encoder.layer.{i}.w": torch.randn(20, 30, generator=generator) for i in range(2)}
    mask = ct.BernoulliMask(0.4, seed=1)
    layers = gradient_statistics(grads.items(), mask.masked)
    before = torch.cat([g.flatten() for g in grads.values()])
    after = torch.cat([mask.masked(n, g).flatten() for n, g in grads.items()])
    found = layers["all"]
    assert found["mean"] == pytest.approx(after.mean().item(), rel=1e-4)
    assert found["std"] == pytest.approx(after.std(correction=0).item(), rel=1e-4)
    assert found["norm"] == pytest.approx(after.norm().item(), rel=1e-5)
    assert found["zeros"] == pytest.approx((after == 0).float().mean().item())
    assert found["cosine"] == pytest.approx(torch.cosine_similarity(before, after, dim=0).item(), rel=1e-4)
    assert set(layers) == {"layer 0", "layer 1", "all"}


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("bert.encoder.layer.3.output.dense.bias", "layer 3"),
        ("bert.embeddings.word_embeddings.weight", "embeddings"),
        ("bert.pooler.dense.weight", "head"),
        ("classifier.bias", "head"),
    ],
)
def test_layers_have_names(name, layer):
    assert layer_of(name) == layer


def test_metrics_and_failed_runs(parent_and_task, runs):
    for run in runs.values():
        assert 0 <= run.metrics["validation"]["accuracy"] <= 1
        assert set(run.metrics) == {"validation", "ood"}


@pytest.mark.parametrize(("second_row", "constant"), [([2.0, 1.0], True), ([1.0, 2.0], False)])
def test_run_that_gives_one_answer_to_everything_counts_as_failed(parent_and_task, monkeypatch, second_row, constant):
    logits = torch.tensor([[2.0, 1.0], second_row])
    module = sys.modules["childtune_lite.finetune"]  # by this name the package hands out the function
    monkeypatch.setattr(module, "predict", lambda model, task, split: (logits, torch.tensor([0, 1])))
    assert ct.finetune(*parent_and_task, "head_only", **SMALL).constant is constant


def test_bad_settings_are_errors(parent_and_task):
    parent, task = parent_and_task
    with pytest.raises(ValueError, match=r"recipe='childtuning-d'.*vanilla"):
        ct.finetune(parent, task, "childtuning-d", **SMALL)
    with pytest.raises(ValueError, match="p=0"):
        ct.finetune(parent, task, "vanilla", p=0, **SMALL)
    with pytest.raises(ValueError, match="estimator='fisher'"):
        ct.finetune(parent, task, "F", estimator="fisher", **SMALL)
    with pytest.raises(ValueError, match="scope"):
        ct.finetune(parent, task, "D", scope=lambda name: "nowhere" in name, **SMALL)
    for name, odd in (("epochs", 0), ("epochs", 1.5), ("warmup", 2.0), ("max_grad_norm", -1.0), ("record_every", -1)):
        with pytest.raises(ValueError, match=f"{name}={odd}"):
            ct.finetune(parent, task, "vanilla", **{**SMALL, name: odd})
    three = copy.deepcopy(parent)
    three.config.num_labels = 3
    with pytest.raises(ValueError, match="num_labels=3"):
        ct.finetune(three, task, "F", **SMALL)
