"""The exercises of notebook 09: a clock that waits, a computed coin, bytes, what changed, two replicas."""

import copy
import hashlib
import random
from functools import partial
from unittest import mock

import torch
from torch import nn

from .. import memory
from ..child import Child
from .exercise import Code
from .quiz import Choice

WAIT = Choice(
    name="09.1",
    title="a clock that does not wait",
    right=5,
    because="The clock is read when the work is done, and the next step begins on an idle device.",
    wrong={
        2: "There it waits once, for nothing: the work begins inside of the loop.",
        3: "The device is idle when the step begins; but the clock stops as soon as the work is handed over.",
        4: "There it waits for the step *before*. Each pays for the other, and the ratio comes out upside down.",
        6: "Outside of the loop all clocks have been read.",
    },
)


def another_process():
    """In each process Python's `hash` of a text is another number. So it is in here."""
    here = hash
    # A number's hash is the same everywhere; only texts are salted.
    return mock.patch("builtins.hash", lambda x: here((here(x), "salt")) if "'" in repr(x) else here(x))


def places(seed):
    for step, name, p in ((0, "head.weight", 0.3), (12, "layer.1.bias", 0.8), (500, "layer.2.weight", 0.1)):
        yield f"step {step}, {name!r}, p = {p}", (seed, step, name, p)


def facts_about_coins(is_kept, seed, step, name, p):
    """What can be said of computed coins. The share is of 1,600: its standard error is below 0.013; six of them."""
    states = torch.get_rng_state(), random.getstate()

    def coins(seed, step, first=0, beyond=400, name=name):
        tossed = [is_kept(seed, step, name, index, p) for index in range(first, beyond)]
        for odd in [one for one in tossed if one not in (True, False)]:
            raise TypeError(f"a coin is True or False, not {odd!r}")
        return [bool(one) for one in tossed]

    first, again = coins(seed, step), coins(seed, step, 0, 100)
    with another_process():
        elsewhere = coins(seed, step, 0, 100)
    touched = not torch.equal(states[0], torch.get_rng_state()) or states[1] != random.getstate()
    facts = {
        "a random state was touched": touched,
        "the same coin when asked again": first[:100] == again,
        "the same coin in another process": first[:100] == elsewhere,
        "all entries have one coin": len(set(first)) == 1,
    }
    others = {"step": coins(seed, step + 1), "seed": coins(seed + 1, step), "name": coins(seed, step, name=name[::-1])}
    for what, other in others.items():
        facts[f"another {what} gives the same coins"] = other == first
        facts[f"another {what} gives the same coins, moved along"] = moved(first, other)
    glued = coins(1, 1, 210, 300) in (coins(1, 12, 10, 100), coins(12, 1, 10, 100))
    facts["1 and 12 run together"] = glued or coins(1, 12, 0, 90) == coins(11, 2, 0, 90)
    random.setstate(states[1])
    return facts | {"share of True": sum(map(sum, [first, *others.values()])) / 1600}


def moved(a, b, furthest=100):
    """Are b's coins those of a, some places further on or back, or with neighbours swapped?"""
    swapped = b == [a[i ^ 1] for i in range(len(a))]
    return len(set(a)) > 1 and (swapped or any(a[k:] == b[:-k] or b[k:] == a[:-k] for k in range(1, furthest)))


def by_sha(seed, step, name, index, p):
    """52 bits of a digest, read as a number between 0 and 1."""
    return int(hashlib.sha256(repr((seed, step, name, index)).encode()).hexdigest()[:13], 16) / 16**13 < p


COMPUTED = Code(
    name="09.2",
    title="a coin that is computed",
    reference=by_sha,
    cases=places,
    observe=facts_about_coins,
    tolerance=0.08,
    mistakes=[
        ("Python salts `hash` of a text anew in each process: two ranks would toss other coins. Use a digest.",
         lambda s, t, n, i, p: hash(f"{s}|{t}|{n}|{i}") % 1000 < 1000 * p),
        ("You draw from the global random state: whatever draws before you decides over your mask.",
         lambda s, t, n, i, p: torch.rand(1).item() < p),
        ("You seed the whole program anew, and dropout will repeat itself.",
         lambda s, t, n, i, p: by_sha(s, t, n, i, p) and torch.rand(1).item() < 2),
        ("Added up, one step later is the same as one entry further. Mix them.",
         lambda s, t, n, i, p: by_sha(0, 0, n, s + t + i, p)),
        ("Written one after the other, 1 and 12 are 11 and 2. Keep the parts apart.",
         lambda s, t, n, i, p: by_sha(0, 0, f"{s}{t}{n}{i}", 0, p)),
        ("Signed integers begin at -2^31, so too many of them lie below p 2^32.",
         lambda s, t, n, i, p: by_sha(s, t, n, i, p + 0.5)),
        ("You keep a share of 1 - p.", lambda s, t, n, i, p: not by_sha(s, t, n, i, p)),
    ],
)  # fmt: skip


def sizes(seed):
    for place, (kind, p) in enumerate([("float32", 0.3), ("bfloat16", 0.25), ("float32, tied", 0.7), ("float64", 1.0)]):
        yield f"{kind}, p = {p}", (kind, p, 10 * seed + place)


def on_a_network(saved_bytes, kind, p, seed):
    """A masked block of three layers of one width, drawn by seed, and a head; `tied`: two of them share a tensor."""
    width = random.Random(seed).randrange(5, 30)
    block = nn.Sequential(*[nn.Linear(width, width) for _ in range(3)])
    if "tied" in kind:
        block[2].weight = block[0].weight
    model = nn.ModuleDict({"block": block, "head": nn.Linear(width, 40)})
    return saved_bytes(model.to(getattr(torch, kind.split(",")[0])), lambda name: name.startswith("block"), p)


def counted(model, scope, p):
    """Train both ways for a step, and add up the tensors that are held."""
    child = Child.random({name: torch.ones_like(w) for name, w in model.named_parameters() if scope(name)}, p)
    held = []
    for network, trains in ((copy.deepcopy(model), None), (copy.deepcopy(model), child)):
        optimizer = torch.optim.AdamW(trains.parameters(network) if trains else network.parameters())
        if trains:
            trains.attach(optimizer)
        for w in network.parameters():
            w.grad = torch.ones_like(w)
        optimizer.step()
        held.append(sum(memory.held_bytes(network, optimizer, trains).values()))
    return held[0] - held[1]


def _saved(model, scope, p, width=None, moments=2, index=4, copies=2, in_scope=True, of=nn.Module.named_parameters):
    each = [w.numel() for name, w in dict(of(model)).items() if scope(name) or not in_scope]
    width = width or next(model.parameters()).element_size()
    chosen = round(p * sum(each))
    return moments * width * (sum(each) - chosen) - chosen * ((width if index is None else index) + copies * width)


SAVED = Code(
    name="09.3",
    title="what a child saves",
    reference=counted,
    cases=sizes,
    observe=on_a_network,
    tolerance=0.5,
    mistakes=[
        ("AdamW keeps two moments for each entry. You count one.", partial(_saved, moments=1)),
        ("Here every number takes 4 bytes. What of a network in bfloat16?", partial(_saved, width=4)),
        ("The indices stay int32 in every dtype.", partial(_saved, index=None)),
        ("The gathered gradient wants room, too: in D, not in lean D.", partial(_saved, copies=1)),
        ("That is what the moments save. What does the child bring along?", partial(_saved, index=0, copies=0)),
        ("What lies outside the scope trains whole: nothing is saved there.", partial(_saved, in_scope=False)),
        ("A tied tensor has two names, but one pair of moments.",
         partial(_saved, of=nn.Module.state_dict)),
    ],
)  # fmt: skip


def networks(seed):
    for kind in ("float32", "bfloat16", "float32, one weight transposed", "float32, their weights tied"):
        yield f"two layers, {kind}", (kind, seed)


def on_a_pair(changes, kind, seed):
    """Of a parent, and a copy in which all tensors but one have changed, some entries by very little."""
    generator = torch.Generator().manual_seed(seed)
    parent = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    for w in parent.parameters():
        w.data = torch.randn(w.shape, generator=generator).to(torch.bfloat16 if "bfloat16" in kind else torch.float32)
    if "transposed" in kind:
        parent[0].weight = nn.Parameter(parent[0].weight.detach().t().contiguous().t())
    if "tied" in kind:
        parent[1].weight = parent[0].weight
    tuned = copy.deepcopy(parent)
    for w in (tuned[0].weight, tuned[0].bias, tuned[1].weight):
        moves = torch.rand(w.shape, generator=generator) < 0.3
        w.data[moves] += 0.5
        w.data[..., 0] = w.data[..., 0].nextafter(torch.tensor(9.0).to(w.dtype))
    delta = changes(parent, tuned)
    if isinstance(delta, dict) and not all(torch.is_tensor(part) for pair in delta.values() for part in pair):
        raise TypeError("each name should hold a pair of tensors: indices, values")
    return dict(sorted(delta.items())) if isinstance(delta, dict) else delta


def one_by_one(parent, tuned):
    delta, after = {}, dict(tuned.named_parameters())
    for name, w in parent.named_parameters():
        old, new = w.flatten().tolist(), after[name].flatten().tolist()
        index = [place for place in range(len(old)) if old[place] != new[place]]
        values = torch.tensor([new[place] for place in index], dtype=w.dtype)
        delta |= {name: (torch.tensor(index, dtype=torch.int32), values)} if index else {}
    return delta


def _delta(
    parent, tuned, differ=torch.ne, value=lambda a, b: b, index=torch.int32, least=1, of=nn.Module.named_parameters
):
    pairs = dict(of(parent)), dict(of(tuned))
    found = {name: differ(old, pairs[1][name]).flatten().nonzero()[:, 0] for name, old in pairs[0].items()}
    values = {name: value(pairs[0][name].detach(), pairs[1][name].detach()).flatten() for name in found}
    return {name: (i.to(index), values[name][i]) for name, i in found.items() if len(i) >= least}


CHANGES = Code(
    name="09.4",
    title="what training changed",
    reference=one_by_one,
    cases=networks,
    observe=on_a_pair,
    tolerance=0.0,
    mistakes=[
        ("You keep differences. A delta is laid over the parent, not added: keep the tuned values.",
         partial(_delta, value=lambda a, b: b - a)),
        ("These are the parent's values.", partial(_delta, value=lambda a, b: a)),
        ("Entries that moved by very little are missing. Bit for bit leaves no room for a tolerance.",
         partial(_delta, differ=lambda a, b: ~torch.isclose(a, b))),
        ("You keep whole tensors: also the entries that training left alone.",
         partial(_delta, differ=lambda a, b: (a != b).any().expand(a.shape))),
        ("Indices of 8 bytes where 4 do.", partial(_delta, index=torch.int64)),
        ("A tensor without a change takes no place in the delta.", partial(_delta, least=0)),
        ("A tied tensor is in twice: once for each of its names.", partial(_delta, of=nn.Module.state_dict)),
        ("Keep the values in the network's own dtype.", partial(_delta, value=lambda a, b: b.float())),
    ],
)  # fmt: skip

APART = Choice(
    name="09.5",
    title="find the bug",
    right=2,
    because="Each rank scores its own half and holds a child of its own. `all_ranks=True` adds the scores up first.",
    wrong={
        1: "Other examples on each rank: that is what data parallel is for. Their gradients are averaged.",
        3: "Right for the child that this rank holds. Is it the other rank's child?",
        4: "The child is put on its optimizer, as it should be. Is it the same on both ranks?",
        5: "It averages gradients, and so both ranks get the same ones. It need not know of the child.",
        6: "Ten batches each: no rank waits for the other. That they differ is what data parallel is for.",
        7: "Here the gradients are averaged. They are the same on both ranks, also where the replicas differ.",
        8: "The step takes the child's entries out of the gradient, as it should. Which are those on each rank?",
    },
)

EXERCISES = [WAIT, COMPUTED, SAVED, CHANGES, APART]
