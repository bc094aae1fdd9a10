"""Text tasks: two generated ones that need no network, GLUE from the Hub or from a folder, and folders of your own.

A `Task` holds tokenised `datasets.Dataset`s, hands out collated batches and measures predictions. Nothing here touches
the global random state: what is chosen or shuffled follows from a seed.
"""

import os
import random
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence

from . import grammar, rows
from .metrics import HEADLINES, measure

TEXT = ("sentence1", "sentence2", "label")


@dataclass(frozen=True)
class Task:
    """What `load_task` returns.

    train, validation, ood: `datasets.Dataset` (ood: out of domain, may be None) with the columns sentence1, sentence2
        (pair tasks), label, and the tokenizer's (input_ids, attention_mask, ...).
    num_labels: 1 for regression, else the number of classes.
    headline: the key of `metric(...)` by which the task is usually judged.
    """

    name: str
    train: object
    validation: object
    ood: object
    num_labels: int
    headline: str
    tokenizer: object

    def batches(self, split, batch_size, seed=None):
        """The batches of a split ("train", "validation", "ood"), to be iterated as often as you like; see `Batches`.

        seed None: in order. Else shuffled by that seed, the same way at every pass; take a new seed for each epoch.
        """
        data = getattr(self, split, None) if split in ("train", "validation", "ood") else None
        if data is None:
            raise ValueError(f"split={split!r}: {self.name} has {', '.join(self.splits)}")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r}: give a whole number from 1 on")
        return Batches(data, self.tokenizer, batch_size, seed, regression=self.num_labels == 1)

    @property
    def splits(self):
        """The names of the splits that this task has."""
        return [split for split in ("train", "validation", "ood") if getattr(self, split) is not None]

    def metric(self, logits, labels):
        """{metric name: float}. logits: (n, num_labels), for regression also (n,); labels: (n,).

        Classification: accuracy; with matthews for CoLA and acceptability, f1 for MRPC. Regression: pearson, spearman
        and their mean pearson_spearman. A constant prediction scores 0.0 on matthews and the correlations.
        """
        return measure(logits, labels, self.num_labels, self.headline)


class Batches:
    """Re-iterable batches of one split: dicts of input_ids, attention_mask, ... in int64, of shape
    (batch, longest in the batch), and labels of shape (batch,): int64 classes, or float32 for regression."""

    def __init__(self, data, tokenizer, batch_size, seed=None, regression=False):
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.label_type = torch.float32 if regression else torch.int64
        padding = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
        self.padding = {key: padding.get(key, 0) for key in tokenizer.model_input_names if key in data.column_names}
        self.side = tokenizer.padding_side

    def __len__(self):
        return -(-len(self.data) // self.batch_size)

    def __iter__(self):
        # No DataLoader: without a generator of its own it draws from the global random state at every pass.
        order = torch.arange(len(self.data))
        if self.seed is not None:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(self.seed))
        for chosen in order.split(self.batch_size):
            yield self._collate(self.data[chosen.tolist()])

    def _collate(self, examples):
        batch = {
            key: pad_sequence([torch.tensor(row) for row in examples[key]], True, value, self.side)
            for key, value in self.padding.items()
        }
        return {**batch, "labels": torch.tensor(examples["label"], dtype=self.label_type)}


def load_task(name, tokenizer, n_train=None, n_validation=None, seed=0, folder=None, label_noise=0.0, max_length=128):
    """A task by name, tokenised.

    name: "acceptability" or "entailment", generated (5000 train, 1000 validation, 1000 ood examples); "glue/rte",
        "glue/cola", "glue/mrpc", "glue/stsb", "glue/mnli", "glue/snli"; or a folder with train.jsonl, dev.jsonl (or
        validation.jsonl) and perhaps ood.jsonl: rows of "sentence", or "sentence1" and "sentence2", and "label", which
        counts classes from 0 on (a float anywhere makes it a regression).
    n_train: how many training examples, from the front of a shuffle by `seed`, so a smaller n is a part of a larger;
        for the generated tasks with balanced classes. None: all.
    n_validation: how many validation and ood examples, the same for every seed. None: all.
    seed: chooses and orders the training examples and the labels that `label_noise` flips, nothing else.
    folder: where GLUE lies as <folder>/<task>/train.jsonl and dev.jsonl (mnli: dev_matched.jsonl). None: the
        environment variable CHILDTUNE_GLUE_DIR, or else the Hub.
    label_noise: share of the training labels, in [0, 1], that get another class: exactly round(share * n) of them.
    max_length: longest example in tokens; longer ones are cut.
    Raises ValueError on an unknown name, missing files, malformed rows, or more examples than there are.
    """
    check_arguments(name, tokenizer, folder, label_noise)
    source = rows.read(str(name), folder or os.environ.get("CHILDTUNE_GLUE_DIR"))
    train, validation, ood = source.splits
    balanced = source.name in grammar.TASKS
    train = [train[i] for i in choose(train, "n_train", n_train, seed, balanced)]
    train = flip(train, label_noise, source.num_labels, seed)
    if n_validation is not None:
        validation = [validation[i] for i in choose(validation, "n_validation", n_validation, 0, balanced)]
        ood = ood and [ood[i] for i in choose(ood, "n_validation", min(n_validation, len(ood)), 0, balanced)]
    datasets = [tokenise(part, tokenizer, max_length) if part else None for part in (train, validation, ood)]
    headline = HEADLINES.get(source.name) or ("pearson_spearman" if source.num_labels == 1 else "accuracy")
    return Task(source.name, *datasets, source.num_labels, headline, tokenizer)


def check_arguments(name, tokenizer, folder, label_noise):
    if not callable(tokenizer) or getattr(tokenizer, "pad_token_id", None) is None:
        raise ValueError(
            f"tokenizer={type(tokenizer).__name__} cannot pad: give the tokenizer that load_parent returned, and set "
            "its pad_token if it has none"
        )
    if folder is not None and not str(name).lower().startswith("glue/"):
        raise ValueError(f"folder={str(folder)!r} is for the glue/ tasks; name={str(name)!r} takes none")
    if not isinstance(label_noise, int | float) or not 0 <= label_noise <= 1:
        raise ValueError(f"label_noise={label_noise!r}: give a share from 0 to 1")


def shuffled(items, seed):
    """A shuffled list. Only random() is drawn from, whose sequence is the same in every Python."""
    draw, items = random.Random(seed).random, list(items)
    for i in range(len(items) - 1, 0, -1):
        j = int(draw() * (i + 1))
        items[i], items[j] = items[j], items[i]
    return items


def choose(examples, argument, n, seed, balanced=False):
    """Indices of the first n examples of a shuffle; balanced: of its classes in turn."""
    n = len(examples) if n is None else n
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= len(examples):
        raise ValueError(f"{argument}={n!r}: give a whole number from 1 to {len(examples)}, which is all there are")
    order = shuffled(range(len(examples)), seed)
    if balanced:
        classes = [[i for i in order if examples[i]["label"] == label] for label in (0, 1)]
        order = [i for pair in zip(*classes, strict=True) for i in pair]
    return order[:n]


def flip(examples, share, num_labels, seed):
    """Give exactly round(share * n) of the examples another class, drawn evenly from the others."""
    n = round(share * len(examples))
    if n and num_labels == 1:
        raise ValueError(f"label_noise={share!r}: a regression task has no labels to flip; leave it at 0")
    draw, examples = random.Random(seed + 1).random, list(examples)
    for i in shuffled(range(len(examples)), seed)[:n]:
        shift = 1 + int(draw() * (num_labels - 1))
        examples[i] = {**examples[i], "label": (examples[i]["label"] + shift) % num_labels}
    return examples


def tokenise(examples, tokenizer, max_length):
    """A datasets.Dataset of the texts, the labels and the tokens."""
    from datasets import Dataset

    columns = {key: [row[key] for row in examples] for key in TEXT if key in examples[0]}
    texts = [columns[key] for key in ("sentence1", "sentence2") if key in columns]
    return Dataset.from_dict({**columns, **tokenizer(*texts, truncation=True, max_length=max_length)})
