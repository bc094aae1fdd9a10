"""Fisher scores: three estimators against slow, obvious references; nothing of the user's is disturbed."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import backward

import childtune_lite as ct
from childtune_lite.per_example import PerExampleSquares


def examples(batch):
    for b in range(len(batch["labels"])):
        yield {k: v[b : b + 1] for k, v in batch.items()}


def gradients(model, names):
    return {
        n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in model.named_parameters() if n in names
    }


def slow_per_example(model, batches, names):
    """One example at a time through `.backward()`, squared, averaged."""
    total, count = {}, 0
    for example in (e for batch in batches for e in examples(batch)):
        backward(model, example)
        for name, grad in gradients(model, names).items():
            total[name] = total.get(name, 0) + grad**2
        count += 1
    model.zero_grad()
    return {name: t / count for name, t in total.items()}


def slow_per_batch(model, batches, names):
    """The released recipe in our own words, in evaluation mode without clipping: square each batch's gradient."""
    total = {}
    for batch in batches:
        backward(model, batch)
        for name, grad in gradients(model, names).items():
            total[name] = total.get(name, 0) + grad**2 / len(batches)
    model.zero_grad()
    return total


def slow_expected(model, batches, names):
    """For each example, the squared gradient of each label's log-probability, weighted by that probability."""
    total, count = {}, 0
    for example in (e for batch in batches for e in examples(batch)):
        log_p = F.log_softmax(model(**example).logits[0], dim=-1)
        for c in range(len(log_p)):
            model.zero_grad()
            log_p[c].backward(retain_graph=True)
            for name, grad in gradients(model, names).items():
                total[name] = total.get(name, 0) + log_p[c].exp().detach() * grad**2
        count += 1
    model.zero_grad()
    return {name: t / count for name, t in total.items()}


SLOW = {"per_example": slow_per_example, "per_batch": slow_per_batch, "expected": slow_expected}


def assert_same(scores, reference, tol=1e-5):
    """Equal to `tol` of a tensor's largest score, or of the network's where scores are zero but for rounding."""
    assert list(scores) == list(reference)
    largest = max(r.max() for r in reference.values())
    for name, score in scores.items():
        slack = max(tol * reference[name].max().item(), 1e-3 * tol * largest.item())
        assert (score - reference[name]).abs().max().item() <= slack, name


@pytest.fixture
def no_fallback(monkeypatch):
    """Make the slow path an error, so that a test knows the shortcut was taken."""

    def refuse(self, batch, size, names):
        raise AssertionError(f"fell back to one example at a time for {names[:3]}")

    monkeypatch.setattr(PerExampleSquares, "_add_one_at_a_time", refuse)


@pytest.mark.parametrize("estimator", SLOW)
def test_estimators_equal_their_definitions(tiny, batches, estimator, no_fallback):
    scores = ct.fisher_scores(tiny, batches, estimator)
    names = [n for n, _ in tiny.named_parameters() if ct.encoder_scope(n)]
    assert_same(scores, SLOW[estimator](tiny, batches, names))
    assert all(s.dtype == torch.float32 for s in scores.values())


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["per_example", "per_batch"])
def test_estimators_equal_their_definitions_on_the_real_parent(minilm, estimator, no_fallback):
    parent, tokenizer = minilm
    task = ct.load_task("entailment", tokenizer, n_train=12, n_validation=10)
    batches = list(task.batches("train", 6))
    scores = ct.fisher_scores(parent, batches, estimator)
    assert_same(scores, SLOW[estimator](parent, batches, list(scores)))


@pytest.mark.parametrize("estimator", ["per_example", "expected"])
def test_every_parameter_of_the_network_can_be_scored(tiny, batches, estimator):
    """Embeddings (with a padding row, and positions shared by all examples), LayerNorms, pooler and head as well."""
    everything = [n for n, _ in tiny.named_parameters()]
    scores = ct.fisher_scores(tiny, batches, estimator, scope=lambda name: True)
    assert_same(scores, SLOW[estimator](tiny, batches, everything), tol=1e-4)


class Odd(torch.nn.Module):
    """All that the shortcut does not cover by itself: a convolution, a raw parameter, a weight used twice, one used
    outside its layer, an in-place activation."""

    def __init__(self, twice=True, token_mean=False):
        super().__init__()
        self.layer = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.Conv1d(1, 4, 1)])
        self.layer.append(torch.nn.Module())
        self.layer[3].scale = torch.nn.Parameter(torch.rand(4))
        self.layer[3].tied = self.layer[0].weight if twice else torch.nn.Parameter(torch.rand(4, 4))
        self.head = torch.nn.Linear(4, 3)
        self.token_mean = token_mean

    def forward(self, x, labels):
        h = torch.relu_(self.layer[0](x))
        h = self.layer[1](self.layer[1](h)) + F.linear(h, self.layer[3].tied)
        h = h + self.layer[2](h.unsqueeze(1)).mean(-1)
        logits = self.head(h * self.layer[3].scale)
        each = F.cross_entropy(logits, labels, reduction="none")
        weight = x[:, 0].abs() if self.token_mean else torch.ones(len(x))
        return Output((each * weight).sum() / weight.sum(), logits)


class Output:
    def __init__(self, loss, logits):
        self.loss, self.logits = loss, logits


@pytest.fixture
def odd_batches():
    generator = torch.Generator().manual_seed(0)
    return [
        {"x": torch.randn(5, 4, generator=generator), "labels": torch.randint(0, 3, (5,), generator=generator)}
        for _ in range(2)
    ]


@pytest.mark.parametrize("estimator", ["per_example", "expected"])
@pytest.mark.parametrize("twice", [True, False])
def test_odd_layers_and_shared_weights_are_exact(odd_batches, estimator, twice):
    torch.manual_seed(0)
    model = Odd(twice)
    scores = ct.fisher_scores(model, odd_batches, estimator)
    assert_same(scores, SLOW[estimator](model, odd_batches, list(scores)))


def test_loss_that_is_no_mean_over_examples_is_exact(odd_batches):
    torch.manual_seed(0)
    model = Odd(token_mean=True)
    scores = ct.fisher_scores(model, odd_batches)
    assert_same(scores, slow_per_example(model, odd_batches, list(scores)))


def test_loss_that_is_a_mean_in_the_first_batch_only_is_exact(odd_batches):
    torch.manual_seed(0)
    model = Odd(token_mean=True)
    odd_batches[0]["x"][:, 0] = 1.0  # equal weights: here the loss is a plain mean over examples
    scores = ct.fisher_scores(model, odd_batches)
    assert_same(scores, slow_per_example(model, odd_batches, list(scores)))


def test_module_called_twice_adds_up_before_it_squares(odd_batches, no_fallback):
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.ModuleList([torch.nn.Linear(4, 4)])
            self.head = torch.nn.Linear(4, 3)

        def forward(self, x, labels):
            logits = self.head(self.layer[0](torch.tanh(self.layer[0](x))))
            return Output(F.cross_entropy(logits, labels), logits)

    torch.manual_seed(0)
    model = Twice()
    scores = ct.fisher_scores(model, odd_batches)
    assert_same(scores, slow_per_example(model, odd_batches, list(scores)))


def test_expected_score_of_a_regression_is_the_squared_slope(odd_batches):
    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.ModuleList([torch.nn.Linear(4, 1)])

        def forward(self, x, labels):
            logits = self.layer[0](x)
            return Output(F.mse_loss(logits.squeeze(1), labels.float()), logits)

    scores = ct.fisher_scores(Line(), odd_batches, "expected")
    x = torch.cat([b["x"] for b in odd_batches])
    torch.testing.assert_close(scores["layer.0.weight"][0], (x**2).mean(0))


def test_logistic_regression_has_its_textbook_fisher_information(odd_batches):
    """For two classes with p = sigmoid(z): the expected squared score of w_i is the mean of p (1 - p) x_i^2."""

    class Logistic(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.ModuleList([torch.nn.Linear(4, 1)])

        def forward(self, x, labels):
            z = self.layer[0](x)
            logits = torch.cat([torch.zeros_like(z), z], dim=1)
            return Output(F.cross_entropy(logits, labels.clamp(max=1)), logits)

    torch.manual_seed(0)
    model = Logistic()
    scores = ct.fisher_scores(model, odd_batches, "expected")
    x = torch.cat([b["x"] for b in odd_batches])
    p = torch.sigmoid(model.layer[0](x)).detach()
    torch.testing.assert_close(scores["layer.0.weight"][0], (p * (1 - p) * x**2).mean(0))


def test_nothing_of_the_users_is_disturbed(tiny, batches):
    tiny.train()
    tiny.bert.encoder.layer[0].eval()  # a mixed training mode comes back as it was
    modes = [m.training for m in tiny.modules()]
    backward(tiny, batches[0])
    grads = [p.grad.clone() for p in tiny.parameters()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    for settings in ({}, {"estimator": "per_batch"}, {"estimator": "expected"}, {"dropout_seed": 3}):
        ct.fisher_scores(tiny, batches, **settings)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tolist())
    assert modes == [m.training for m in tiny.modules()]
    assert all(torch.equal(g, p.grad) for g, p in zip(grads, tiny.parameters(), strict=True))
    assert not any(m._forward_hooks for m in tiny.modules())


def test_dropout_makes_the_scores_depend_on_its_seed(tiny, batches):
    first, same, other = (ct.fisher_scores(tiny, batches, dropout_seed=s) for s in (0, 0, 1))
    name = next(iter(first))
    assert torch.equal(first[name], same[name])
    assert not torch.equal(first[name], other[name])


def test_batch_size_does_not_matter_to_per_example(tiny, batches):
    one = [e for batch in batches for e in examples(batch)]
    assert_same(ct.fisher_scores(tiny, one), ct.fisher_scores(tiny, batches))


@pytest.mark.parametrize(
    "name",
    [
        "bert.encoder.layer.0.output.dense.weight",
        "h.11.attn.c_attn.weight",
        "model.layers.3.mlp.w",
        "blocks.2.x",
        "block.0.w",
    ],
)
def test_default_scope_is_the_numbered_blocks(name):
    assert ct.encoder_scope(name)


@pytest.mark.parametrize(
    "name", ["embeddings.LayerNorm.weight", "bert.pooler.dense.weight", "layernorm.weight", "player.1.w"]
)
def test_default_scope_leaves_the_rest(name):
    assert not ct.encoder_scope(name)


def test_errors_name_the_argument_and_the_way_out(tiny, batches):
    with pytest.raises(ValueError, match=r"estimator='fisher'.*per_example"):
        ct.fisher_scores(tiny, batches, "fisher")
    with pytest.raises(ValueError, match=r"scope=.*none"):
        ct.fisher_scores(tiny, batches, scope=lambda name: False)
    with pytest.raises(ValueError, match="batches is empty"):
        ct.fisher_scores(tiny, [])
    without = [{k: v for k, v in b.items() if k != "labels"} for b in batches]
    for estimator in ("per_example", "per_batch"):
        with pytest.raises(ValueError, match="labels"):
            ct.fisher_scores(tiny, without, estimator)
    with torch.no_grad():
        tiny.classifier.weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        ct.fisher_scores(tiny, batches)


def test_scores_of_a_wrapped_model_go_by_the_names_of_the_model_itself(tiny, batches):
    """torch.compile and DistributedDataParallel put something in front of each name; a child goes by what is behind."""

    class Wrapper(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.module = model

        def forward(self, **batch):
            return self.module(**batch)

    plain = ct.fisher_scores(tiny, batches)
    wrapped = ct.fisher_scores(Wrapper(tiny), batches)
    assert plain.keys() == wrapped.keys()
    assert all(torch.equal(plain[name], wrapped[name]) for name in plain)
    assert ct.Child.top(wrapped, p=0.3).parameters(Wrapper(tiny))
