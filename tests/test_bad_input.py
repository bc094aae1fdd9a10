"""Odd arguments in any combination: an error that names one of them, or a child and a mask that really are p of it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny_bert

import childtune_lite as ct
from childtune_lite.recipes import RECIPES, Setting, set_up

ODD = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    0.0,
    0.3,
    1.0,
    -0.3,
    1.5,
    math.nan,
    math.inf,
    "0.3",
    "F",
    "",
    b"x",
    (),
    [0.3],
    {},
    1j,
]
quick = settings(deadline=None, max_examples=150)


class Blocks(torch.nn.Module):
    """Four matrices of 1,000 entries, two of them in the default scope."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(25, 40, bias=False) for _ in range(2))
        self.embed, self.head = (torch.nn.Linear(25, 40, bias=False) for _ in range(2))


def is_share(p):
    return isinstance(p, (int, float)) and not isinstance(p, bool) and 0 < p <= 1


@quick
@given(
    p=st.just(0.3) | st.floats(0, 1) | st.sampled_from(ODD) | st.floats(),
    seed=st.integers() | st.just(0) | st.sampled_from(ODD),
    scope=st.sampled_from(
        [
            None,
            ct.encoder_scope,
            lambda name: True,
            lambda name: False,
            lambda name: name == "head",
            "layers",
            3,
            ["head"],
        ]
    ),
    named=st.booleans(),
)
def test_F_masks_its_scope_or_says_why_not(p, seed, scope, named):
    model = Blocks()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    try:
        ct.BernoulliMask(p, seed, scope).attach(optimizer, model if named else None)
    except ValueError as found:
        error = str(found)
    else:
        error = None
    if error is not None:
        assert any(word in error for word in ("p=", "seed=", "scope"))
        return
    assert is_share(p)
    assert isinstance(seed, int)
    for param in model.parameters():
        param.grad = torch.ones_like(param)
    optimizer.step()
    names = [name for name, _ in model.named_parameters()] if named else [f"0.{i}" for i in range(4)]
    in_scope = [scope is None or scope(name) for name in names]
    assert any(in_scope)
    for inside, param in zip(in_scope, model.parameters(), strict=True):
        kept = (param.grad != 0).float().mean().item()
        assert abs(kept - (p if inside else 1)) <= 6 * math.sqrt(p * (1 - p) / 1000) + 1e-3 * (p < 1e-3)


values = st.sampled_from([0.0, -0.0, 0.5, 1.0, 3e38, 1e-42, math.inf, -math.inf, math.nan, -1.0])


@st.composite
def odd_scores(draw):
    kinds = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.bool, torch.complex64]
    made = {}
    for name in draw(st.lists(st.sampled_from(["layers.0.weight", "layers.1.weight", "x"]), unique=True, max_size=3)):
        shape = draw(st.sampled_from([(), (0,), (1,), (3, 4), (40, 25), (2, 0, 3)]))
        tensor = torch.full(shape, draw(st.sampled_from([0.0, 0.5])), dtype=torch.float64)
        for position in draw(st.lists(st.integers(0, 10**4), max_size=3)):
            if tensor.numel():
                tensor.view(-1)[position % tensor.numel()] = draw(values)
        dtype = draw(st.sampled_from(kinds))
        tensor = tensor.nan_to_num(0).to(dtype) if dtype in (torch.int32, torch.bool) else tensor.to(dtype)
        tensor = tensor.T if tensor.dim() == 2 and draw(st.booleans()) else tensor
        made[name] = draw(st.sampled_from([tensor, tensor, tensor, tensor, None, [0.5, 0.1]]))
    return draw(st.sampled_from([made, made, made, made, None, list(made.values())]))


@settings(deadline=None, max_examples=200)
@given(
    scores=odd_scores(),
    p=st.just(0.3) | st.floats(0, 1) | st.sampled_from(ODD),
    choose=st.sampled_from(["top", "bottom", "random"]),
)
def test_a_child_has_round_pN_entries_or_says_why_not(scores, p, choose):
    try:
        child = getattr(ct.Child, choose)(scores, p)
    except ValueError as found:
        error = str(found)
    else:
        error = None
    if error is not None:
        assert any(word in error for word in ("p=", "scores"))
        return
    assert is_share(p)
    total = sum(s.numel() for s in scores.values())
    assert child.size == round(p * total) == sum(int(child.mask(name).sum()) for name in scores)
    assert child.size > 0
    model = Blocks()
    fits = all(name in dict(model.named_parameters()) and s.shape == (40, 25) for name, s in scores.items())
    if not fits:
        with pytest.raises(ValueError, match="does not fit"):
            child.parameters(model)
        return
    optimizer = torch.optim.SGD(child.parameters(model), lr=1.0)
    child.attach(optimizer)
    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    for param in model.parameters():
        param.grad = torch.ones_like(param)
    optimizer.step()
    for name, param in model.named_parameters():
        moved = child.mask(name) if name in child.indices else torch.ones_like(param, dtype=torch.bool)
        assert torch.equal(param != before[name], moved)


@settings(deadline=None, max_examples=50)
@given(
    recipe=st.sampled_from([*RECIPES, "f", "d", "childtuning-d", "D_", "", None, 1, ("D",)]),
    p=st.sampled_from([0.3, 0.3, 0.3, 1, 0, -1, 1.5, math.nan, "0.3", None]),
    estimator=st.sampled_from(["per_example", "per_batch", "fisher", "", None, 3]),
    scope=st.sampled_from([None, lambda name: "layer.1." in name, lambda name: False, "layer"]),
    seed=st.sampled_from([0, 3, None, "0", 1.5]),
)
def test_a_recipe_masks_or_says_why_not(recipe, p, estimator, scope, seed):
    """Recipes with a mask, by any misspelling, never end as an ordinary optimizer."""
    model = tiny_bert()
    batch = {"input_ids": torch.randint(1, 50, (2, 6)), "labels": torch.tensor([0, 1])}
    try:
        arm = set_up(recipe, model, Setting(p, 0.1, 0.0, seed, estimator, scope, [batch]))
    except ValueError:
        return
    if recipe in ("vanilla", "vanilla_sqrt_p", "head_only", "bitfit", "lora", "mixout", "decay_to_parent"):
        return  # these have no mask to lose
    assert recipe in RECIPES
    assert is_share(p)
    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    model(**batch).loss.backward()
    arm.optimizer.step()
    name = "bert.encoder.layer.1.output.dense.weight"
    moved = (model.get_parameter(name) != before[name]).float().mean().item()
    assert p == 1 or moved < 0.75
