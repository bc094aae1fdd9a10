"""The generator of the two text tasks that need no network, from a grammar of our own.

A construction is a function that takes a `Pen` (the random draws and the lexicon) and the wanted label, and writes one
example. It is built so that the label lies in the structure and not in the words: whatever word is drawn, both labels
stay equally likely, and often the two members of a minimal pair hold the very same words. Templated tests of syntax are
an old idea: BLiMP (Warstadt et al., TACL 2020) and HANS (McCoy et al., ACL 2019) are the models, the sentences are new.

Only `random.Random.random()` is drawn from: its sequence for a seed is the same in every Python.
"""

import random

from . import acceptability, entailment, lexicon

TASKS = {"acceptability": acceptability, "entailment": entailment}
SIZES = {"train": 5000, "validation": 1000, "ood": 1000}  # examples of one corpus


class Pen:
    """Draws words. One lexicon, one source of randomness."""

    def __init__(self, words, seed):
        self.words, self._random = words, random.Random(seed)

    def chance(self, share):
        return self._random.random() < share

    def coin(self):
        return self.chance(0.5)

    def pick(self, options):
        return options[int(self._random.random() * len(options))]

    def some(self, options, k):
        """k different options, in random order."""
        left = list(options)
        return [left.pop(int(self._random.random() * len(left))) for _ in range(k)]

    def people(self, k):
        return self.some(self.words.people, k)

    def verbs(self, k):
        return self.some(self.words.verbs, k)


def write(name, construction, pen, label):
    """One example: (sentence1, sentence2 or None, label)."""
    if name == "acceptability":
        return construction(pen, bool(label)), None, label
    premise, hypothesis = construction(pen, not label)
    return *(text[0].upper() + text[1:] + "." for text in (premise, hypothesis)), label


def write_many(name, constructions, words, n, seed):
    """n distinct examples: the constructions drawn evenly, the labels in turn."""
    pen, seen, rows = Pen(words, seed), set(), []
    while len(rows) < n:
        row = write(name, pen.pick(constructions), pen, len(rows) % 2)
        if row[:2] not in seen:
            seen.add(row[:2])
            rows.append(row)
    return rows


def corpus(name, seed=0):
    """{"train": rows, "validation": rows, "ood": rows}, sizes in SIZES; a row is (sentence1, sentence2 or None, label).

    No example stands in two parts. Labels alternate within each.
    """
    task = TASKS[name]
    rows = write_many(name, task.KNOWN, lexicon.KNOWN, SIZES["train"] + SIZES["validation"], seed)
    cut = SIZES["train"]
    ood = write_many(name, task.HELD_OUT, lexicon.HELD_OUT, SIZES["ood"], seed)
    return {"train": rows[:cut], "validation": rows[cut:], "ood": ood}
