"""Wrong answers to the exercises of notebook 04."""

import copy

import torch


def parameters_of(optimizer):
    return [w for group in optimizer.param_groups for w in group["params"]]


def never_hooked(optimizer, p, generator):
    def mask_gradients(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            w.grad = w.grad * (torch.rand(w.shape, generator=generator) < p) / p


def after_the_step(optimizer, p, generator):
    """Masks the movement: what the mask drops goes back to where it was."""
    old = {}
    optimizer.register_step_pre_hook(
        lambda o, args, kwargs: old.update({w: w.detach().clone() for w in parameters_of(o)})
    )

    def go_back(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            drawn = torch.rand(w.shape, generator=generator) < p
            w.data = torch.where(drawn, old[w] + (w.data - old[w]) / p, old[w])

    optimizer.register_step_post_hook(go_back)


def no_division(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            if w.grad is not None:
                w.grad.masked_fill_(torch.rand(w.shape, generator=generator) >= p, 0)

    optimizer.register_step_pre_hook(hook)


def drop_rate(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            if w.grad is not None:
                w.grad = torch.where(torch.rand(w.shape, generator=generator) > p, w.grad / p, 0.0)

    optimizer.register_step_pre_hook(hook)


def first_group(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in optimizer.param_groups[0]["params"]:
            if w.grad is not None:
                w.grad *= (torch.rand(w.shape, generator=generator) < p) / p

    optimizer.register_step_pre_hook(hook)


def masks_drawn_once(optimizer, p, generator):
    masks = [(torch.rand(w.shape, generator=generator) < p) / p for w in parameters_of(optimizer)]

    def hook(optimizer, args, kwargs):
        for w, mask in zip(parameters_of(optimizer), masks, strict=True):
            if w.grad is not None:
                w.grad.mul_(mask)

    optimizer.register_step_pre_hook(hook)


def tensor_hooks(optimizer, p, generator):
    for w in parameters_of(optimizer):
        w.register_hook(lambda g: torch.where(torch.rand(g.shape, generator=generator) < p, g / p, 0.0))


def all_have_gradients(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            w.grad = w.grad / p * (torch.rand(w.grad.shape, generator=generator) < p)

    optimizer.register_step_pre_hook(hook)


def right_now(optimizer, p, generator):
    for w in parameters_of(optimizer):
        w.grad.mul_(torch.rand(w.shape, generator=generator) < p).div_(p)


def global_coins(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            if w.grad is not None:
                w.grad *= torch.bernoulli(torch.full_like(w, p)) / p

    optimizer.register_step_pre_hook(hook)


def coins_by_row(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            if w.grad is not None:
                w.grad *= (torch.rand(len(w), *[1] * (w.dim() - 1), generator=generator) < p) / p

    optimizer.register_step_pre_hook(hook)


def coins_by_column(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            if w.grad is not None:
                w.grad *= (torch.rand(w.shape[1:], generator=generator) < p) / p

    optimizer.register_step_pre_hook(hook)


def one_coin_a_tensor(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            if w.grad is not None:
                w.grad *= (torch.rand(1, generator=generator) < p) / p

    optimizer.register_step_pre_hook(hook)


def reseeded_for_each(optimizer, p, generator):
    """One seed a step, and every parameter begins with it."""
    steps = []

    def hook(optimizer, args, kwargs):
        steps.append(1)
        for w in parameters_of(optimizer):
            fresh = torch.Generator().manual_seed(len(steps))
            if w.grad is not None:
                w.grad *= (torch.rand(w.shape, generator=fresh) < p) / p

    optimizer.register_step_pre_hook(hook)


def exactly_so_many(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            if w.grad is not None:
                order = torch.randperm(w.numel(), generator=generator).view(w.shape)
                w.grad *= (order < round(p * w.numel())) / p

    optimizer.register_step_pre_hook(hook)


def divided_twice(optimizer, p, generator):
    def hook(optimizer, args, kwargs):
        for w in parameters_of(optimizer):
            if w.grad is not None:
                w.grad *= (torch.rand(w.shape, generator=generator) < p) / p**2

    optimizer.register_step_pre_hook(hook)


def two_arguments(optimizer, p, generator):
    optimizer.register_step_pre_hook(lambda optimizer: None)


def is_plain(optimizer):
    return type(optimizer) is torch.optim.SGD


def scale(optimizer, factor):
    for group in optimizer.param_groups:
        group["lr"] *= factor


def rates_of_a_copy(optimizer, p):
    fresh = copy.deepcopy(optimizer)
    scale(fresh, 1 if is_plain(fresh) else p**0.5)
    return fresh


def by_p(optimizer, p):
    scale(optimizer, 1 if is_plain(optimizer) else p)


def by_p_everywhere(optimizer, p):
    scale(optimizer, p)


def wrong_way_round(optimizer, p):
    scale(optimizer, 1 if is_plain(optimizer) else 1 / p**0.5)


def root_everywhere(optimizer, p):
    scale(optimizer, p**0.5)


def only_adamw(optimizer, p):
    if isinstance(optimizer, torch.optim.AdamW):
        scale(optimizer, p**0.5)


def only_names_with_adam(optimizer, p):
    if "Adam" in type(optimizer).__name__:
        scale(optimizer, p**0.5)


def one_group(optimizer, p):
    if not is_plain(optimizer):
        optimizer.param_groups[0]["lr"] *= p**0.5


def root_of_the_dropped(optimizer, p):
    if not is_plain(optimizer):
        scale(optimizer, (1 - p) ** 0.5)


def one_rate_for_all(optimizer, p):
    rate = optimizer.param_groups[0]["lr"]
    for group in optimizer.param_groups:
        group["lr"] = rate if is_plain(optimizer) else rate * p**0.5


def without_decay(optimizer, p):
    """The right rates, and no decay."""
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
        group["lr"] *= 1 if is_plain(optimizer) else p**0.5


def no_copy(model, masks, train):
    before = model.state_dict()
    train(model)
    return {
        name: int(((before[name] != w) & ~masks[name]).sum()) for name, w in model.named_parameters() if name in masks
    }


def close_enough(model, masks, train):
    before = copy.deepcopy(model)
    train(model)
    return {
        name: int((~torch.isclose(before.get_parameter(name), model.get_parameter(name)))[~mask].sum())
        for name, mask in masks.items()
    }


def whole_parameters(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    train(model)
    return {name: int((before[name] != model.state_dict()[name]).sum()) for name in masks}


def those_that_train(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    train(model)
    return {name: int((before[name] != model.state_dict()[name])[masks[name]].sum()) for name in masks}


def old_tensors(model, masks, train):
    watched = {name: (w, w.detach().clone()) for name, w in model.named_parameters() if name in masks}
    train(model)
    return {name: int((w != old)[~masks[name]].sum()) for name, (w, old) in watched.items()}


def never_run(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    return {name: int((before[name] != model.state_dict()[name])[~masks[name]].sum()) for name in masks}


def unmasked_too(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    train(model)
    return {name: int((before[name] != w)[~masks[name]].sum()) for name, w in model.named_parameters()}


def tensors_that_moved(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    train(model)
    return {name: int((before[name] != model.state_dict()[name])[~masks[name]].any()) for name in masks}


def by_place(model, masks, train):
    before = [w.detach().clone() for w in model.parameters()]
    train(model)
    return {
        name: int(((w != old) & ~mask).sum())
        for (name, mask), old, w in zip(masks.items(), before, model.parameters(), strict=False)
    }


def trained_a_copy(model, masks, train):
    tuned = copy.deepcopy(model)
    train(tuned)
    old, new = model.state_dict(), tuned.state_dict()
    return {name: int((old[name] != new[name])[~mask].sum()) for name, mask in masks.items()}


def copy_forgotten(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    train(copy.deepcopy(model))
    return {name: int((before[name] != model.state_dict()[name])[~mask].sum()) for name, mask in masks.items()}


def in_float32(model, masks, train):
    before = {name: w.detach().clone().float() for name, w in model.named_parameters()}
    train(model)
    return {name: int((before[name] != model.get_parameter(name).float())[~masks[name]].sum()) for name in masks}


def share_of_frozen(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    train(model)
    return {
        name: (before[name] != model.state_dict()[name])[~mask].double().mean().item() for name, mask in masks.items()
    }


def share_of_all(model, masks, train):
    before = copy.deepcopy(model)
    train(model)
    return {
        name: float(((before.get_parameter(name) != model.get_parameter(name)) & ~mask).float().mean())
        for name, mask in masks.items()
    }


def one_name_missing(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    train(model)
    moved = {name: int((before[name] != model.state_dict()[name])[~mask].sum()) for name, mask in masks.items()}
    return {name: count for name, count in moved.items() if count}


def every_name(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    train(model)
    nothing = torch.tensor(True)
    return {name: int(((before[name] != w) & ~masks.get(name, nothing)).sum()) for name, w in model.named_parameters()}


def one_sum(model, masks, train):
    before = copy.deepcopy(model.state_dict())
    train(model)
    return sum(int((before[name] != model.state_dict()[name])[~masks[name]].sum()) for name in masks)


def forgot_return(model, masks, train):
    train(model)


def all_or_nothing(model, masks, train):
    """Right wherever all frozen entries move or none does."""
    before = copy.deepcopy(model.state_dict())
    train(model)
    moved = {
        name: not torch.equal(before[name][~mask], model.state_dict()[name][~mask]) for name, mask in masks.items()
    }
    return {name: int((~mask).sum()) if moved[name] else 0 for name, mask in masks.items()}


WRONG = {
    "04.1": [
        (never_hooked, "Is your mask hooked on"),
        (after_the_step, "read the whole gradient, and remembers it"),
        (no_division, "did you divide by p?"),
        (drop_rate, "p is the share that stays"),
        (first_group, "second group of parameters"),
        (masks_drawn_once, "Two steps share a mask (that is a fixed child"),
        (tensor_hooks, "an entry meets two masks"),
        (all_have_gradients, "took no part in the loss"),
        (right_now, "You mask now, once"),
        (global_coins, "Draw from `generator`"),
        (coins_by_row, "One coin decides a whole row: yes"),
        (coins_by_column, "One coin decides a whole column: yes"),
        (one_coin_a_tensor, "One coin decides a whole tensor: yes"),
        (reseeded_for_each, "Two parameters share their coins (draw on, do not reseed): yes"),
        (exactly_so_many, "As many pass at every step (toss a coin for each entry): yes"),
        (divided_twice, "The factor on what passes is 3.33 times what was wanted"),
        (two_arguments, "TypeError"),
    ],
    "04.2": [
        (rates_of_a_copy, "The rates are what they were"),
        (by_p, "the mean of the squares"),
        (by_p_everywhere, "You multiply every rate by p"),
        (wrong_way_round, "takes a smaller rate"),
        (root_everywhere, "Right under Adam."),
        (only_adamw, "AdamW is right"),
        (only_names_with_adam, "Adam and AdamW are right"),
        (one_group, "The second group keeps its old rate"),
        (root_of_the_dropped, "the share that is dropped"),
        (one_rate_for_all, "Each group keeps its own"),
        (without_decay, "More than the rate was changed: yes"),
    ],
    "04.3": [
        (no_copy, "must be a copy"),
        (close_enough, "means equal, not close"),
        (whole_parameters, "entries that train, too"),
        (those_that_train, "True in the mask trains"),
        (old_tensors, "Ask the model again, by name"),
        (never_run, "Train ran once: no, wanted yes"),
        (unmasked_too, "Not every parameter has a mask"),
        (tensors_that_moved, "Whether any moved is not how many"),
        (by_place, "You pair by place"),
        (trained_a_copy, "masks keyed by objects find nothing"),
        (copy_forgotten, "You trained a copy and look at `model`"),
        (in_float32, "A tiny decay escapes you"),
        (share_of_frozen, "A share of the frozen ones"),
        (share_of_all, "A share of all entries"),
        (one_name_missing, "is missing: return 0, too"),
        (every_name, "has no mask: leave it out"),
        (one_sum, "wanted a dictionary {name: number}, got int"),
        (forgot_return, "returned None"),
        (all_or_nothing, "script trains another child"),
    ],
    "04.4": [
        (1, "Which row lets it change?"),
        (4, "Here few move"),
        (7, "Without its masks"),
        (9, "A mistyped mode"),
        (10, "put a second into the same run"),
        (6, "none of the choices"),
    ],
}
