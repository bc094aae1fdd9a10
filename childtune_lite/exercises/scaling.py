"""The exercises of notebook 09: a clock that waits, a computed coin, bytes, what changed, two replicas."""

import copy
import math
import random
from functools import partial

import torch
from torch import nn

from .. import memory
from ..child import Child
from .coins import by_sha, by_xor, facts_about_coins
from .exercise import Changed, Code
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


def places(seed):
    for step, name, p in ((0, "head.weight", 0.35), (12, "layer.1.bias", 0.8), (500, "layer.2.weight", 0.5)):
        yield f"step {step}, {name!r}, p = {p}", (seed, step, name, p)


COMPUTED = Code(
    name="09.2",
    title="a coin that is computed",
    reference=by_sha,
    cases=places,
    observe=facts_about_coins,
    tolerance=0.025,
    because="Each share of True is near p, and steps, seeds, names, entries and processes showed no relation.",
    mistakes=[
        ("Python salts `hash` of a text anew in each process: two ranks would toss other coins. Use a digest.",
         lambda s, t, n, i, p: hash(f"{s}|{t}|{n}|{i}") % 1000 < 1000 * p),
        ("You draw from the global random state: whatever draws before you decides over your mask.",
         lambda s, t, n, i, p: torch.rand(1).item() < p),
        ("You seed the whole program anew, and dropout will repeat itself.",
         lambda s, t, n, i, p: by_sha(s, t, n, i, p) and torch.rand(1).item() < 2),
        ("Added up, or XORed as in CRC, one place is another: a step later is some entries further. Keep them apart.",
         lambda s, t, n, i, p: by_sha(0, 0, n, s + t + i, p)),
        ("Steps, seeds or names are correlated. XOR, CRC, or a sum after the digest, only shift or flip the numbers. "
         "Put all four into one digest.", by_xor),
        ("Entries further on have the same coins again. All of the index must go in, not its remainder.",
         lambda s, t, n, i, p: by_sha(s, t, n, i % 500, p)),
        ("Entries near one another are related. All of the index must go in: do not divide it.",
         lambda s, t, n, i, p: by_sha(s, t, n, i // 2, p)),
        ("Written one after the other, 1 and 12 are 11 and 2. Keep the parts apart.",
         lambda s, t, n, i, p: by_sha(0, 0, f"{s}{t}{n}{i}", 0, p)),
        ("Signed integers begin at -2^31, so too many of them lie below p 2^32.",
         lambda s, t, n, i, p: by_sha(s, t, n, i, p + 0.5)),
        ("You keep a share of 1 - p.", lambda s, t, n, i, p: not by_sha(s, t, n, i, p)),
        ("Tenths are too coarse for p = 0.35. Take more bits.",
         lambda s, t, n, i, p: by_sha(s, t, n, i, math.ceil(10 * p) / 10)),
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


def _saved(
    model, scope, p, width=None, moments=2, index=4, copies=2, in_scope=True, of=nn.Module.named_parameters,
    choose=lambda p, sizes: round(p * sum(sizes)), sign=1, least=-math.inf, frozen=False,
):  # fmt: skip
    """The formula; faulty with another setting."""
    sizes = [w.numel() for name, w in dict(of(model)).items() if scope(name) or not in_scope]
    width, chosen = width or next(model.parameters()).element_size(), choose(p, sizes)
    trained = sum(w.numel() for w in model.parameters()) if frozen else sum(sizes)
    return max(least, sign * (moments * width * (trained - chosen) - chosen * (index + copies * width)))


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
        ("The indices stay int32 in every dtype.",
         lambda model, *a: _saved(model, *a, index=next(model.parameters()).element_size())),
        ("Your indices take 8 bytes. The child keeps int32.", partial(_saved, index=8)),
        ("That is lean D. Here D keeps all gradients, and room for the gathered one.",
         partial(_saved, moments=3, copies=1)),
        ("Gradients stay whole in D: only lean D drops some.", partial(_saved, moments=3)),
        ("The gathered gradient wants room, too: in D, not in lean D.", partial(_saved, copies=1)),
        ("That is what the moments save. What does the child bring along?", partial(_saved, index=0, copies=0)),
        ("What lies outside the scope trains whole: nothing is saved there.", partial(_saved, in_scope=False)),
        ("Outside the scope the moments stay: it trains whole.", partial(_saved, frozen=True)),
        ("A tied tensor has two names, but one pair of moments.", partial(_saved, of=nn.Module.state_dict)),
        ("You round in each tensor. The child has round(p * N) of *all* entries.",
         partial(_saved, choose=lambda p, sizes: sum(round(p * n) for n in sizes))),
        ("You cut p * N off: round it.", partial(_saved, choose=lambda p, sizes: int(p * sum(sizes)))),
        ("Entries are whole: the child has round(p * N).", partial(_saved, choose=lambda p, sizes: p * sum(sizes))),
        ("The answer may be negative: a large child costs more than it saves.", partial(_saved, least=0)),
        ("Saved is what plain AdamW holds minus what D holds.", partial(_saved, sign=-1)),
    ],
)  # fmt: skip


def networks(seed):
    kinds = (
        "float32",
        "bfloat16",
        "float32, one weight transposed",
        "float32, their weights tied",
        "float32, one change",
    )
    for kind in kinds:
        yield f"two layers, {kind}", (kind, seed)


def on_a_pair(changes, kind, seed):
    """Of a parent, and a copy in which all tensors but one have changed, some entries by very little."""
    generator = torch.Generator().manual_seed(seed)
    parent = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    for w in parent.parameters():
        w.data = torch.randn(w.shape, generator=generator).to(torch.bfloat16 if "bfloat16" in kind else torch.float32)
        w.data[..., 1] = 1e-30
    if "transposed" in kind:
        parent[0].weight = nn.Parameter(parent[0].weight.detach().t().contiguous().t())
    if "tied" in kind:
        parent[1].weight = parent[0].weight
    tuned = copy.deepcopy(parent)
    if "one change" in kind:
        tuned[1].bias.data[3] += 1
    for w in (tuned[0].weight, tuned[0].bias, tuned[1].weight) if "one change" not in kind else ():
        moves = torch.rand(w.shape, generator=generator) < 0.3
        w.data[moves] += 0.5
        w.data[..., 0] = w.data[..., 0].nextafter(torch.tensor(9.0).to(w.dtype))
        w.data[..., 1] = 2e-30
    kept = copy.deepcopy([parent.state_dict(), tuned.state_dict()])
    delta = changes(parent, tuned)
    for name, was, net in zip(("parent", "tuned"), kept, (parent, tuned), strict=True):
        now = net.state_dict()
        if any(was[k].dtype != now[k].dtype or not torch.equal(was[k], now[k]) for k in was):
            return Changed(name)
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
    parent, tuned, differ=torch.ne, value=lambda a, b: b, index=torch.int32, least=1, of=nn.Module.named_parameters,
    flat=torch.flatten, order=lambda i: i,
):  # fmt: skip
    before, after = ({name: flat(w.detach()) for name, w in dict(of(net)).items()} for net in (parent, tuned))
    found = {name: order(differ(old, after[name]).nonzero()[:, 0]) for name, old in before.items()}
    return {n: (i.to(index), value(before[n], after[n])[i]) for n, i in found.items() if len(i) >= least}


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
        ("From 1e-30 to 2e-30 is a change, too. Any tolerance, however small, overlooks some.",
         partial(_delta, differ=lambda a, b: (a - b).abs() > 1e-10)),
        ("You keep whole tensors: also the entries that training left alone.",
         partial(_delta, differ=lambda a, b: (a != b).any().expand(a.shape))),
        ("Indices of 8 bytes where 4 do.", partial(_delta, index=torch.int64)),
        ("The indices should ascend.", partial(_delta, order=lambda i: i.flip(0))),
        ("Flat indices count in the tensor's own order, row by row, also where memory has another.",
         partial(_delta, flat=lambda w: w.as_strided((w.numel(),), (1,)))),
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
