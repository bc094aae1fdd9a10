"""The bytes of a training step: foretold ones against those that a real run holds."""

import copy

import pytest
import torch
from support import visit

import childtune_lite as ct
from childtune_lite import memory


@pytest.fixture
def child(tiny, batches):
    return ct.Child.top(ct.fisher_scores(tiny, batches), p=0.2)


def held(tiny, batches, child, recipe, dtype=torch.float32, outside_trains=True):
    model = copy.deepcopy(tiny).to(dtype)
    for name, param in model.named_parameters():
        param.requires_grad_(outside_trains or name in child.indices)
    on_child = recipe.startswith("D")
    trained = child.parameters(model) if on_child else [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)
    if on_child:
        child.attach(optimizer, lean=recipe == "D lean")
    for _ in range(2):
        optimizer.step()
        optimizer.zero_grad()
        model(**batches[0]).loss.backward()
    return memory.held_bytes(model, optimizer, child if on_child else None)


@pytest.mark.parametrize("outside_trains", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", memory.RECIPES)
def test_foretold_is_held_byte_for_byte(tiny, batches, child, recipe, dtype, outside_trains):
    count = sum(p.numel() for p in tiny.parameters())
    foretold = memory.training_bytes(
        count, recipe, p=child.size / child.total, masked=child.total / count, outside_trains=outside_trains,
        dtype=str(dtype).removeprefix("torch."),
    )  # fmt: skip
    # F keeps nothing of its own, its mask is computed; the next test says so.
    run = "AdamW" if recipe == "F" else recipe
    assert foretold == held(tiny, batches, child, run, dtype, outside_trains)


def test_f_holds_what_plain_adamw_holds(tiny, batches):
    def bytes_of(masked):
        model = copy.deepcopy(tiny)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        if masked:
            ct.BernoulliMask(0.3).attach(optimizer, model)
        for _ in range(2):
            optimizer.step()
            model(**batches[0]).loss.backward()
        return memory.held_bytes(model, optimizer)

    assert bytes_of(True) == bytes_of(False)


def test_activations_grow_with_the_batch_and_leave_out_the_weights(tiny, batches):
    tiny.train()
    one, two = ({k: v[:n] for k, v in batches[0].items()} for n in (2, 4))
    small, large = memory.saved_for_backward(tiny, one), memory.saved_for_backward(tiny, two)
    assert 1.7 * small < large < 2.1 * small
    first, second, x = torch.nn.Linear(8, 4), torch.nn.Linear(4, 2), torch.randn(3, 8)

    class Net(torch.nn.Module):
        def forward(self, x):
            return type("Out", (), {"loss": second(first(x)).sum()})

    net, inputs, weight = Net(), 4 * (3 * 8 + 3 * 4), 4 * second.weight.numel()
    assert memory.saved_for_backward(net, {"x": x}) == inputs + weight  # the weight is not known to be the network's
    net.second = second
    assert memory.saved_for_backward(net, {"x": x}) == inputs


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"recipe": "d"}, "recipe='d'"),
        ({"recipe": "D", "p": 0}, "p=0"),
        ({"recipe": "D", "masked": 1.2}, "masked=1.2"),
        ({"recipe": "F", "dtype": "int8"}, "dtype='int8'"),
    ],
)
def test_bad_input_says_what_to_do(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        memory.training_bytes(100, **arguments)


def test_calculator_everywhere():
    """Over the full grid: the text holds the sizes of `training_bytes`, in GiB."""
    from childtune_lite.views.scaling import NETWORKS

    for settings, text in visit(ct.views.memory_calculator()):
        parameters, masked = NETWORKS[settings["network"]]
        for recipe in memory.RECIPES:
            row = memory.training_bytes(
                parameters, recipe, settings["p"], masked, settings["outside"] == "train", settings["dtype"]
            )
            line = next(line for line in text.splitlines() if line[:8].strip() == recipe)
            sizes = [size / 2**30 for size in (*row.values(), sum(row.values()))]
            assert [float(v) for v in line[8:].split()] == pytest.approx(sizes, abs=6e-4)


def test_the_networks_of_the_calculator_are_what_they_say(minilm):
    from transformers import AutoModelForSequenceClassification, BertConfig

    from childtune_lite.bench_large import large_config
    from childtune_lite.views.scaling import NETWORKS

    with torch.device("meta"):
        large = AutoModelForSequenceClassification.from_config(large_config())
        base = AutoModelForSequenceClassification.from_config(BertConfig(num_labels=2))
    for name, model in (("this parent", minilm[0]), ("BERT-base", base), ("BERT-large", large)):
        count = sum(p.numel() for p in model.parameters())
        masked = sum(p.numel() for n, p in model.named_parameters() if ct.encoder_scope(n)) / count
        assert NETWORKS[name] == (count, pytest.approx(masked, abs=6e-4)), name
