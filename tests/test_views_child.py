"""Notebook 03's widget: everything it shows, against children chosen anew by `Child.top`."""

import math
import re

import pytest
import torch
from support import drawn, visit

import childtune_lite as ct
from childtune_lite.plots.child import short_kind
from childtune_lite.views.child import SHARES
from childtune_lite.views.child_levels import nested_children, shared_counts

ESTIMATORS = ("per_example", "per_batch", "expected")


@pytest.fixture
def tiny_scores(tiny, batches):
    others = [{**batch, "input_ids": batch["input_ids"].flip(1)} for batch in batches]
    return {
        task: {e: ct.fisher_scores(tiny, data, e) for e in ESTIMATORS}
        for task, data in (("first", batches), ("second", others))
    }


def scoped(scores, scope):
    """The scope by its definition, in words of the test: which names stay."""
    keep = {"all blocks": r"", "attention only": r"attention", "feed-forward only": r"^((?!attention).)*$"}[scope]
    return {name: score for name, score in scores.items() if re.search(keep, name)}


def lowest(child, scores):
    return min(scores[n].flatten()[i.long()].min().item() for n, i in child.indices.items() if i.numel())


def number(pattern, text):
    return float(re.search(pattern, text)[1].replace(",", ""))


def assert_text_is_of(text, mine, theirs, p):
    """Every number in the text, recomputed from two children that `Child.top` chooses."""
    child, other = ct.Child.top(mine, p), ct.Child.top(theirs, p)
    assert number(r": ([\d,]+) of the", text) == child.size
    assert number(r"of the ([\d,]+) entries", text) == child.total
    if p < 1:
        assert f": {lowest(child, mine):.2e}\n" in text
    else:
        assert "every entry trains" in text
    assert number(r"second: ([\d.]+) \(", text) == pytest.approx(child.overlap(other), abs=0.0051)
    assert number(r"chance ([\d.]+)\)", text) == p
    rates = ct.plots.keep_rates(child)
    shown = dict(re.findall(r"(?:: |,\s+)([A-Za-z][A-Za-z ]+) ([\d.]+)(?=,|\n)", text.split("share that trains")[1]))
    matrices = {kind for kind in rates if "bias" not in kind and "LayerNorm" not in kind}
    assert set(shown) == matrices | {"biases", "LayerNorms"}
    for kind in matrices:
        assert float(shown[kind]) == pytest.approx(rates[kind], abs=0.0051)
    norms = [name for name in mine if "LayerNorm" in name]
    held = sum(child.indices[name].numel() for name in norms) / sum(mine[name].numel() for name in norms)
    assert float(shown["LayerNorms"]) == pytest.approx(held, abs=0.0051)


# ---- the counting behind it


def with_ties(seed):
    """Scores of 0, 1, 2 and 3 only, two thirds of them 0; names that are not in the order of the alphabet."""
    draw = torch.Generator().manual_seed(seed)
    shapes = {"b": (40, 5), "a": (30,), "c": (7, 7)}
    return {name: (torch.randint(-5, 4, shape, generator=draw)).clamp(0).float() for name, shape in shapes.items()}


def test_levels_are_the_children_that_child_top_chooses_ties_and_all():
    scores = with_ties(0)
    nested = nested_children(scores, SHARES)
    for i, p in enumerate(SHARES):
        child = ct.Child.top(scores, p)
        assert nested.sizes[i] == child.size
        assert nested.thresholds[i] == lowest(child, scores)
        for name in scores:
            assert torch.equal(nested.levels[name] >= len(SHARES) - i, child.mask(name).flatten()), (p, name)


def test_shared_counts_answer_for_every_pair_of_shares():
    mine, theirs = with_ties(1), with_ties(2)
    tables = shared_counts(nested_children(mine, SHARES), nested_children(theirs, SHARES))
    for i, p in enumerate(SHARES):
        for j, q in enumerate(SHARES):
            child, other = ct.Child.top(mine, p), ct.Child.top(theirs, q)
            assert sum(int(t[i, j]) for t in tables.values()) == round(child.overlap(other) * child.size)
        assert {name: int(t[i, -1]) for name, t in tables.items()} == {n: x.numel() for n, x in child.indices.items()}


@pytest.mark.parametrize(
    ("scores", "complaint"),
    [
        ({"a": torch.tensor([1.0, float("nan")] * 100)}, "NaN or negative"),
        ({"a": torch.full((200,), -1.0)}, "NaN or negative"),
        ({"a": torch.ones(20)}, "none of them"),
    ],
)
def test_scores_without_an_order_or_too_few_are_refused(scores, complaint):
    with pytest.raises(ValueError, match=complaint):
        nested_children(scores, SHARES)


# ---- the view


def test_child_on_the_map_everywhere(tiny_scores):
    """Over the full grid: it draws, and each number is that of the children themselves."""
    for settings, text in visit(ct.views.child_on_the_map(tiny_scores)):
        mine, theirs = (scoped(s[settings["estimator"]], settings["scope"]) for s in tiny_scores.values())
        assert_text_is_of(text, mine, theirs, settings["p"])


@pytest.mark.parametrize("scope", ["all blocks", "attention only", "feed-forward only"])
def test_the_map_holds_the_childs_shares_and_nothing_outside_the_scope(tiny_scores, scope):
    figure, _ = ct.views.child_on_the_map(tiny_scores).draw(p=0.3, estimator="per_batch", scope=scope)
    grid = figure.axes[0].images[0].get_array()
    everything = tiny_scores["first"]["per_batch"]
    child = ct.Child.top(scoped(everything, scope), 0.3)
    kinds = list(dict.fromkeys(map(short_kind, everything)))
    labels = {label.get_text() for label in figure.axes[0].texts}
    rates = ct.plots.keep_rates(child)
    for name in everything:
        place = kinds.index(short_kind(name)), int(re.search(r"layer\.(\d)", name)[1])
        if name in child.shapes:
            assert grid[place] == pytest.approx(child.mask(name).float().mean().item())
            assert f"{short_kind(name)}   {rates[short_kind(name)]:.2f}" in labels
        else:
            assert not grid.filled(math.nan)[place] >= 0
    assert ("outside the scope:\ntrains whole" in labels) == (scope != "all blocks")


def test_the_histogram_is_of_the_scores_and_filled_from_the_threshold_on(tiny_scores):
    figure, _ = ct.views.child_on_the_map(tiny_scores).draw(p=0.1, estimator="per_example", scope="all blocks")
    scores = tiny_scores["first"]["per_example"]
    line, filled = (patch.get_data() for patch in figure.axes[1].patches)
    joined = torch.cat([s.flatten() for s in scores.values()]).log10()
    for count, low, high in zip(line.values, line.edges, line.edges[1:], strict=False):
        inside = ((joined >= low) & (joined < high)).float().mean().item()
        assert count == pytest.approx(inside, abs=2 / len(joined))  # log10 may round over an edge
    assert line.values.sum() > 0.99
    assert filled.edges[0] == pytest.approx(math.log10(lowest(ct.Child.top(scores, 0.1), scores)))
    assert filled.edges[-1] == line.edges[-1]
    assert list(filled.values) == list(line.values[-len(filled.values) :])


def test_on_the_real_parent_it_agrees_with_child_top(minilm):
    parent, tokenizer = minilm
    scores = {}
    for label, name in (("first", "entailment"), ("second", "acceptability")):
        data = list(ct.load_task(name, tokenizer, n_train=8, n_validation=8).batches("train", 4, seed=0))
        scores[label] = {e: ct.fisher_scores(parent, data, e) for e in ("per_example", "per_batch")}
    view = ct.views.child_on_the_map(scores)
    for p, estimator, scope in (
        (0.01, "per_batch", "all blocks"),
        (0.3, "per_example", "attention only"),
        (0.8, "per_batch", "feed-forward only"),
    ):
        mine, theirs = (scoped(s[estimator], scope) for s in scores.values())
        assert_text_is_of(view.draw(p=p, estimator=estimator, scope=scope)[1], mine, theirs, p)


def test_no_picture_warns_and_no_text_leaves_it(tiny_scores):
    view = ct.views.child_on_the_map(tiny_scores)
    for name, choice in view.controls.items():
        for value in choice.options:
            figure = drawn(view.draw(**{**view.defaults, name: value})[0])
            width, height = figure.canvas.get_width_height()
            for text in [t for axis in figure.axes for t in (*axis.texts, axis.xaxis.label, axis.yaxis.label)]:
                box = text.get_window_extent()
                assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= 0, text


def test_scores_that_are_mostly_zero_have_a_child_and_a_picture_too(tiny_scores):
    """The threshold is 0 then: it has no logarithm, and it is shared by more entries than there is room for."""
    sparse = {t: {"e": {n: x * (x > x.median() * 8) for n, x in s["expected"].items()}} for t, s in tiny_scores.items()}
    figure, text = ct.views.child_on_the_map(sparse).draw(p=0.8, estimator="e", scope="all blocks")
    drawn(figure)
    assert "threshold (e): 0.00e+00" in text
    assert_text_is_of(text, *(s["e"] for s in sparse.values()), 0.8)


def test_bad_input_is_refused_with_its_name(tiny_scores):
    first, second = tiny_scores.values()
    with pytest.raises(ValueError, match=r"1 task\(s\), \['first'\]"):
        ct.views.child_on_the_map({"first": first})
    with pytest.raises(ValueError, match=r"'per_example', 'per_batch'\] for 'b'"):
        ct.views.child_on_the_map({"a": first, "b": {e: second[e] for e in ESTIMATORS[:2]}})
    fewer = {**second, "expected": dict(list(second["expected"].items())[1:])}
    with pytest.raises(ValueError, match=r"\['b'\]\['expected'\] has other parameters.*query.weight"):
        ct.views.child_on_the_map({"a": first, "b": fewer})
    with pytest.raises(ValueError, match="no parameter belongs to 'attention only'"):
        ct.views.child_on_the_map({t: {"e": scoped(first["expected"], "feed-forward only")} for t in "ab"})
    with pytest.raises(ValueError, match=r"'pooler'\] are in no numbered block"):
        ct.views.child_on_the_map({t: {"e": {**first["expected"], "pooler": torch.ones(4)}} for t in "ab"})
