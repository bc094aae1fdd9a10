"""Record what the generated tasks ask of a learner: `python tests/record_tasks_baseline.py`, some minutes on two cores.

Writes notebooks/results/tasks_baseline.json: a bag of words on 2000 training examples against the parent, fine-tuned in
full on 500, on validation and ood. Not a test, and no notebook: the numbers are what the text about the tasks rests on.
"""

import datetime
import json
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import torch

from childtune_lite.parents import load_parent
from childtune_lite.tasks import load_task

TARGET = Path(__file__).resolve().parents[1] / "notebooks" / "results" / "tasks_baseline.json"
TASKS = ("acceptability", "entailment")
SETTINGS = {
    "parent": "minilm",
    "n_train": 500,
    "n_evaluated": 500,
    "epochs": 5,
    "batch_size": 16,
    "optimizer": "AdamW",
    "lr": 2e-4,
    "weight_decay": 0.01,
    "warmup_share": 0.1,
    "schedule": "linear",
    "clip_norm": 1.0,
    "seeds": [0, 1, 2],
    "bag_of_words": "unigram counts (of the pair's concatenation, with word-overlap counts), logistic regression",
    "bag_of_words_n_train": 2000,
    "threads_per_task": 1,
}


def overlap_features(examples):
    """Per example: shared words, their share of the hypothesis, both lengths; zeros for a single sentence."""
    rows = []
    for i in range(len(examples["label"])):
        words = [examples[key][i].lower().rstrip(".?").replace(",", "").split() for key in TEXTS if key in examples]
        first, last = words[0], words[-1]
        shared = len(set(first) & set(last))
        rows.append([shared, shared / len(set(last)), len(first), len(last)] if len(words) == 2 else [0, 0, 0, 0])
    return rows


TEXTS = ("sentence1", "sentence2")


def bag_of_words_accuracy(task, splits=("validation", "ood")):
    """{split: accuracy} of a logistic regression on unigram counts and overlap features, fitted on task.train."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    def texts(data):
        return [" ".join(pair) for pair in zip(*(data[key] for key in TEXTS if key in data), strict=True)]

    def features(data):
        return hstack([counter.transform(texts(data)), csr_matrix(overlap_features(data), dtype=float)]).tocsr()

    train = task.train[:]
    counter = CountVectorizer().fit(texts(train))
    model = LogisticRegression(max_iter=2000).fit(features(train), train["label"])
    return {part: model.score(features(getattr(task, part)[:]), getattr(task, part)["label"]) for part in splits}


def evaluate(model, task, split):
    model.eval()
    with torch.inference_mode():
        parts = [(model(**batch).logits, batch["labels"]) for batch in task.batches(split, 50)]
    logits, labels = (torch.cat(column) for column in zip(*parts, strict=True))
    return task.metric(logits, labels)["accuracy"]


def fine_tune(task, seed):
    """Plain full fine-tuning, no child. Accuracies on train, validation and ood."""
    model, _ = load_parent(SETTINGS["parent"], num_labels=task.num_labels, seed=seed)
    torch.manual_seed(seed)  # dropout
    optimizer = torch.optim.AdamW(model.parameters(), lr=SETTINGS["lr"], weight_decay=SETTINGS["weight_decay"])
    total = SETTINGS["epochs"] * len(task.batches("train", SETTINGS["batch_size"]))
    warmup = SETTINGS["warmup_share"] * total
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (total - step) / (total - warmup))
    )
    for epoch in range(SETTINGS["epochs"]):
        model.train()
        for batch in task.batches("train", SETTINGS["batch_size"], seed=1000 * seed + epoch):
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS["clip_norm"])
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return {split: evaluate(model, task, split) for split in ("train", "validation", "ood")}


def record(name):
    """Everything about one task."""
    torch.set_num_threads(SETTINGS["threads_per_task"])
    tokenizer, runs = load_parent()[1], []
    bag = bag_of_words_accuracy(load_task(name, tokenizer, n_train=SETTINGS["bag_of_words_n_train"]))
    for seed in SETTINGS["seeds"]:
        task = load_task(name, tokenizer, SETTINGS["n_train"], SETTINGS["n_evaluated"], seed=seed)
        start = time.perf_counter()
        runs.append({"seed": seed, **fine_tune(task, seed), "seconds": round(time.perf_counter() - start, 1)})
        print(name, runs[-1], flush=True)
    mean = {split: sum(run[split] for run in runs) / len(runs) for split in ("train", "validation", "ood")}
    return {"bag_of_words": bag, "vanilla": runs, "vanilla_mean": {key: round(value, 4) for key, value in mean.items()}}


def processor():
    """The CPU's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main():
    start = time.perf_counter()
    with ProcessPoolExecutor(len(TASKS), mp_context=get_context("spawn")) as pool:
        results = dict(zip(TASKS, pool.map(record, TASKS), strict=True))
    provenance = {
        "made_by": "python tests/record_tasks_baseline.py",
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("torch", "transformers", "datasets", "scikit-learn")},
        "cpu": processor(),
        "seconds": round(time.perf_counter() - start, 1),
    }
    content = {"what": "accuracy on the generated tasks", "provenance": provenance, "settings": SETTINGS, **results}
    TARGET.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    sys.exit(main())
