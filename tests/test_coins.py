"""Exercise 09.2: coins that look sound and are not, and sound ones that a learner may write in another way."""

import hashlib
import random

import numpy as np
import pytest
import torch
from wrong_answers.scaling import MORE_COINS

from childtune_lite import exercises

PLAIN = "{}|{}|{}|{}".format


def text_seeded(seed, step, name, index, p):
    return random.Random(PLAIN(seed, step, name, index)).random() < p


def own_generator(seed, step, name, index, p):
    digest = hashlib.sha256(PLAIN(name, index, seed, step).encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    return torch.rand((), generator=generator) < p  # a tensor that is True or False


def numpys_own(seed, step, name, index, p):
    return np.random.default_rng([seed, step, index, *name.encode()]).random() < p


def signed_from_below(seed, step, name, index, p):
    digest = hashlib.md5(repr((seed, step, name, index)).encode()).digest()
    return int.from_bytes(digest[:4], "little", signed=True) < -(2**31) + p * 2**32


def digest_of_digests(seed, step, name, index, p):
    digest = b""
    for part in (seed, step, name, index):
        digest = hashlib.sha256(digest + str(part).encode()).digest()
    return int(digest.hex(), 16) / 2**256 < p


@pytest.mark.parametrize("answer", [text_seeded, own_generator, numpys_own, signed_from_below, digest_of_digests])
@pytest.mark.parametrize("hidden", [False, True])
def test_sound_coins_pass_however_they_are_made(answer, hidden):
    exercises.require("09.2", answer, hidden=hidden)


@pytest.mark.parametrize(("answer", "words"), MORE_COINS, ids=[answer.__name__ for answer, _ in MORE_COINS])
def test_related_coins_are_found(answer, words):
    report = exercises.exercise("09.2").report(answer)
    assert words in report.text
    with pytest.raises(AssertionError, match=r"Exercise 09\.2"):
        exercises.require("09.2", answer, hidden=True)


def test_the_check_leaves_all_random_states_as_they_were():
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    exercises.exercise("09.2").report(MORE_COINS[-1][0])
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert np.array_equal(before[2], np.random.get_state()[1])
