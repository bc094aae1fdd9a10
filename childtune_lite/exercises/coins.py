"""Coins that are computed, and what can be said of them without knowing how: the observation of exercise 09.2."""

import hashlib
import random
from functools import reduce
from unittest import mock

import numpy as np
import torch

ENTRIES = 2048  # a correlation of two rows of them has a standard error of 0.022; the bar, 0.12, is above five
AHEAD = list(range(1, ENTRIES // 2))
FURTHER = (10**4, 10**5, 10**6, 2**16, 2**20)  # strides that people like


def by_sha(seed, step, name, index, p):
    """52 bits of a digest, read as a number between 0 and 1."""
    return int(hashlib.sha256(repr((seed, step, name, index)).encode()).hexdigest()[:13], 16) / 16**13 < p


def by_xor(*place_and_p):
    """A digest of each part alone, XORed: 48 bits."""
    *place, p = place_and_p
    digests = (int(hashlib.sha256(repr(part).encode()).hexdigest()[:12], 16) for part in enumerate(place))
    return reduce(int.__xor__, digests) < 16**12 * p


def another_process():
    """In each process Python's `hash` of a text is another number. So it is in here."""
    here = hash
    # A number's hash is the same everywhere; only texts are salted.
    return mock.patch("builtins.hash", lambda x: here((here(x), "salt")) if "'" in repr(x) else here(x))


def facts_about_coins(is_kept, seed, step, name, p):
    """What was found, in yes and no; of the relations between places only the first, so that it can be named.

    The share of True is p itself where it is within five standard errors of 10,000 coins, or where they are related.
    """
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()

    def coins(seed=seed, step=step, name=name, first=0, entries=ENTRIES):
        tossed = [is_kept(seed, step, name, index, p) for index in range(first, first + entries)]
        for odd in [one for one in tossed if one not in (True, False)]:
            raise TypeError(f"a coin is True or False, not {odd!r}")
        return [bool(one) for one in tossed]

    try:
        here, anew = coins(entries=100), coins(entries=100)
        with another_process():
            elsewhere = coins(entries=100)
        facts = {
            "a random state was touched": not same_states(states),
            "the same coin when asked again": here == anew,
            "the same coin in another process": here == elsewhere,
            "all entries have one coin": len(set(here)) == 1,
        }
        sound = list(facts.values()) == [False, True, True, False]
        return facts | relations(coins if sound else None, seed, step, name, p)
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])


def relations(coins, seed, step, name, p):
    """What coins of other places have to do with these; nothing where `coins` is None: not worth asking."""
    others = {"step": {"step": step + 1}, "seed": {"seed": seed + 1}, "name": {"name": name[::-1]}}
    others |= {"step, ten later,": {"step": step + 10}}
    rows = {what: coins(**other) for what, other in others.items()} if coins else {}
    here = coins() if coins else None
    # With p = 0.5 a flipped bit leaves the coins the same, or makes them opposite: related, then.
    same = {f"another {what} gives the same coins": p != 0.5 and rows.get(what, 0) == here for what in others}
    looks = {
        "further entries have the same coins again": lambda: again(coins, here),
        "another place has the same coins, moved along": lambda: moved(coins, here, rows, step, p),
        "coins of two places are related": lambda: related([here, *rows.values()]),
        "further entries are related": lambda: along(here, here, AHEAD),
        "1 and 12 run together": lambda: glued(coins),
    }
    asked = coins and not any(same.values())
    first = next((what for what, look in looks.items() if look()), None) if asked else None
    share = p if first or not coins else near([here, *rows.values()], p)
    return same | {what: what == first for what in looks} | {"share of True": share}


def same_states(states):
    numpys = zip(states[2], np.random.get_state(), strict=True)
    same = torch.equal(states[0], torch.get_rng_state()) and states[1] == random.getstate()
    return same and all(np.array_equal(was, now) for was, now in numpys)


def near(rows, p):
    share = sum(map(sum, rows)) / sum(map(len, rows))
    return p if abs(share - p) < 0.025 else share


def related(rows):
    """Are two rows correlated, entry by entry?"""
    table = torch.tensor(rows).double()
    table = table[table.std(1) > 0]
    return bool((torch.corrcoef(table) - torch.eye(len(table))).abs().max() > 0.12)


def along(a, b, lags, least=0.0):
    """Is b, moved by one of these lags, like a? Correlations at all lags at once, by Fourier transforms.

    Thousands of lags are looked at: hence eight standard errors.
    """
    a, b = (torch.tensor(row).double() for row in (a, b))
    if a.std() == 0 or b.std() == 0:
        return False
    a, b = ((row - row.mean()) / row.std(correction=0) for row in (a, b))
    overlap = len(a) - torch.tensor(lags).abs()
    products = torch.fft.irfft(torch.fft.rfft(a, 2 * len(a)).conj() * torch.fft.rfft(b, 2 * len(a)))
    return bool(((products[lags] / overlap).abs() > (8 / overlap**0.5).clamp(min=least)).any())


def again(coins, here):
    """Has every thousandth entry the same coin, or the millionth, as in a large tensor?"""
    return any(coins(first=jump, entries=128) == here[:128] for jump in FURTHER) or along(here, here, AHEAD, 0.9)


def moved(coins, here, rows, step, p):
    """Is the next step this one, some entries on? Or the next seed this one, some steps on?"""
    if any(along(here, row, [*AHEAD, *(-lag for lag in AHEAD)]) for row in rows.values()):
        return True
    places = [{"first": jump} for jump in FURTHER] + [{"step": step + jump} for jump in (10, 100, 1000, *FURTHER)]
    likely = [one for one in places if coins(**one, entries=128) in (rows["step"][:128], rows["seed"][:128])]
    return p != 0.5 and any(coins(**one) in (rows["step"], rows["seed"]) for one in likely)


def glued(coins):
    """Is 1, 12 the same as 11, 2 when they are written one after the other?"""
    texts = coins(1, 12, first=10, entries=90), coins(12, 1, first=10, entries=90)
    return coins(1, 1, first=210, entries=90) in texts or coins(1, 12, entries=90) == coins(11, 2, entries=90)
