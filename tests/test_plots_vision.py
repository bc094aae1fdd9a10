"""The figures of notebook 08: each shows what it is given, without a warning."""

import numpy as np
import pytest
import torch
from support import drawn

import childtune_lite as ct
from childtune_lite import plots

pytestmark = pytest.mark.filterwarnings("error")


def tiny_vit():
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        image_size=4, patch_size=2, num_channels=1, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, num_labels=3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ViTForImageClassification(config)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("vit.embeddings.cls_token", ("class token", None)),
        ("vit.embeddings.position_embeddings", ("positions", None)),
        ("vit.embeddings.patch_embeddings.projection.bias", ("patch filters", None)),
        ("vit.layers.0.attention.k_proj.weight", ("key", 0)),
        ("vit.layers.2.attention.o_proj.bias", ("attention out", 2)),
        ("vit.layers.1.mlp.fc2.weight", ("MLP", 1)),
        ("vit.encoder.layer.11.attention.attention.query.weight", ("query", 11)),  # as transformers 4 names them
        ("vit.encoder.layer.0.attention.output.dense.weight", ("attention out", 0)),
        ("vit.encoder.layer.0.intermediate.dense.bias", ("MLP", 0)),
        ("vit.encoder.layer.0.output.dense.bias", ("MLP", 0)),
        ("vit.layers.1.layernorm_after.bias", ("LayerNorm", 1)),
        ("vit.layernorm.weight", ("LayerNorm", None)),
        ("classifier.weight", ("head", None)),
        ("something.else", ("other", None)),
    ],
)
def test_every_parameter_belongs_to_a_part(name, part):
    assert plots.vit_part(name) == part


def test_no_parameter_of_a_vit_is_left_over():
    parts = {plots.vit_part(name) for name, _ in tiny_vit().named_parameters()}
    assert "other" not in {part for part, _ in parts}
    assert {block for _, block in parts} == {0, 1, None}


def test_vit_shares_are_of_whole_parts():
    scores = {name: torch.zeros(p.shape) for name, p in tiny_vit().named_parameters() if "classifier" not in name}
    total = sum(s.numel() for s in scores.values())
    filters = [n for n in scores if "patch_embeddings" in n]
    for n in filters:
        scores[n] += 1
    scores["vit.embeddings.position_embeddings"][0, 0] += 1  # one of five positions
    size = sum(scores[n].numel() for n in filters) + 8
    shares = plots.vit_shares(ct.Child.top(scores, size / total))
    assert shares["patch filters", None] == 1
    assert shares["positions", None] == pytest.approx(1 / 5)
    assert sum(shares.values()) == pytest.approx(1.2)


def test_digit_patches_cut_every_image():
    fig = drawn(plots.digit_patches(torch.arange(128.0).view(2, 8, 8), torch.tensor([3, 7])))
    assert [axis.get_title() for axis in fig.axes] == ["3", "7"]
    for axis, first in zip(fig.axes, (0, 64), strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), np.arange(first, first + 64).reshape(8, 8))
        assert len(axis.lines) == 2 * 5  # four patches a side


def test_vit_child_writes_every_share():
    shares = {("key", 0): 0.25, ("key", 1): 0.75, ("MLP", 0): 0.1, ("MLP", 1): 1.0, ("positions", None): 0.5}
    left, right = drawn(plots.vit_child(shares, p=0.3)).axes[:2]
    np.testing.assert_array_equal(left.images[0].get_array(), [[0.25, 0.75], [0.1, 1.0]])
    assert [t.get_text() for t in left.texts] == ["0.25", "0.75", "0.10", "1.00"]
    assert [t.get_text() for t in left.get_yticklabels()] == ["key", "MLP"]
    assert [bar.get_width() for bar in right.patches] == [0.5]
    assert list(right.lines[0].get_xdata()) == [0.3, 0.3]


def test_patch_maps_write_their_numbers():
    fig = drawn(plots.patch_maps({"a": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "flat": np.ones((2, 2))}, 1))
    assert [t.get_text() for t in fig.axes[0].texts] == ["1.0", "2.0", "3.0", "4.0"]
    assert [axis.get_title() for axis in fig.axes] == ["a", "flat"]


def test_filters_are_in_the_order_of_their_change_and_share_a_scale():
    before = torch.tensor([0.5, -0.2, 0.1]).view(3, 1, 1).expand(3, 2, 2)
    after = before + torch.tensor([0.1, 0.4, -0.9]).view(3, 1, 1)
    fig = drawn(plots.filters_before_after(before, after, count=2))
    shown = [axis.images[0].get_array()[0, 0] for axis in fig.axes[:6]]
    np.testing.assert_allclose(shown, [0.1, -0.2, -0.8, 0.2, -0.9, 0.4], atol=1e-6)
    assert len({axis.images[0].get_clim() for axis in fig.axes[:6]}) == 1
