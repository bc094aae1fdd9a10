"""The tasks: balanced, distinct, the same everywhere, not to be solved by counting words; batches; metrics."""

import hashlib
import random
import warnings

import numpy as np
import pytest
import torch
from record_tasks_baseline import bag_of_words_accuracy

from childtune_lite import grammar, lexicon
from childtune_lite.parents import load_parent
from childtune_lite.tasks import Task, load_task

GENERATED = ("acceptability", "entailment")
# sha256 of the first 1000 examples of each split. A change here means that recorded results no longer hold.
DIGESTS = {
    "acceptability": "f48194a9bb8672c55ff559b00bc7b7e92f6963857c0344d5dec365c717bdebe9",
    "entailment": "150ad5126bf5d166a416fa5259ab3118c0c01d82ee775874925b16971dbdc229",
}


@pytest.fixture(scope="module")
def tokenizer():
    return load_parent()[1]


@pytest.fixture(scope="module")
def entailment(tokenizer):
    return load_task("entailment", tokenizer, n_train=60, n_validation=20)


def global_states():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


def texts(data):
    return [tuple(row[key] for key in ("sentence1", "sentence2") if key in row) for row in data]


# ---- the generated tasks


@pytest.mark.parametrize("name", GENERATED)
def test_corpus_is_balanced_distinct_and_disjoint(name):
    corpus = grammar.corpus(name)
    assert {part: len(rows) for part, rows in corpus.items()} == grammar.SIZES
    for rows in corpus.values():
        assert sum(label for *_, label in rows) * 2 == len(rows)
    assert len({row[:2] for rows in corpus.values() for row in rows}) == sum(grammar.SIZES.values())


@pytest.mark.parametrize("name", GENERATED)
def test_corpus_is_the_same_everywhere(name):
    corpus = grammar.corpus(name)
    assert corpus == grammar.corpus(name)
    text = "\n".join(" | ".join(map(str, row)) for rows in corpus.values() for row in rows[:1000])
    assert hashlib.sha256(text.encode()).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", GENERATED)
def test_ood_has_words_and_constructions_of_its_own(name):
    known, held_out = lexicon.KNOWN, lexicon.HELD_OUT
    for field in ("people", "things", "verbs", "moods", "looks", "places"):
        assert not set(getattr(known, field)) & set(getattr(held_out, field))
    task = grammar.TASKS[name]
    assert not set(task.KNOWN) & set(task.HELD_OUT)
    words = {
        part: {word for row in rows for word in row[0].lower().strip(".?").split()}
        for part, rows in grammar.corpus(name).items()
    }
    assert not words["ood"] & {*known.people, *known.verbs}
    assert not words["train"] & {*held_out.people, *held_out.verbs}


@pytest.mark.parametrize("name", GENERATED)
def test_each_construction_is_balanced_word_by_word(name):
    """Over both labels, no word of a construction is much likelier in one of them."""
    task = grammar.TASKS[name]
    for construction in task.KNOWN + task.HELD_OUT:
        pen, counts, n = grammar.Pen(lexicon.KNOWN, 3), ({}, {}), 1500
        for i in range(2 * n):
            *sentences, label = grammar.write(name, construction, pen, i % 2)
            for side, sentence in enumerate(filter(None, sentences)):
                for word in set(sentence.lower().strip(".?").replace(",", "").split()):
                    counts[label][side, word] = counts[label].get((side, word), 0) + 1
        for word in {*counts[0], *counts[1]}:
            zero, one = (count.get(word, 0) for count in counts)
            spread = (zero + one) ** 0.5  # of a fair coin's difference
            assert abs(zero - one) < 5 * spread, (construction.__name__, word, zero, one)


@pytest.mark.parametrize("name", GENERATED)
def test_bag_of_words_stays_near_chance(name, tokenizer):
    task = load_task(name, tokenizer, n_train=2000)
    assert len(task.validation) == 1000
    for accuracy in bag_of_words_accuracy(task).values():
        assert 0.42 < accuracy < 0.58


@pytest.mark.parametrize("name", GENERATED)
def test_the_seed_chooses_the_training_examples_only(name, tokenizer):
    one, again, other, larger = (
        load_task(name, tokenizer, n, 50, seed) for n, seed in ((100, 1), (100, 1), (100, 2), (200, 1))
    )
    assert texts(one.train) == texts(again.train) != texts(other.train)
    assert texts(larger.train)[:100] == texts(one.train)
    assert texts(one.validation) == texts(other.validation)
    assert texts(one.ood) == texts(other.ood)
    for split in (one.train, one.validation, one.ood):
        assert sum(split["label"]) * 2 == len(split)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.33, 1.0])
def test_label_noise_flips_exactly_that_share_of_train(share, tokenizer):
    clean = load_task("entailment", tokenizer, 101, 50, seed=4)
    noisy = load_task("entailment", tokenizer, 101, 50, seed=4, label_noise=share)
    assert texts(clean.train) == texts(noisy.train)
    assert sum(a != b for a, b in zip(clean.train["label"], noisy.train["label"], strict=True)) == round(share * 101)
    assert clean.validation["label"] == noisy.validation["label"]
    assert clean.ood["label"] == noisy.ood["label"]


# ---- batches


def test_batches_are_collated_and_can_be_iterated_again(entailment, tokenizer):
    batches = entailment.batches("train", 16)
    assert len(batches) == len(list(batches)) == len(list(batches)) == 4
    batch = next(iter(batches))
    assert set(batch) == {"input_ids", "token_type_ids", "attention_mask", "labels"}
    assert {value.dtype for value in batch.values()} == {torch.int64}
    alone = tokenizer(
        *([row[i] for row in texts(entailment.train)[:16]] for i in (0, 1)), padding=True, return_tensors="pt"
    )
    for key, value in alone.items():
        assert torch.equal(batch[key], value)
    assert torch.cat([b["labels"] for b in batches]).tolist() == list(entailment.train["label"])


def test_shuffling_follows_the_seed(entailment):
    def order(seed):
        return [
            tuple(row.tolist()) for batch in entailment.batches("train", 7, seed) for row in batch["labels"].split(1)
        ], [
            tuple(row[row != 0].tolist())
            for batch in entailment.batches("train", 7, seed)
            for row in batch["input_ids"]
        ]

    assert order(3) == order(3) != order(4)
    assert sorted(order(3)[1]) == sorted(order(None)[1])


def test_global_random_state_is_untouched(tokenizer):
    before = global_states()
    task = load_task("acceptability", tokenizer, 50, 20, label_noise=0.2)
    for seed in (None, 1):
        list(task.batches("train", 8, seed))
    assert global_states() == before


def test_bad_batches(entailment):
    with pytest.raises(ValueError, match="split='test'"):
        entailment.batches("test", 4)
    with pytest.raises(ValueError, match="batch_size=0"):
        entailment.batches("train", 0)


# ---- metrics


def task_of(num_labels, headline):
    return Task("name", None, None, None, num_labels, headline, None)


def test_metrics_agree_with_sklearn_and_scipy():
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import f1_score, matthews_corrcoef

    draw = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 2, generator=draw), torch.randint(2, (50,), generator=draw)
    predicted = logits.argmax(1)
    accuracy = (predicted == labels).double().mean().item()
    expected = {
        "accuracy": {},
        "matthews": {"matthews": matthews_corrcoef(labels, predicted)},
        "f1": {"f1": f1_score(labels, predicted)},
    }
    for headline, more in expected.items():
        assert task_of(2, headline).metric(logits, labels) == pytest.approx({"accuracy": accuracy, **more})
    scores = torch.randn(50, 1, generator=draw)
    target = scores[:, 0] + torch.randn(50, generator=draw)
    pearson, spearman = pearsonr(scores[:, 0], target)[0], spearmanr(scores[:, 0], target)[0]
    expected = {"pearson": pearson, "spearman": spearman, "pearson_spearman": (pearson + spearman) / 2}
    for shape in (scores, scores[:, 0], scores.numpy(), scores[:, 0].tolist()):
        assert task_of(1, "pearson_spearman").metric(shape, target) == pytest.approx(expected, abs=1e-5)


def test_a_constant_prediction_scores_zero_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = torch.tensor([[1.0, 0.0]] * 4)
        assert task_of(2, "matthews").metric(constant, [0, 1, 0, 1])["matthews"] == 0.0
        assert task_of(2, "f1").metric(constant, [0, 1, 0, 1])["f1"] == 0.0
        for value in (0.3, float("nan")):
            scores = task_of(1, "pearson_spearman").metric([value] * 4, [0.0, 1.0, 2.0, 3.0])
            assert scores == {"pearson": 0.0, "spearman": 0.0, "pearson_spearman": 0.0}


def test_metric_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="logits and labels"):
        task_of(2, "accuracy").metric(torch.zeros(3, 2), [0, 1])
    with pytest.raises(ValueError, match="3 classes"):
        task_of(3, "accuracy").metric(torch.zeros(2, 2), [0, 1])


# ---- arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "no-such-task"}, "name='no-such-task'"),
        ({"name": "glue/wnli"}, "name='glue/wnli'"),
        ({"n_train": 5001}, "n_train=5001"),
        ({"n_train": 0}, "n_train=0"),
        ({"n_validation": 1001}, "n_validation=1001"),
        ({"label_noise": 1.5}, "label_noise=1.5"),
        ({"label_noise": float("nan")}, "label_noise=nan"),
        ({"folder": "somewhere"}, "folder='somewhere'"),
        ({"tokenizer": "minilm"}, "tokenizer=str"),
    ],
)
def test_bad_arguments_are_named(arguments, message, tokenizer):
    with pytest.raises(ValueError, match=message):
        load_task(**{"name": "acceptability", "tokenizer": tokenizer, **arguments})
