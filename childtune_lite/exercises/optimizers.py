"""The exercises of notebook 04: a mask for any optimizer, the control, a test of the freeze, a log to read."""

import functools

import torch
from torch.optim import SGD, Adam, AdamW, RMSprop

from ..masks import BernoulliMask
from .exercise import Code
from .quiz import Choice

OPTIMIZERS = {"SGD": SGD, "SGD with momentum": functools.partial(SGD, momentum=0.9), "Adam": Adam, "RMSprop": RMSprop}
OPTIMIZERS["AdamW"] = functools.partial(AdamW, weight_decay=0.0)


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def facts_about_steps(attach_mask, kind, p, passes, uses, seed):
    """What the optimizer reads, and who else writes. Standard errors are below 0.005: the tolerance is six of them."""
    random, now, factors, others_write = torch.Generator().manual_seed(seed), {}, [], False
    w = [torch.randn(shape, generator=random).requires_grad_() for shape in ((40, 30), (900,))]
    slopes = [0.5 + torch.rand(one.shape, generator=random) for one in w]
    unused = [torch.zeros(4, requires_grad=True)] if kind == "AdamW" else []
    optimizer = OPTIMIZERS[kind]([{"params": [*unused, w[0]]}, {"params": [w[1]]}])

    def read(*_):
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in w]
        factors.append(flat(gradients) / flat(slopes) / (passes * uses))
        now["before the step"] = flat(w)

    optimizer.register_step_post_hook(lambda *_: now.update({"after the step": flat(w)}))  # the first to come after it
    global_state = torch.get_rng_state()
    attach_mask(optimizer, p, random)
    optimizer.register_step_pre_hook(read)  # the last to come before it
    for _ in range(12):
        optimizer.zero_grad()
        for _ in range(passes):
            sum((one * slope).sum() for one, slope in zip(w * uses, slopes * uses, strict=True)).backward()
        before = flat(w)
        optimizer.step()
        others_write |= not (before.equal(now["before the step"]) and flat(w).equal(now["after the step"]))
    factors = torch.stack(factors)
    passed = factors != 0
    return {
        "share of gradient entries that pass": passed[:, :1200].double().mean().item(),
        "share that pass in the second group": passed[:, 1200:].double().mean().item(),
        "what passes is multiplied by": factors[passed].double().mean().item() if passed.any() else 0.0,
        "two steps share a mask": passed[0].equal(passed[1]),
        "whole rows share a coin": bool((passed[:, :1200:30] == passed[:, 29:1200:30]).all()),
        "something besides the optimizer writes into the weights": others_write,
        "the global random state is used": not global_state.equal(torch.get_rng_state()),
    }


def coins(w, p, generator):
    return (torch.rand(w.shape, generator=generator) < p).to(w.dtype)


def hooked(factor, groups=2, rule=lambda w, factor: None if w.grad is None else w.grad.mul_(factor)):
    def attach_mask(optimizer, p, generator):
        def hook(*_):
            for w in (w for group in optimizer.param_groups[:groups] for w in group["params"]):
                rule(w, factor(w, p, generator))

        optimizer.register_step_pre_hook(hook)

    return attach_mask


NO_GRADIENT = "A parameter that took no part in the loss has no gradient: its `grad` is None. Step over it."
ATTACH = Code(
    name="04.1",
    title="a mask for any optimizer",
    reference=lambda optimizer, p, generator: BernoulliMask(p, generator.initial_seed()).attach(optimizer),
    cases=lambda seed: [
        ("SGD, p = 0.3", ("SGD", 0.3, 1, 1, seed)),
        ("AdamW, p = 0.2, and a parameter without a gradient", ("AdamW", 0.2, 1, 1, seed)),
        ("SGD with momentum, p = 0.6, two backward passes a step", ("SGD with momentum", 0.6, 2, 1, seed)),
    ],
    hidden=lambda seed: [("AdamW, p = 0.4, every tensor used twice", ("AdamW", 0.4, 1, 2, seed))],
    observe=facts_about_steps,
    tolerance=0.03,
    mistakes=[
        ("No gradient is masked when the optimizer reads it. Is your mask hooked on, and before the step?",
         lambda o, p, g: None),
        ("The survivors come through at their own size: did you divide by p_F?", hooked(coins)),
        ("You keep a share of 1 - p: p is the share that stays.", hooked(lambda w, p, g: (1 - coins(w, p, g)) / p)),
        ("The optimizer has a second group of parameters, and nothing is masked there.",
         hooked(lambda w, p, g: coins(w, p, g) / p, groups=1)),
        ("The same entries at every step: that is a fixed child. F draws afresh each time.",
         hooked(lambda w, p, g: coins(w, p, torch.Generator().manual_seed(0)) / p)),
        ("You masked the weights or their movement. The optimizer read the whole gradient, and remembers it.",
         hooked(coins, rule=lambda w, mask: w.data.mul_(mask))),
        ("You mask at each backward pass. With two of them before a step, an entry meets two masks.", lambda o, p, g:
         [w.register_hook(lambda d: d * coins(d, p, g) / p) for group in o.param_groups for w in group["params"]]),
        (NO_GRADIENT, hooked(lambda w, p, g: coins(w, p, g) / p, rule=lambda w, factor: w.grad.mul_(factor))),
        (NO_GRADIENT, hooked(lambda w, p, g: w.grad * coins(w, p, g) / p, rule=lambda w, g: setattr(w, "grad", g))),
        ("You mask now, once, and there is no gradient yet. Leave a function behind that each step will call.",
         lambda o, p, g: [w.grad.mul_(p) for group in o.param_groups for w in group["params"]]),
    ],
)  # fmt: skip


def factors_of_rates(use_control_rate, kind, rates, p):
    """What each group's rate was multiplied by. The wanted factors are measured drifts, within 0.03 of the formula."""
    optimizer = OPTIMIZERS[kind]([{"params": [torch.zeros(2, requires_grad=True)], "lr": rate} for rate in rates])
    use_control_rate(optimizer, p)
    new = [group["lr"] / rate for group, rate in zip(optimizer.param_groups, rates, strict=True)]
    return {f"the rate of group {place}, new / old,": factor for place, factor in enumerate(new)}


@functools.cache
def drift(kind, p, n=1000, steps=300):
    """How far weights drift in F, on noisy gradients of mean 1."""
    w, random = torch.zeros(n, requires_grad=True), torch.Generator().manual_seed(0)
    optimizer = OPTIMIZERS[kind]([w], lr=0.01)
    for _ in range(steps):
        w.grad = (1 + torch.randn(n, generator=random)) * (torch.rand(n, generator=random) < p) / p
        optimizer.step()
    return w.mean().item()


def measured(optimizer, p):
    kind = type(optimizer).__name__ + (" with momentum" if optimizer.defaults.get("momentum") else "")
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * drift(kind, p) / drift(kind, 1.0)


def times(factor, kinds=(Adam, RMSprop), groups=2):
    def use_control_rate(optimizer, p):
        for group in optimizer.param_groups[:groups]:
            group["lr"] = group["lr"] * (factor(p) if isinstance(optimizer, kinds) else 1)

    return use_control_rate


CONTROL = Code(
    name="04.2",
    title="the control",
    reference=measured,
    cases=lambda seed: [
        (f"{kind}, p = {p}", (kind, [0.01, 1e-6 * (1 + seed)], p))
        for kind, p in (("AdamW", 0.2), ("SGD", 0.3), ("SGD with momentum", 0.4), ("Adam", 0.5), ("RMSprop", 0.3))
    ],
    observe=factors_of_rates,
    tolerance=0.04,
    mistakes=[
        ("You multiply by p. What does the mask do to the mean of the squares, and Adam with it?", times(lambda p: p)),
        ("You multiply every rate by p. Does F drift less at all under SGD, and is it p under Adam?",
         times(lambda p: p, torch.optim.Optimizer)),
        ("Wrong way round: F drifts less under Adam, so its control takes a smaller rate.", times(lambda p: p**-0.5)),
        ("Right under Adam. Under SGD the factor 1/p keeps the mean step: look at SGD's marks in the left panel.",
         times(lambda p: p**0.5, torch.optim.Optimizer)),
        ("Adam and AdamW are right. Which other kind divides by a root of squares?", times(lambda p: p**0.5, Adam)),
        ("AdamW is right. Which other kinds divide by a root of squares?", times(lambda p: p**0.5, AdamW)),
        ("The rates are what they were. They stand in `optimizer.param_groups`, under `lr`.", lambda o, p: None),
        ("The second group keeps its old rate.", times(lambda p: p**0.5, groups=1)),
        ("You took the root of 1 - p, the share that is dropped.", times(lambda p: (1 - p) ** 0.5)),
    ],
)  # fmt: skip


def moved_in_script(moved_while_frozen, trap, dtype, seed):
    """Run the answer on two layers and a script with one trap. The last bias has no mask: like a head, it trains."""
    random, calls = torch.Generator().manual_seed(seed), []
    model = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)).to(dtype)
    if trap == "two names":
        model[1].weight = model[0].weight
    for w in model.parameters():
        w.data = torch.randn(w.shape, generator=random).to(dtype)
    masks = {n: torch.rand(w.shape, generator=random) < 0.4 for n, w in model.named_parameters() if n != "1.bias"}
    used = {n: mask.flip(-1) for n, mask in masks.items()} if trap == "another child" else masks

    def train(model):
        calls.append(1)
        if trap == "new tensors":
            model.load_state_dict({n: w * 2 for n, w in model.state_dict().items()}, assign=True)
        optimizer = AdamW(model.parameters(), lr=4e-5, weight_decay=0.01 if trap in ("decay", "two names") else 0.0)
        for _ in range(3):
            for name, w in model.named_parameters():
                w.grad = torch.randn(w.shape, generator=random).to(dtype)
                w.grad *= used.get(name, torch.tensor(True))
            optimizer.step()

    found = moved_while_frozen(model, masks, train)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise TypeError(f"wanted a dictionary {{name: number}}, got {type(found).__name__}")
    return {"train ran once": len(calls) == 1} | {f"frozen entries moved in {n}": k for n, k in sorted(found.items())}


def entry_by_entry(model, masks, train):
    old = {name: model.get_parameter(name).flatten().tolist() for name in masks}
    train(model)
    new = {name: model.get_parameter(name).flatten().tolist() for name in masks}
    frozen = {name: [place for place, trains in enumerate(m.flatten()) if not trains] for name, m in masks.items()}
    return {name: sum(old[name][place] != new[name][place] for place in frozen[name]) for name in masks}


def counting(differ, where=lambda mask: ~mask, keep=torch.clone, ask_again=True):
    def moved_while_frozen(model, masks, train):
        held = dict(model.named_parameters())
        old = {name: keep(held[name].detach()) for name in masks}
        train(model)
        new = dict(model.named_parameters()) if ask_again else held
        return {name: int((differ(old[name], new[name]) & where(mask)).sum()) for name, mask in masks.items()}

    return moved_while_frozen


FREEZE = Code(
    name="04.3",
    title="is it frozen?",
    reference=entry_by_entry,
    cases=lambda seed: [
        ("a true freeze, float64", ("none", torch.float64, seed)),
        ("weight decay, float32", ("decay", torch.float32, seed)),
        ("the script trains another child, float32", ("another child", torch.float32, seed)),
        ("the script puts new tensors into the model, float64", ("new tensors", torch.float64, seed)),
    ],
    hidden=lambda seed: [("one tensor with two names, weight decay", ("two names", torch.float32, seed))],
    observe=moved_in_script,
    mistakes=[
        ("You overlook small changes. Frozen to the bit means equal, not close.", counting(lambda a, b: ~a.isclose(b))),
        ("You compare weights with themselves: what you keep must be a copy.", counting(torch.ne, keep=lambda w: w)),
        ("You count entries that train, too. Which ones does the mask freeze?", counting(torch.ne, torch.ones_like)),
        ("You count the entries that train: True in the mask trains.", counting(torch.ne, lambda mask: mask)),
        ("You look at tensors that you held before the script ran. Ask the model for them again, by name.",
         counting(torch.ne, ask_again=False)),
    ],
)  # fmt: skip

LOG = Choice(
    name="04.4",
    title="read the log",
    right=8,
    because="The run was resumed with another child, while Adam still remembered the old one: its entries coast.",
    wrong={
        1: "Memory it is. But in D the memory of a masked entry is 0 while the mask stays. Which row lets it change?",
        4: "Decay moves all frozen entries, each by the same share, and goes on. Here few move, and not for long.",
        7: "Without its masks the network trains in full: nearly all frozen entries would move, and go on moving.",
        9: "A mistyped mode trains in full, from the first step on. Up to step 300 nothing frozen moved.",
        10: "Two estimates give two children, but within a run there is one. What may put a second into the same run?",
    },
)

EXERCISES = [ATTACH, CONTROL, FREEZE, LOG]
