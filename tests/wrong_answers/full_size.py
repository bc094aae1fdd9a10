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


def one_big_graph(model, pieces, optimizer, scaler):
    total = 0
    for piece in pieces:
        total = total + half(model, piece)
    scaler.scale(total / len(pieces)).backward()
    return end_of_step(model, optimizer, scaler)


def collected(model, pieces, optimizer, scaler):
    """As a learner would begin; what follows is given."""
    for piece in pieces:
        scaler.scale(half(model, piece) / len(pieces)).backward()
    scaler.unscale_(optimizer)
    return list(model.parameters())


def infinities_wiped(model, pieces, optimizer, scaler):
    for w in collected(model, pieces, optimizer, scaler):
        w.grad = torch.nan_to_num(w.grad, nan=0.0, posinf=0.0, neginf=0.0)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return norm


def infinities_capped(model, pieces, optimizer, scaler):
    for w in collected(model, pieces, optimizer, scaler):
        w.grad.clamp_(-1e4, 1e4).nan_to_num_()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return norm


def other_sixteen_bits(model, pieces, optimizer, scaler):
    for piece in pieces:
        with torch.autocast("cpu"):
            loss = model(**piece).loss
        scaler.scale(loss / len(pieces)).backward()
    return end_of_step(model, optimizer, scaler)


def norm_too_late(model, pieces, optimizer, scaler):
    weights = collected(model, pieces, optimizer, scaler)
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    norm = torch.stack([w.grad.norm() for w in weights]).norm()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return norm


def scale_for_ever(model, pieces, optimizer, scaler):
    norm = torch.nn.utils.clip_grad_norm_(collected(model, pieces, optimizer, scaler), 1.0)
    scaler.step(optimizer)
    optimizer.zero_grad()
    return norm


def updated_before(model, pieces, optimizer, scaler):
    norm = torch.nn.utils.clip_grad_norm_(collected(model, pieces, optimizer, scaler), 1.0)
    scaler.update()
    scaler.step(optimizer)
    optimizer.zero_grad()
    return norm


def divided_by_hand(model, pieces, optimizer, scaler):
    for piece in pieces:
        scaler.scale(half(model, piece) / len(pieces)).backward()
    for w in model.parameters():
        w.grad.div_(scaler.get_scale())
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return norm


def cleared_before_the_step(model, pieces, optimizer, scaler):
    norm = torch.nn.utils.clip_grad_norm_(collected(model, pieces, optimizer, scaler), 1.0)
    optimizer.zero_grad()
    scaler.step(optimizer)
    scaler.update()
    return norm


def cleared_at_once(model, pieces, optimizer, scaler):
    for piece in pieces:
        scaler.scale(half(model, piece) / len(pieces)).backward()
        optimizer.zero_grad()
    return end_of_step(model, optimizer, scaler)


def clipped_last(model, pieces, optimizer, scaler):
    weights = collected(model, pieces, optimizer, scaler)
    scaler.step(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(weights, 1.0)
    scaler.update()
    optimizer.zero_grad()
    return norm


def without_a_scaler(model, pieces, optimizer, scaler):
    for piece in pieces:
        (half(model, piece) / len(pieces)).backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
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


def what_trains(model, in_scope, p):
    inside, rest, _, entries, wide = count(model.named_parameters(), in_scope)
    k = round(p * entries)
    return parts(inside + rest, inside + rest, 2 * (k * wide + rest), k * (4 + 2 * wide))


def a_long_index(model, in_scope, p):
    inside, rest, whole, entries, wide = count(model.named_parameters(), in_scope)
    k = round(p * entries)
    return parts(whole, inside + rest, 2 * (k * wide + rest), k * (8 + 2 * wide))


def wide_moments(model, in_scope, p):
    inside, rest, whole, entries, wide = count(model.named_parameters(), in_scope)
    k = round(p * entries)
    outside = sum(w.numel() for n, w in model.named_parameters() if w.requires_grad and not in_scope(n))
    return parts(whole, inside + rest, 8 * (k + outside), k * (4 + 2 * wide))


def a_gradient_more(model, in_scope, p):
    inside, rest, whole, entries, wide = count(model.named_parameters(), in_scope)
    k = round(p * entries)
    return parts(whole, inside + rest + k * wide, 2 * (k * wide + rest), k * (4 + 2 * wide))


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
        (one_big_graph, "When may a piece's graph go?"),
        (infinities_wiped, "yours is finite"),
        (infinities_capped, "The first norm is 'finite', wanted 'not finite'"),
        (other_sixteen_bits, "The products are in bfloat16"),
        (norm_too_late, "the norm after clipping"),
        (scale_for_ever, "ends with `scaler.update()`, a skipped one too: no"),
        (divided_by_hand, "divided by the scale twice"),
        (cleared_before_the_step, "what did the step find?"),
        (cleared_at_once, "nothing to look at"),
        (clipped_last, "The step came before the clipping"),
        (without_a_scaler, "The scaler was not used"),
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
        (a_mask_for_a_child, "`child` is"),
        (what_trains, "Frozen weights lie in memory"),
        (a_long_index, "The index is int32"),
        (wide_moments, "their tensor's type"),
        (a_gradient_more, "is in `child` already"),
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
        ("B", "No interval was even drawn"),
        ("D", "how little five pairs see"),
        ("E", "How wide are these?"),
        ("c", "none of the choices"),
    ],
}
