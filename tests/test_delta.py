"""The tuned delta as a file: small, exact, refused by another parent, and no pickle."""

import copy

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from test_child import child_of
from test_masks import train

import childtune_lite as ct


def tuned_from(parent, batches, child=None, steps=3):
    model, child = copy.deepcopy(parent), child or child_of(parent)
    optimizer = torch.optim.AdamW(child.parameters(model), lr=0.01)
    child.attach(optimizer)
    train(model, optimizer, batches, steps)
    return model, child


def assert_bit_equal(one, other):
    assert list(one.state_dict()) == list(other.state_dict())
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor.contiguous().flatten().view(torch.uint8), _bytes(other.state_dict()[name])), name


def _bytes(tensor):
    return tensor.contiguous().flatten().view(torch.uint8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tuned_network_comes_back_bit_for_bit(tiny, batches, tmp_path, dtype):
    parent = copy.deepcopy(tiny).to(dtype)
    tuned, child = tuned_from(parent, batches)
    with torch.no_grad():  # numbers that compare as equal, or as unequal to themselves, and are bits all the same
        tuned.classifier.bias[:2] = torch.tensor([-0.0, float("nan")])
        parent.classifier.bias[:2] = 0.0
    ct.save_delta(tmp_path / "delta.safetensors", child, tuned, parent)
    fresh = copy.deepcopy(parent)
    loaded = ct.apply_delta(tmp_path / "delta.safetensors", fresh)
    assert loaded.overlap(child) == 1
    assert_bit_equal(fresh, tuned)
    ct.apply_delta(tmp_path / "delta.safetensors", fresh)  # once more changes nothing
    assert_bit_equal(fresh, tuned)


@pytest.mark.slow
def test_on_the_real_parent_with_frozen_embeddings_the_file_is_small(minilm, tmp_path):
    parent = copy.deepcopy(minilm[0])
    for name, param in parent.named_parameters():
        param.requires_grad_("embeddings" not in name)
    task = ct.load_task("entailment", minilm[1], n_train=16, n_validation=10)
    child = ct.Child.top(ct.fisher_scores(parent, task.batches("train", 8)), 0.2)
    tuned, _ = tuned_from(parent, list(task.batches("train", 8)), child, steps=2)
    path = tmp_path / "delta.safetensors"
    ct.save_delta(path, child, tuned, parent)
    outside = sum(p.numel() for n, p in parent.named_parameters() if p.requires_grad and n not in child.indices)
    assert path.stat().st_size == pytest.approx(8 * child.size + 4 * outside, rel=0.01)
    fresh, _ = ct.load_parent("minilm", num_labels=2, seed=7)  # another draw of the head: it is replaced
    ct.apply_delta(path, fresh)
    assert_bit_equal(fresh, tuned)


def test_only_what_differs_is_kept_whole(tiny, batches, tmp_path):
    tiny.bert.embeddings.requires_grad_(False)
    tuned, child = tuned_from(tiny, batches)
    ct.save_delta(tmp_path / "d", child, tuned, tiny)
    kept = {key.removeprefix("whole/") for key in load_file(tmp_path / "d") if key.startswith("whole/")}
    assert kept == {n for n, p in tiny.named_parameters() if p.requires_grad and n not in child.indices}


def test_buffers_come_along_and_tied_weights_stay_tied(tmp_path):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)])
            self.layer[1].weight = self.layer[0].weight
            self.norm = torch.nn.BatchNorm1d(4)

    parent = Net()
    tuned = copy.deepcopy(parent)
    child = ct.Child.top({"layer.0.weight": torch.rand(4, 4)}, 0.5)
    with torch.no_grad():
        tuned.layer[0].weight.view(-1)[child.indices["layer.0.weight"].long()] += 1
        tuned.norm.running_mean += 1
        tuned.norm.num_batches_tracked += 3
    ct.save_delta(tmp_path / "d", child, tuned, parent)
    ct.apply_delta(tmp_path / "d", parent)
    assert_bit_equal(parent, tuned)
    assert parent.layer[1].weight is parent.layer[0].weight
    untied = copy.deepcopy(parent)  # the same numbers, but two tensors of them
    untied.layer[1].weight = torch.nn.Parameter(untied.layer[0].weight.detach().clone())
    with pytest.raises(ValueError, match="another parent"):
        ct.apply_delta(tmp_path / "d", untied)


def test_another_parent_is_refused_and_left_as_it_is(tiny, batches, tmp_path):
    tuned, child = tuned_from(tiny, batches)
    ct.save_delta(tmp_path / "d", child, tuned, tiny)
    name = next(iter(child.indices))
    outside = int((~child.mask(name)).flatten().nonzero()[0])
    other = copy.deepcopy(tiny)
    with torch.no_grad():
        other.get_parameter(name).view(-1)[outside] += 1e-3  # a single weight
    before = copy.deepcopy(other)
    with pytest.raises(ValueError, match="another parent"):
        ct.apply_delta(tmp_path / "d", other)
    assert_bit_equal(other, before)
    with pytest.raises(ValueError, match="dtype"):
        ct.apply_delta(tmp_path / "d", copy.deepcopy(tiny).half())
    two_labels = copy.deepcopy(tiny)
    two_labels.classifier = torch.nn.Linear(16, 2)
    with pytest.raises(ValueError, match="num_labels"):
        ct.apply_delta(tmp_path / "d", two_labels)
    with pytest.raises(ValueError, match="does not fit"):
        ct.apply_delta(tmp_path / "d", torch.nn.Linear(2, 2))


def test_a_network_that_was_tuned_in_another_way_has_no_delta(tiny, batches, tmp_path):
    tuned, child = tuned_from(tiny, batches)
    with torch.no_grad():
        tuned.bert.encoder.layer[0].output.dense.weight.add_(1)
    with pytest.raises(ValueError, match="outside the child"):
        ct.save_delta(tmp_path / "d", child, tuned, tiny)
    with pytest.raises(ValueError, match="not the same network"):
        ct.save_delta(tmp_path / "d", child, tuned.half(), tiny)


def test_files_that_are_no_delta_are_refused(tiny, batches, tmp_path):
    tuned, child = tuned_from(tiny, batches)
    child.save(tmp_path / "child")
    with pytest.raises(ValueError, match="not one that save_delta wrote"):
        ct.apply_delta(tmp_path / "child", tiny)
    torch.save(tuned.state_dict(), tmp_path / "pickle")
    with pytest.raises(ValueError, match="no safetensors file"):
        ct.apply_delta(tmp_path / "pickle", tiny)
    ct.save_delta(tmp_path / "d", child, tuned, tiny)
    with safe_open(str(tmp_path / "d"), framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(tmp_path / "d")
    del tensors[next(key for key in tensors if key.startswith("value/"))]
    save_file(tensors, str(tmp_path / "damaged"), metadata=metadata)
    with pytest.raises(ValueError, match="damaged"):
        ct.apply_delta(tmp_path / "damaged", tiny)
