"""Wrong answers to the exercises of notebook 06."""

import torch

import childtune_lite as ct


def end_of_step(model, optimizer, scaler):
    scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return norm


def half(model, piece):
    with torch.autocast("cpu", dtype=torch.float16):
        return model(**piece).loss


def added_up(model, pieces, optimizer, scaler):
    for piece in pieces:
        scaler.scale(half(model, piece)).backward()
    return end_of_step(model, optimizer, scaler).item()


def a_step_each(model, pieces, optimizer, scaler):
    for piece in pieces:
        scaler.scale(half(model, piece)).backward()
        norm = end_of_step(model, optimizer, scaler)
    return norm.item()


def clipped_first(model, pieces, optimizer, scaler):
    for piece in pieces:
        scaler.scale(half(model, piece) / len(pieces)).backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return norm


def stepped_myself(model, pieces, optimizer, scaler):
    for piece in pieces:
        scaler.scale(half(model, piece) / len(pieces)).backward()
    scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scaler.update()
    optimizer.zero_grad()
    return float(norm)


def cleared_between(model, pieces, optimizer, scaler):
    for piece in pieces:
        model.zero_grad()
        scaler.scale(half(model, piece) / len(pieces)).backward()
    return float(end_of_step(model, optimizer, scaler))


def never_cleared(model, pieces, optimizer, scaler):
    for piece in pieces:
        (scaler.scale(half(model, piece)) / len(pieces)).backward()
    scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    return norm.item()


def no_autocast(model, pieces, optimizer, scaler):
    for piece in pieces:
        scaler.scale(model(**piece).loss / len(pieces)).backward()
    return end_of_step(model, optimizer, scaler)


def unscaled_each_time(model, pieces, optimizer, scaler):
    for piece in pieces:
        scaler.scale(half(model, piece) / len(pieces)).backward()
        scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return norm


def all_at_once(model, pieces, optimizer, scaler):
    batch = {key: torch.cat([piece[key] for piece in pieces]) for key in pieces[0]}
    scaler.scale(half(model, batch)).backward()
    return end_of_step(model, optimizer, scaler)


def not_clipped(model, pieces, optimizer, scaler):
    for piece in pieces:
        scaler.scale(half(model, piece) / len(pieces)).backward()
    scaler.unscale_(optimizer)
    norm = torch.nn.utils.get_total_norm([w.grad for w in model.parameters()])
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return norm


def parts(weights, gradients, moments, child):
    return {"weights": weights, "gradients": gradients, "moments": moments, "child": child}


def count(named, in_scope, width=None, train=True):
    """Bytes of the scope, of the rest that trains, of all; the scope's entries, and bytes of one of them."""
    inside, rest, whole, entries, wide = 0, 0, 0, 0, 4
    for name, tensor in named:
        size = tensor.numel() * (width or tensor.element_size())
        whole += size
        if in_scope(name):
            inside, entries, wide = inside + size, entries + tensor.numel(), width or tensor.element_size()
        elif tensor.requires_grad or not train:
            rest += size
    return inside, rest, whole, entries, wide


def tied_twice(model, in_scope, p):
    named = [(n, t.requires_grad_(model.get_parameter(n).requires_grad)) for n, t in model.state_dict().items()]
    inside, rest, whole, entries, wide = count(named, in_scope)
    k = round(p * entries)
    return parts(whole, inside + rest, 2 * (k * wide + rest), k * (4 + 2 * wide))


def always_float32(model, in_scope, p):
    inside, rest, whole, entries, _ = count(model.named_parameters(), in_scope, width=4)
    k = int(p * entries)
    return parts(whole, inside + rest, 8 * k + 2 * rest, 12 * k)


def frozen_too(model, in_scope, p):
    inside, rest, whole, entries, wide = count(model.named_parameters(), in_scope, train=False)
    k = round(p * entries)
    return parts(whole, inside + rest, 2 * (k * wide + rest), k * (4 + 2 * wide))


def p_of_everything(model, in_scope, p):
    inside, rest, whole, _, wide = count(model.named_parameters(), in_scope)
    k = round(p * whole / wide)
    return parts(whole, inside + rest, 2 * (k * wide + rest), k * (4 + 2 * wide))


def as_if_lean(model, in_scope, p):
    _, rest, whole, entries, wide = count(model.named_parameters(), in_scope)
    k = round(p * entries)
    return parts(whole, k * wide + rest, 2 * (k * wide + rest), k * (4 + 2 * wide))


def moments_of_all(model, in_scope, p):
    inside, rest, whole, entries, wide = count(model.named_parameters(), in_scope)
    k = round(p * entries)
    return parts(whole, inside + rest, 2 * (inside + rest), k * (4 + 2 * wide))


def like_momentum(model, in_scope, p):
    inside, rest, whole, entries, wide = count(model.named_parameters(), in_scope)
    k = round(p * entries)
    return parts(whole, inside + rest, k * wide + rest, k * (4 + 2 * wide))


def index_and_copy(model, in_scope, p):
    inside, rest, whole, entries, wide = count(model.named_parameters(), in_scope)
    k = round(p * entries)
    return parts(whole, inside + rest, 2 * (k * wide + rest), k * (4 + wide))


def a_mask_for_a_child(model, in_scope, p):
    inside, rest, whole, entries, wide = count(model.named_parameters(), in_scope)
    return parts(whole, inside + rest, 2 * (round(p * entries) * wide + rest), entries)


def by_the_calculator(model, in_scope, p):
    named = dict(model.named_parameters())
    n = sum(tensor.numel() for tensor in named.values())
    masked = sum(tensor.numel() for name, tensor in named.items() if in_scope(name)) / n
    return ct.memory.training_bytes(n, "D", p, masked)


def the_sum(model, in_scope, p):
    inside, rest, whole, entries, wide = count(model.named_parameters(), in_scope)
    return whole + inside + 3 * rest + round(p * entries) * (4 + 4 * wide)


WRONG = {
    "06.1": [
        (10, "nothing were rounded away"),
        (1.0, "is 1 ever reached?"),
        (0, "the first updates do count"),
        (0.25, "rounded up, and goes on"),
        (0.128, "each update reaches it"),
        (0.7, "0.700 is too high"),
    ],
    "06.2": [
        (added_up, "too long by the number of pieces"),
        (a_step_each, "Each piece took a step"),
        (clipped_first, "which norm did the optimizer see?"),
        (stepped_myself, "Who may skip a step?"),
        (cleared_between, "Only the last piece counts"),
        (never_cleared, "still has the first one's gradients"),
        (no_autocast, "computed in float32"),
        (unscaled_each_time, "unscale_() has already been called"),
        (all_at_once, "more than one piece does not fit"),
        (not_clipped, "longer than clipping allows"),
    ],
    "06.3": [
        (tied_twice, "A tied tensor has two names"),
        (always_float32, "Ask each tensor for its own"),
        (frozen_too, "neither gradient nor moments"),
        (p_of_everything, "a share of the scope"),
        (as_if_lean, "lean D's gradients"),
        (moments_of_all, "F's moments"),
        (like_momentum, "a mean and a mean square"),
        (index_and_copy, "missing in the child"),
        (a_mask_for_a_child, "Child is"),
        (by_the_calculator, "times what was wanted"),
        (the_sum, "other parts"),
    ],
    "06.4": [
        (0, "if every tensor of the network is looked at"),
        (1, "An empty dict"),
        (3, "Differences would be rounded"),
        (4, "Was all kept that changed?"),
        (5, "lay the values over"),
        (6, "The loss happened before"),
        (7, "in place: right"),
        ("head", "none of the choices"),
    ],
    "06.5": [
        ("A", "no finding without its interval"),
        ("B", "no interval was even drawn"),
        ("D", "how little five pairs see"),
        ("E", "How wide are these?"),
        ("c", "none of the choices"),
    ],
}
