"""Wrong answers to the exercises of notebook 09."""

import hashlib
import math
import zlib

import numpy as np
import torch


def uniform(text):
    return int(hashlib.md5(text.encode()).hexdigest(), 16) / 2**128


def salted_hash(seed, step, name, index, p):
    return (hash(f"{seed}|{step}|{name}|{index}") & 0xFFFFFFFF) < p * 2**32


def global_coin(seed, step, name, index, p):
    return bool(torch.bernoulli(torch.tensor(p)))


def seeded_globally(seed, step, name, index, p):
    torch.manual_seed(int(uniform(f"{seed}, {step}, {name}, {index}") * 2**60))
    return bool(torch.rand(()) < p)


def summed(seed, step, name, index, p):
    number = seed + step + index + int(uniform(name) * 2**40)
    return torch.rand((), generator=torch.Generator().manual_seed(number)).item() < p


def number(part):
    return int.from_bytes(hashlib.blake2b(repr(part).encode(), digest_size=8).digest(), "little")


def digests_xored(seed, step, name, index, p):
    mixed = number(name) ^ number(("seed", seed)) ^ number(("step", step)) ^ number(("index", index))
    return mixed < 2**64 * p


def every_other(seed, step, name, index, p):
    return number((seed, step, name, index // 2)) < 2**64 * p


def a_byte_of_the_index(seed, step, name, index, p):
    return number((seed, step, name, index % 256)) < 2**64 * p


def a_digit_of_the_step(seed, step, name, index, p):
    return number((seed, step % 10, name, index)) < 2**64 * p


def tenths(seed, step, name, index, p):
    return number((seed, step, name, index)) % 10 < 10 * p


def length_of_the_name(seed, step, name, index, p):
    return number((seed, step, len(name), index)) < 2**64 * p


def one_seed_xored(seed, step, name, index, p):
    return number(f"{name}{step}{index}") ^ number(seed) < 2**64 * p


def by_crc(seed, step, name, index, p):
    return zlib.crc32(f"{seed}|{step}|{name}|{index}".encode()) < 2**32 * p


def turned(seed, step, name, index, p):
    return (number((seed, name, index)) / 2**64 + 0.618 * step) % 1 < p


def hundreds(seed, step, name, index, p):
    return uniform(f"{name}|{1000 * seed + 100 * step + index}") < p


def millions(seed, step, name, index, p):
    return uniform(f"{name}|{10**8 * seed + 10**6 * step + index}") < p


def a_thousand_steps(seed, step, name, index, p):
    return uniform(f"{1000 * seed + step}|{name}|{index}") < p


def numpys_state(seed, step, name, index, p):
    np.random.seed(number((seed, step, name, index)) % 2**32)
    return bool(np.random.rand() < p)


def neighbours_swapped(seed, step, name, index, p):
    return uniform(f"{name} {seed} {index ^ step}") < p


def a_thousand_entries(seed, step, name, index, p):
    return uniform(f"{name} {seed} {step} {index % 1000}") < p


def run_together(seed, step, name, index, p):
    return uniform(str(seed) + str(step) + name + str(index)) < p


def run_together_elsewhere(seed, step, name, index, p):
    return uniform(f"{name}/{seed}/{step}{index}") < p


def signed_bits(seed, step, name, index, p):
    digest = hashlib.sha256(f"{seed} {step} {name} {index}".encode()).digest()
    return int.from_bytes(digest[:4], "big", signed=True) < p * 2**32


def dropped_share(seed, step, name, index, p):
    return uniform(f"{seed}-{step}-{name}-{index}") > p


def no_step(seed, step, name, index, p):
    return uniform(f"{seed}-{name}-{index}") < p


def no_seed(seed, step, name, index, p):
    return uniform(f"{step}-{name}-{index}") < p


def no_name(seed, step, name, index, p):
    return uniform(f"{seed}-{step}-{index}") < p


def no_index(seed, step, name, index, p):
    return uniform(f"{seed}-{step}-{name}") < p


def number_itself(seed, step, name, index, p):
    return uniform(f"{seed}-{step}-{name}-{index}")


def scope_sizes(model, scope, p):
    entries = sum(w.numel() for name, w in model.named_parameters() if scope(name))
    return entries, round(p * entries), next(iter(model.parameters())).dtype.itemsize


def one_moment(model, scope, p):
    n, k, b = scope_sizes(model, scope, p)
    return b * n - b * k - (4 + 2 * b) * k


def always_float32(model, scope, p):
    n, k, _ = scope_sizes(model, scope, p)
    return 8 * (n - k) - 12 * k


def narrow_indices(model, scope, p):
    n, k, b = scope_sizes(model, scope, p)
    return 2 * b * (n - k) - 3 * b * k


def as_if_lean(model, scope, p):
    n, k, b = scope_sizes(model, scope, p)
    return 2 * b * (n - k) - (4 + b) * k


def moments_only(model, scope, p):
    n, k, b = scope_sizes(model, scope, p)
    return 2 * b * (n - k)


def all_of_the_network(model, scope, p):
    n, k, b = scope_sizes(model, lambda name: True, p)
    return 2 * b * (n - k) - k * (4 + 2 * b)


def tied_counted_twice(model, scope, p):
    tensors = [w for name, w in model.named_parameters(remove_duplicate=False) if scope(name)]
    n, b = sum(w.numel() for w in tensors), tensors[0].element_size()
    k = round(p * n)
    return 2 * b * (n - k) - k * (4 + 2 * b)


def what_d_holds(model, scope, p):
    _, k, b = scope_sizes(model, scope, p)
    return k * (4 + 4 * b)


def saved(n, k, b):
    return 2 * b * (n - k) - k * (4 + 2 * b)


def rounded_for_each_tensor(model, scope, p):
    total = 0
    for name, w in model.named_parameters():
        if scope(name):
            total += saved(w.numel(), round(p * w.numel()), w.element_size())
    return total


def cut_off(model, scope, p):
    n, _, b = scope_sizes(model, scope, p)
    return saved(n, math.floor(p * n), b)


def not_rounded(model, scope, p):
    n, _, b = scope_sizes(model, scope, p)
    return saved(n, p * n, b)


def int64_indices(model, scope, p):
    n, k, b = scope_sizes(model, scope, p)
    return 2 * b * n - (8 + 4 * b) * k


def lean(model, scope, p):
    n, k, b = scope_sizes(model, scope, p)
    return 3 * b * n - (4 + 4 * b) * k


def gradients_too(model, scope, p):
    n, k, b = scope_sizes(model, scope, p)
    return 3 * b * (n - k) - (4 + 2 * b) * k


def all_outside_frozen(model, scope, p):
    _, k, b = scope_sizes(model, scope, p)
    every = sum(w.numel() for w in model.parameters())
    return 2 * b * every - (4 + 4 * b) * k


def never_negative(model, scope, p):
    return max(0, saved(*scope_sizes(model, scope, p)))


def turned_round(model, scope, p):
    return -saved(*scope_sizes(model, scope, p))


def pairs(parent, tuned):
    tuned = dict(tuned.named_parameters())
    for name, old in parent.named_parameters():
        yield name, old.detach().reshape(-1), tuned[name].detach().reshape(-1)


def differences(parent, tuned):
    delta = {}
    for name, old, new in pairs(parent, tuned):
        where = torch.where(old != new)[0]
        if where.numel():
            delta[name] = (where.int(), (new - old)[where])
    return delta


def the_parents(parent, tuned):
    found = {name: ((new - old).nonzero().squeeze(1), old) for name, old, new in pairs(parent, tuned)}
    return {name: (where.int(), old[where]) for name, (where, old) in found.items() if len(where)}


def with_a_tolerance(parent, tuned):
    delta = {}
    for name, old, new in pairs(parent, tuned):
        where = (~torch.isclose(old, new)).nonzero().flatten()
        if len(where):
            delta[name] = (where.int(), new[where])
    return delta


def whole_tensors(parent, tuned):
    return {
        name: (torch.arange(new.numel(), dtype=torch.int32), new)
        for name, old, new in pairs(parent, tuned)
        if not torch.equal(old, new)
    }


def wide_indices(parent, tuned):
    delta = {}
    for name, old, new in pairs(parent, tuned):
        where = torch.where(old != new)[0]
        if where.numel():
            delta[name] = (where, new[where])
    return delta


def all_names(parent, tuned):
    return {name: ((where := torch.where(a != b)[0]).int(), b[where]) for name, a, b in pairs(parent, tuned)}


def tied_twice(parent, tuned):
    before, delta = parent.state_dict(), {}
    for name, new in tuned.state_dict().items():
        where = (new != before[name]).flatten().nonzero().flatten()
        if len(where):
            delta[name] = (where.int(), new.flatten()[where])
    return delta


def float_values(parent, tuned):
    return {name: (where, values.float()) for name, (where, values) in sparse(parent, tuned).items()}


def sparse(parent, tuned):
    """Right."""
    delta = {}
    for name, old, new in pairs(parent, tuned):
        where = torch.where(old != new)[0]
        if where.numel():
            delta[name] = (where.int(), new[where])
    return delta


def made_float(parent, tuned):
    return sparse(parent.float(), tuned.float())


def emptied(parent, tuned):
    delta = sparse(parent, tuned)
    with torch.no_grad():
        for w in tuned.parameters():
            w.zero_()
    return {name: (where, values.clone()) for name, (where, values) in delta.items()}


def tiny_tolerance(parent, tuned):
    delta = {}
    for name, old, new in pairs(parent, tuned):
        where = torch.where((new - old).abs() > 1e-10)[0]
        if where.numel():
            delta[name] = (where.int(), new[where])
    return delta


def squeezed(parent, tuned):
    delta = {}
    for name, old, new in pairs(parent, tuned):
        where = (old != new).nonzero().squeeze()
        if where.numel():
            delta[name] = (where.int(), new[where])
    return delta


def last_first(parent, tuned):
    return {name: (where.flip(0), values.flip(0)) for name, (where, values) in sparse(parent, tuned).items()}


def as_memory_has_it(parent, tuned):
    def listed(w):
        return w.detach().t() if not w.is_contiguous() else w.detach()

    after, delta = dict(tuned.named_parameters()), {}
    for name, old in parent.named_parameters():
        where = torch.where((listed(old) != listed(after[name])).flatten())[0]
        if where.numel():
            delta[name] = (where.int(), listed(after[name]).flatten()[where])
    return delta


def rows_and_columns(parent, tuned):
    after, delta = dict(tuned.named_parameters()), {}
    for name, old in parent.named_parameters():
        where = (old != after[name]).nonzero()
        if len(where):
            delta[name] = (where.int(), after[name][old != after[name]])
    return delta


def flat_by_view(parent, tuned):
    after, delta = dict(tuned.named_parameters()), {}
    for name, old in parent.named_parameters():
        where = torch.where(old.view(-1) != after[name].view(-1))[0]
        if where.numel():
            delta[name] = (where.int(), after[name].view(-1)[where])
    return delta


def a_mask(parent, tuned):
    return {name: (old != new, new[old != new]) for name, old, new in pairs(parent, tuned) if not torch.equal(old, new)}


# Their reports repeat words of those below; tests/test_coins.py tries them.
MORE_COINS = [
    (one_seed_xored, "Steps, seeds or names are correlated"),
    (turned, "Steps, seeds or names are correlated"),
    (by_crc, "as in CRC"),
    (hundreds, "a step later is some entries further"),
    (millions, "a step later is some entries further"),
    (a_thousand_steps, "a step later is some entries further"),
    (neighbours_swapped, "a step later is some entries further"),
    (a_thousand_entries, "Entries further on have the same coins again"),
    (length_of_the_name, "Another name gives the same coins: yes"),
    (numpys_state, "You seed the whole program anew"),
]

WRONG = {
    "09.1": [
        (2, "waits once, for nothing"),
        (3, "as soon as the work is handed over"),
        (4, "upside down"),
        (6, "all clocks have been read"),
        (8, "none of the choices"),
    ],
    "09.2": [
        (salted_hash, "Python salts `hash`"),
        (global_coin, "from the global random state"),
        (seeded_globally, "You seed the whole program anew"),
        (summed, "a step later is some entries further"),
        (digests_xored, "Steps, seeds or names are correlated"),
        (every_other, "Entries near one another are related"),
        (a_byte_of_the_index, "Entries further on have the same coins again"),
        (a_digit_of_the_step, "Another step, ten later, gives the same coins: yes"),
        (tenths, "Tenths are too coarse"),
        (run_together, "Keep the parts apart"),
        (signed_bits, "Signed integers"),
        (dropped_share, "You keep a share of 1 - p"),
        (no_step, "Another step gives the same coins: yes"),
        (no_seed, "Another seed gives the same coins: yes"),
        (no_name, "Another name gives the same coins: yes"),
        (no_index, "All entries have one coin: yes"),
        (number_itself, "a coin is True or False, not 0."),
    ],
    "09.3": [
        (one_moment, "You count one"),
        (always_float32, "What of a network in bfloat16?"),
        (narrow_indices, "stay int32"),
        (as_if_lean, "The gathered gradient wants room"),
        (moments_only, "What does the child bring along?"),
        (all_of_the_network, "nothing is saved there"),
        (tied_counted_twice, "one pair of moments"),
        (what_d_holds, "times what was wanted"),
        (rounded_for_each_tensor, "You round in each tensor"),
        (cut_off, "You cut p * N off"),
        (not_rounded, "Entries are whole"),
        (int64_indices, "Your indices take 8 bytes"),
        (lean, "That is lean D"),
        (gradients_too, "only lean D drops some"),
        (all_outside_frozen, "Outside the scope the moments stay"),
        (never_negative, "The answer may be negative"),
        (turned_round, "minus what D holds"),
    ],
    "09.4": [
        (differences, "You keep differences"),
        (the_parents, "the parent's values"),
        (with_a_tolerance, "leaves no room for a tolerance"),
        (whole_tensors, "You keep whole tensors"),
        (wide_indices, "8 bytes where 4 do"),
        (all_names, "takes no place in the delta"),
        (tied_twice, "once for each of its names"),
        (float_values, "in the network's own dtype"),
        (rows_and_columns, "has shape"),
        (flat_by_view, "view size is not compatible"),
        (a_mask, "has shape (5,), wanted (3,)"),
        (tiny_tolerance, "From 1e-30 to 2e-30"),
        (squeezed, "has shape (), wanted (1,)"),
        (last_first, "should ascend"),
        (as_memory_has_it, "in the tensor's own order"),
        (made_float, "writes into its argument `parent`"),
        (emptied, "writes into its argument `tuned`"),
    ],
    "09.5": [
        (1, "what data parallel is for. Their"),
        (3, "Is it the other rank's child?"),
        (4, "Is it the same on both ranks?"),
        (5, "need not know of the child"),
        (6, "no rank waits for the other"),
        (7, "also where the replicas differ"),
        (8, "Which are those"),
        ("all_ranks", "none of the choices"),
    ],
}
