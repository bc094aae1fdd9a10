"""Wrong answers to the exercises of notebook 00."""

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
        (the_handle, "returns a _BernoulliJoint"),
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
        (always_f, "Your result is 'F'"),
        (share_and_not_the_name, "Your result is tensor("),
    ],
    "00.4": [
        (0.74, "the gain that was reported"),
        (1.04, "One standard error"),
        (1.47, "of *one* mean"),
        (3.28, "for single runs"),
        (4.64, "one run of each kind"),
        (2.93, "add up in squares"),
        (1.31, "over the *root* of n"),
        (10, "10.00 is too high"),
    ],
}
