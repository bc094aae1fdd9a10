"""Where the examples of a task come from: the generator, the Hub, or JSON Lines. All end as lists of the same dicts:
{"sentence1": str, "sentence2": str (pair tasks only), "label": int, or float for regression}.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from . import grammar

# name -> (Hub dataset, configuration, validation split, text columns; file of the validation rows in a folder; labels)
GLUE = {
    "glue/rte": ("nyu-mll/glue", "rte", "validation", ("sentence1", "sentence2"), "dev.jsonl", 2),
    "glue/cola": ("nyu-mll/glue", "cola", "validation", ("sentence",), "dev.jsonl", 2),
    "glue/mrpc": ("nyu-mll/glue", "mrpc", "validation", ("sentence1", "sentence2"), "dev.jsonl", 2),
    "glue/stsb": ("nyu-mll/glue", "stsb", "validation", ("sentence1", "sentence2"), "dev.jsonl", 1),
    "glue/mnli": ("nyu-mll/glue", "mnli", "validation_matched", ("premise", "hypothesis"), "dev_matched.jsonl", 3),
    "glue/snli": ("stanfordnlp/snli", None, "validation", ("premise", "hypothesis"), "dev.jsonl", 3),
}
ALIASES = {"glue/sts-b": "glue/stsb"}


@dataclass(frozen=True)
class Source:
    """A task before tokenisation. splits: (train, validation, ood or None), each a list of examples."""

    name: str
    splits: tuple
    num_labels: int


def read(name, glue_folder=None):
    """The `Source` of that name. glue_folder: where the glue/ tasks lie as JSON Lines; None: the Hub."""
    if name in grammar.TASKS:
        parts = grammar.corpus(name)
        return Source(name, tuple([_example(*row) for row in parts[part]] for part in parts), 2)
    if name.lower().startswith("glue/"):
        name = ALIASES.get(name.lower(), name.lower())
        if name not in GLUE:
            raise ValueError(f"name={name!r}: the glue/ tasks are {', '.join(GLUE)}")
        return _glue_from_folder(name, Path(glue_folder)) if glue_folder else _glue_from_hub(name)
    if Path(name).is_dir():
        return _own_folder(name, Path(name))
    known = ", ".join([*grammar.TASKS, *GLUE])
    raise ValueError(f"name={name!r}: neither a task ({known}) nor a folder with train.jsonl and dev.jsonl")


def _example(sentence1, sentence2, label):
    pair = {} if sentence2 is None else {"sentence2": sentence2}
    return {"sentence1": sentence1, **pair, "label": label}


def _glue_from_folder(name, folder):
    folder, validation, num_labels = folder / name.removeprefix("glue/"), *GLUE[name][-2:]
    splits = (read_jsonl(folder / "train.jsonl", num_labels), read_jsonl(folder / validation, num_labels), None)
    return Source(name, splits, num_labels)


def _glue_from_hub(name):
    from datasets import load_dataset

    path, configuration, validation, columns, _, num_labels = GLUE[name]
    try:
        parts = [load_dataset(path, configuration, split=split) for split in ("train", validation)]
    except Exception as error:  # the Hub's libraries raise many kinds
        raise ValueError(
            f"name={name!r}: the Hub could not deliver {path} ({type(error).__name__}). Check the connection; or give "
            "folder=..., or set CHILDTUNE_GLUE_DIR, to a folder that holds it as JSON Lines; or take a generated task, "
            "'acceptability' or 'entailment', which needs no network"
        ) from error
    return Source(name, (*(_from_columns(part, columns) for part in parts), None), num_labels)


def _from_columns(dataset, columns):
    """Rows of a Hub dataset. A label of -1 means that the annotators did not agree (SNLI): dropped."""
    texts = [dataset[column] for column in columns] + [[None] * len(dataset)] * (2 - len(columns))
    return [_example(*row) for row in zip(*texts, dataset["label"], strict=True) if row[2] != -1]


def _own_folder(name, folder):
    """The task in a folder of your own. A label that is no whole number in the file makes it a regression."""
    validation = "validation.jsonl" if (folder / "validation.jsonl").is_file() else "dev.jsonl"
    splits = [read_jsonl(folder / "train.jsonl"), read_jsonl(folder / validation), None]
    if (folder / "ood.jsonl").is_file():
        splits[2] = read_jsonl(folder / "ood.jsonl")
    labels = [row["label"] for part in splits if part for row in part]
    if any(isinstance(label, float) for label in labels):
        splits = [part and [{**row, "label": float(row["label"])} for row in part] for part in splits]
        return Source(name, tuple(splits), 1)
    if min(labels) < 0:
        raise ValueError(
            f"name={name!r}: label {min(labels)} found; number the classes from 0, or write floats to regress"
        )
    return Source(name, tuple(splits), max(2, max(labels) + 1))


def read_jsonl(path, num_labels=None):
    """The examples of one JSON Lines file. Raises ValueError that names the file, the line and what is wrong."""
    if not path.is_file():
        raise ValueError(f"folder: the file {path} is missing; put JSON Lines there, or correct the folder")
    examples, pair = [], None
    with open(path, encoding="utf-8") as lines:
        for i, line in enumerate(lines, start=1):
            if line.strip():
                examples.append(_parse(line, f"{path}, line {i}", num_labels))
                pair = "sentence2" in examples[0]
                if ("sentence2" in examples[-1]) != pair:
                    raise ValueError(f"{path}, line {i}: all rows of a file need the same columns, some lack sentence2")
    if not examples:
        raise ValueError(f"folder: the file {path} holds no rows")
    return examples


def _parse(line, where, num_labels):
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON ({error})") from error
    columns = ("sentence",) if isinstance(row, dict) and "sentence" in row else ("sentence1",)
    missing = [key for key in (*columns, "label") if not isinstance(row, dict) or key not in row]
    if missing:
        raise ValueError(
            f"{where}: column {missing[0]!r} is missing; give sentence, or sentence1 and sentence2, and label"
        )
    texts, label = (row[columns[0]], row.get("sentence2")), row["label"]
    if not isinstance(texts[0], str) or not isinstance(texts[1], str | None):
        raise ValueError(f"{where}: the sentences must be strings")
    if isinstance(label, bool) or not isinstance(label, int | float) or label != label:
        raise ValueError(f"{where}: label {label!r} is not a number")
    if num_labels == 1:
        label = float(label)
    elif num_labels and label not in range(num_labels):
        raise ValueError(f"{where}: label {label!r} is not one of {', '.join(map(str, range(num_labels)))}")
    return _example(*texts, label)
