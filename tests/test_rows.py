"""Where examples come from: GLUE from a folder or from the Hub, a folder of your own, and errors that name the line."""

import json
import os

import pytest
import torch

from childtune_lite.parents import load_parent
from childtune_lite.tasks import load_task

GLUE_ROWS = {  # train rows, validation rows, num_labels, headline
    "rte": (2490, 277, 2, "accuracy"),
    "cola": (8551, 1043, 2, "matthews"),
    "mrpc": (3668, 408, 2, "f1"),
    "stsb": (5749, 1500, 1, "pearson_spearman"),
    "mnli": (9888, 9815, 3, "accuracy"),
    "snli": (15000, 9842, 3, "accuracy"),
}


@pytest.fixture(scope="module")
def tokenizer():
    return load_parent()[1]


def texts(data):
    return [tuple(row[key] for key in ("sentence1", "sentence2") if key in row) for row in data]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_glue_from_a_small_folder(tmp_path, tokenizer, monkeypatch):
    for task, (*_, num_labels, _) in GLUE_ROWS.items():
        words = {"sentence": "A clerk sang."} if task == "cola" else {"sentence1": "A clerk sang.", "sentence2": "Who?"}
        labels = [2.5, 4] if num_labels == 1 else [0, num_labels - 1]
        for part in ("train", "dev_matched" if task == "mnli" else "dev"):
            write(tmp_path / task / f"{part}.jsonl", [{**words, "label": label} for label in labels])
    monkeypatch.setenv("CHILDTUNE_GLUE_DIR", str(tmp_path / "elsewhere"))
    for task, (*_, num_labels, headline) in GLUE_ROWS.items():
        loaded = load_task(f"GLUE/{task}", tokenizer, folder=tmp_path)  # the argument goes before the variable
        assert (loaded.num_labels, loaded.headline, loaded.ood) == (num_labels, headline, None)
        assert len(loaded.train) == len(loaded.validation) == 2
        batch = next(iter(loaded.batches("train", 2)))
        assert batch["labels"].dtype == (torch.float32 if num_labels == 1 else torch.int64)
    monkeypatch.setenv("CHILDTUNE_GLUE_DIR", str(tmp_path))
    assert load_task("glue/STS-B", tokenizer).name == "glue/stsb"


@pytest.mark.skipif("CHILDTUNE_GLUE_DIR" not in os.environ, reason="CHILDTUNE_GLUE_DIR is not set: no GLUE folder here")
@pytest.mark.parametrize("task", GLUE_ROWS)
def test_glue_for_real(task, tokenizer):
    loaded = load_task(f"glue/{task}", tokenizer)
    assert (len(loaded.train), len(loaded.validation), loaded.num_labels, loaded.headline) == GLUE_ROWS[task]
    assert ("sentence2" in loaded.train.column_names) == (task != "cola")


def test_the_hub_names_columns_differently(monkeypatch, tokenizer):
    import datasets

    def hub(path, configuration, split):
        assert (path, configuration) == ("stanfordnlp/snli", None)
        return datasets.Dataset.from_dict({"premise": ["A", "B"], "hypothesis": ["C", "D"], "label": [2, -1]})

    monkeypatch.delenv("CHILDTUNE_GLUE_DIR", raising=False)
    monkeypatch.setattr(datasets, "load_dataset", hub)
    task = load_task("glue/snli", tokenizer)
    assert texts(task.train) == [("A", "C")]  # rows without a gold label are dropped
    assert task.train["label"][:] == [2]


def test_hub_out_of_reach_names_the_folder_option(monkeypatch, tokenizer):
    import datasets

    def fail(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.delenv("CHILDTUNE_GLUE_DIR", raising=False)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ValueError, match=r"name='glue/rte'.*folder=.*CHILDTUNE_GLUE_DIR") as caught:
        load_task("glue/rte", tokenizer)
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_folder_of_your_own(tmp_path, tokenizer):
    rows = [{"sentence": f"Number {i}.", "label": i % 3} for i in range(6)]
    for part in ("train", "validation", "ood"):
        write(tmp_path / f"{part}.jsonl", rows)
    task = load_task(str(tmp_path), tokenizer, label_noise=0.5)
    assert (task.num_labels, task.headline, task.splits) == (3, "accuracy", ["train", "validation", "ood"])
    write(tmp_path / "train.jsonl", [{"sentence1": "One.", "sentence2": "Two.", "label": 0.5}])
    write(tmp_path / "ood.jsonl", [{"sentence1": "One.", "sentence2": "Two.", "label": 2}])
    assert load_task(tmp_path, tokenizer).num_labels == 1
    with pytest.raises(ValueError, match=r"label_noise=1\.0: a regression"):
        load_task(tmp_path, tokenizer, label_noise=1.0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sentence1": "A."}, "line 2: column 'label'"),
        ({"label": 1}, "line 2: column 'sentence1'"),
        ({"sentence": "A.", "label": "yes"}, "line 2: label 'yes'"),
        ({"sentence": 3, "label": 1}, "line 2: the sentences"),
        ({"sentence1": "A.", "sentence2": "B.", "label": 1}, "line 2: all rows"),
        ([1], "line 2: column"),
    ],
)
def test_malformed_rows(row, message, tmp_path, tokenizer):
    write(tmp_path / "train.jsonl", [{"sentence": "A.", "label": 0}, row])
    with pytest.raises(ValueError, match=message):
        load_task(tmp_path, tokenizer)


def test_missing_files_and_labels_out_of_range(tmp_path, tokenizer):
    with pytest.raises(ValueError, match=r"train\.jsonl is missing"):
        load_task("glue/rte", tokenizer, folder=tmp_path)
    write(tmp_path / "rte" / "train.jsonl", [{"sentence1": "A.", "sentence2": "B.", "label": 2}])
    with pytest.raises(ValueError, match="label 2 is not one of 0, 1"):
        load_task("glue/rte", tokenizer, folder=tmp_path)
