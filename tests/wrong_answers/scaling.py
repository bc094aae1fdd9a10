"""Wrong answers to the exercises of notebook 09."""

import hashlib

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


def xored(seed, step, name, index, p):
    return uniform(f"{name} {seed} {index ^ step}") < p


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


def rounded_for_each_tensor(model, scope, p):
    saved = 0
    for name, w in model.named_parameters():
        if scope(name):
            k = round(p * w.numel())
            saved += 2 * w.element_size() * (w.numel() - k) - k * (4 + 2 * w.element_size())
    return saved


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
    delta = {}
    for name, old, new in pairs(parent.float(), tuned.float()):
        where = torch.where(old != new)[0]
        if where.numel():
            delta[name] = (where.int(), new[where])
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
        (summed, "one step later is the same as one entry further"),
        (xored, "Another step gives the same coins, moved along: yes, wanted no"),
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
        (rounded_for_each_tensor, "Your result is"),
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
        (a_mask, "has shape (5,), wanted (2,)"),
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
