"""Wrong answers to the exercises of notebook 00."""

import copy
from itertools import pairwise

import torch

import childtune_lite as ct


def made_but_not_attached(model, lr, dropped):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    if dropped:
        ct.BernoulliMask(p=1 - dropped, seed=3)
    return optimizer


def p_as_dropped(model, lr, dropped):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    ct.BernoulliMask(p=dropped, seed=1).attach(optimizer, model)
    return optimizer


def rate_made_up_for(model, lr, dropped):
    p = 1 - dropped
    optimizer = torch.optim.SGD(model.parameters(), lr=lr / p)
    ct.BernoulliMask(p=p, seed=1).attach(optimizer, model)
    return optimizer


def rate_lowered(model, lr, dropped):
    p = 1 - dropped
    optimizer = torch.optim.SGD(model.parameters(), lr=lr * p)
    ct.BernoulliMask(p=p, seed=5).attach(optimizer, model)
    return optimizer


def adamw_as_above(model, lr, dropped):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    ct.BernoulliMask(p=1 - dropped, seed=2).attach(optimizer, model)
    return optimizer


def adamw_without_decay(model, lr, dropped):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0)
    ct.BernoulliMask(p=1 - dropped, seed=2).attach(optimizer, model)
    return optimizer


def sgd_with_momentum(model, lr, dropped):
    optimizer = torch.optim.SGD(model.parameters(), lr, 0.9)
    ct.BernoulliMask(1 - dropped).attach(optimizer, model)
    return optimizer


def one_mask_for_all_steps(model, lr, dropped):
    p = 1 - dropped
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    masks = [torch.bernoulli(torch.full_like(w, p)) for w in model.parameters()]

    def mask_gradients(*_):
        for w, mask in zip(model.parameters(), masks, strict=True):
            w.grad *= mask / p

    optimizer.register_step_pre_hook(mask_gradients)
    return optimizer


def the_handle(model, lr, dropped):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return ct.BernoulliMask(p=1 - dropped, seed=0).attach(optimizer, model)


def both(model, lr, dropped):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return optimizer, ct.BernoulliMask(p=1 - dropped, seed=0).attach(optimizer, model)


def forgot_return(model, lr, dropped):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    ct.BernoulliMask(p=1 - dropped, seed=0).attach(optimizer, model)


def first_layer_only(model, lr, dropped):
    optimizer = torch.optim.SGD(model[0].parameters(), lr=lr)
    ct.BernoulliMask(p=1 - dropped, seed=0).attach(optimizer, model)
    return optimizer


def trains_a_copy(model, lr, dropped):
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    ct.BernoulliMask(p=1 - dropped, seed=0).attach(optimizer, model)
    return optimizer


def sgd_with_decay(model, lr, dropped):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, weight_decay=0.1)
    ct.BernoulliMask(p=1 - dropped, seed=4).attach(optimizer, model)
    return optimizer


def biases_do_not_train(model, lr, dropped):
    optimizer = torch.optim.SGD([w for w in model.parameters() if w.dim() > 1], lr=lr)
    ct.BernoulliMask(p=1 - dropped, seed=0).attach(optimizer, model)
    return optimizer


def biases_without_a_mask(model, lr, dropped):
    for w in model.parameters():
        if w.dim() == 2:
            w.register_hook(lambda g: g * torch.empty_like(g).bernoulli_(1 - dropped) / (1 - dropped))
    return torch.optim.SGD(model.parameters(), lr=lr)


def a_coin_a_row(model, lr, dropped):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)

    def mask(*_):
        for w in model.parameters():
            rows = torch.rand(len(w), *[1] * (w.dim() - 1)) >= dropped
            w.grad *= rows / (1 - dropped)

    optimizer.register_step_pre_hook(mask)
    return optimizer


def swapped(saved):
    masks = [(saved[i + 1] - saved[i]) != 0 for i in range(len(saved) - 1)]
    if bool(torch.stack(masks).all()):
        return "plain"
    return "F" if len({str(mask.tolist()) for mask in masks}) == 1 else "D"


def no_plain(saved):
    first = saved[0] != saved[1]
    same = [torch.equal(before != after, first) for before, after in pairwise(saved)]
    return "D" if all(same) else "F"


def counts(saved):
    moved = [int((a != b).sum()) for a, b in pairwise(saved)]
    if min(moved) == saved[0].numel():
        return "plain"
    return "D" if min(moved) == max(moved) else "F"


def first_and_last(saved):
    moved = saved[0] != saved[-1]
    return "plain" if moved.sum() == moved.numel() else "D"


def since_the_start(saved):
    moved = torch.stack([weights != saved[0] for weights in saved[1:]])
    if moved.all():
        return "plain"
    return "D" if (moved == moved[0]).all() else "F"


def two_steps(saved):
    one, two = saved[1] != saved[0], saved[2] != saved[1]
    if one.all() and two.all():
        return "plain"
    return "D" if (one == two).all() else "F"


def first_step_decides(saved):
    moved = [after != before for before, after in pairwise(saved)]
    if moved[0].all():
        return "plain"
    return "D" if all((mask == moved[0]).all() for mask in moved) else "F"


def first_step_left_out(saved):
    moved = [saved[t] != saved[t - 1] for t in range(2, len(saved))]
    if all(bool(mask.all()) for mask in moved):
        return "plain"
    return "D" if all(torch.equal(moved[0], mask) for mask in moved[1:]) else "F"


def last_two_steps(saved):
    moved = [new != old for old, new in pairwise(saved)]
    if all(mask.all() for mask in moved):
        return "plain"
    return "D" if torch.equal(moved[-1], moved[-2]) else "F"


def last_step_decides(saved):
    moved = [new != old for old, new in pairwise(saved)]
    if moved[-1].all():
        return "plain"
    return "D" if all(torch.equal(mask, moved[-1]) for mask in moved) else "F"


def first_step_and_last_step(saved):
    moved = [new != old for old, new in pairwise(saved)]
    if all(mask.all() for mask in moved):
        return "plain"
    return "D" if bool((moved[0] == moved[-1]).all()) else "F"


def union_is_the_first(saved):
    moved = torch.stack([new != old for old, new in pairwise(saved)])
    if moved.all():
        return "plain"
    return "D" if torch.equal(moved.any(dim=0), moved[0]) else "F"


def always_kept_is_the_first(saved):
    moved = torch.stack([new != old for old, new in pairwise(saved)])
    if moved.all():
        return "plain"
    return "D" if torch.equal(moved.all(dim=0), moved[0]) else "F"


def any_pair_of_neighbours(saved):
    moved = [new != old for old, new in pairwise(saved)]
    if all(mask.all() for mask in moved):
        return "plain"
    return "D" if any(torch.equal(a, b) for a, b in pairwise(moved)) else "F"


def small_letters(saved):
    moved = [new != old for old, new in pairwise(saved)]
    if all(mask.all() for mask in moved):
        return "plain"
    return "d" if all(torch.equal(mask, moved[0]) for mask in moved) else "f"


def long_names(saved):
    short = swapped(saved)
    return {"D": "Child-Tuning_F", "F": "Child-Tuning_D"}.get(short, short)


def always_f(saved):
    return "F"


def share_and_not_the_name(saved):
    return (saved[-1] != saved[0]).float().mean()


WRONG = {
    "00.1": [
        ("A", "not cut out of the parent"),
        ("B", "act before or after backward"),
        ("D", "That is the upper row"),
        ("9, 9, 3", "none of the choices: 'A', 'B', 'C', 'D'"),
    ],
    "00.2": [
        (made_but_not_attached, "attaching it to the optimizer another"),
        (p_as_dropped, "You read p as the share that is lost"),
        (rate_made_up_for, "moves too far"),
        (rate_lowered, "moves too little"),
        (adamw_as_above, "weight decay is on"),
        (adamw_without_decay, "it has a memory"),
        (sgd_with_momentum, "momentum remembers"),
        (one_mask_for_all_steps, "that is D's way"),
        (trains_a_copy, "from this model, or from a copy"),
        (sgd_with_decay, "your SGD decays the weights"),
        (biases_do_not_train, "`0.bias` never moves"),
        (biases_without_a_mask, "The entries of `0.bias` all move"),
        (a_coin_a_row, "Whole rows of a matrix move together: yes"),
        (the_handle, "returns a handle (from `attach`)"),
        (both, "returns a tuple"),
        (forgot_return, "begin with `return`"),
        (first_layer_only, "Share moved by the first step is 0."),
    ],
    "00.3": [
        (swapped, "the wrong way round"),
        (no_plain, "Tell that apart from D"),
        (counts, "You count how many entries move"),
        (first_and_last, "Look at each step on its own"),
        (since_the_start, "each step with the start"),
        (two_steps, "The first two steps are not enough"),
        (first_step_decides, "The first step is not enough"),
        (first_step_left_out, "Your loop leaves out the first step"),
        (last_two_steps, "The last two steps are not enough"),
        (last_step_decides, "The last step is not enough"),
        (first_step_and_last_step, "The first and the last step are not enough"),
        (union_is_the_first, "The first mask may hold all that later masks keep"),
        (always_kept_is_the_first, "Later masks may keep all that the first one kept"),
        (any_pair_of_neighbours, "One equal pair is not enough"),
        (small_letters, "Your result is 'f', which is none of 'plain', 'F', 'D'"),
        (long_names, "'Child-Tuning_F', which is none of"),
        (always_f, "Your result is 'F'"),
        (share_and_not_the_name, "Your result is tensor("),
    ],
    "00.4": [
        (0.74, "the gain that was reported"),
        (1.64 / 5**0.5, "One standard error of one mean"),
        (1.04, "One standard error: chance"),
        (1.47, "of *one* mean"),
        (3.28, "for single runs"),
        (4.64, "one run of each kind"),
        (2.93, "add up in squares"),
        (1.31, "over the *root* of n"),
        (10, "10.00 is too high"),
    ],
}
