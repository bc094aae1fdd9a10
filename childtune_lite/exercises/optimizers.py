"""The exercises of notebook 04: a mask for any optimizer, the control, a test of the freeze, a log to read."""

import copy
import functools

import torch
from torch.nn.utils import parameters_to_vector as flat
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from ..masks import BernoulliMask
from .exercise import Code
from .quiz import Choice

OPTIMIZERS = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW, "RMSprop": RMSprop}
OPTIMIZERS["SGD with momentum"] = functools.partial(SGD, momentum=0.9)


def facts_about_steps(attach_mask, kind, p, passes, uses, seed):
    """What the optimizer reads, and who else writes. Standard errors are below 0.005: the tolerance is six of them."""
    random, now, factors, others_write = torch.Generator().manual_seed(seed), {}, [], False
    w = [torch.randn(shape, generator=random).requires_grad_() for shape in ((40, 30), (40, 30), (300,))]
    slopes = [0.5 + torch.rand(one.shape, generator=random) for one in w]
    unused = [torch.zeros(4, requires_grad=True)] if kind == "AdamW" else []
    optimizer = OPTIMIZERS[kind]([{"params": [*unused, w[0]]}, {"params": w[1:]}])

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
    passed = (factors := torch.stack(factors)) != 0
    first, second = passed[:, :2400].unflatten(1, (2, 40, 30)).unbind(1)
    one = {"tensor": first[:, :1, :1], "row": first[:, :, :1], "column": first[:, :1]}
    some = bool(passed.any() and not passed.all())
    return {
        "two steps share a mask (that is a fixed child; F draws afresh)": some and passed[0].equal(passed[1]),
        **{f"one coin decides a whole {w}": some and first.equal(x.expand_as(first)) for w, x in one.items()},
        "two parameters share their coins (draw on, do not reseed)": some and first.equal(second),
        "as many pass at every step (toss a coin for each entry)": some and len(passed.sum(1).unique()) == 1,
        "share of gradient entries that pass": passed[:, :1200].double().mean().item(),
        "share that pass in the second group": passed[:, 1200:].double().mean().item(),
        "the factor on what passes": factors[passed].double().mean().item() if passed.any() else 0.0,
        "something besides the optimizer writes into the weights": others_write,
        "the global random state is used": not global_state.equal(torch.get_rng_state()),
    }


def coins(w, p, generator):
    return (torch.rand(w.shape, generator=generator) < p).to(w.dtype)


def hooked(factor, groups=2, rule=lambda w, factor: None if w.grad is None else w.grad.mul_(factor)):
    def hook(optimizer, p, generator):
        for w in (w for group in optimizer.param_groups[:groups] for w in group["params"]):
            rule(w, factor(w, p, generator))

    return lambda optimizer, p, generator: optimizer.register_step_pre_hook(lambda *_: hook(optimizer, p, generator))


NO_GRADIENT = "A parameter that took no part in the loss has no gradient: its `grad` is None. Step over it."
ATTACH = Code(
    name="04.1", title="a mask for any optimizer", observe=facts_about_steps, tolerance=0.03,
    reference=lambda optimizer, p, generator: BernoulliMask(p, generator.initial_seed()).attach(optimizer),
    cases=lambda seed: [
        ("SGD, p = 0.3", ("SGD", 0.3, 1, 1, seed)),
        ("AdamW, p = 0.2, and a parameter without a gradient", ("AdamW", 0.2, 1, 1, seed)),
        ("SGD with momentum, p = 0.6, two backward passes a step", ("SGD with momentum", 0.6, 2, 1, seed)),
    ],
    hidden=lambda seed: [("AdamW, p = 0.4, every tensor used twice", ("AdamW", 0.4, 1, 2, seed))],
    mistakes=[
        ("No gradient is masked when it is read. Is your mask hooked on, and before the step?", lambda o, p, g: None),
        ("The survivors come through at their own size: did you divide by p?", hooked(coins)),
        ("You keep a share of 1 - p: p is the share that stays.", hooked(lambda w, p, g: (1 - coins(w, p, g)) / p)),
        ("The optimizer has a second group of parameters, and nothing is masked there.",
         hooked(lambda w, p, g: coins(w, p, g) / p, groups=1)),
        ("Draw from `generator`, not from torch's global state.", hooked(lambda w, p, g: coins(w, p, None) / p)),
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
    before = [{**group, "lr": None} for group in optimizer.param_groups]
    use_control_rate(optimizer, p)
    new = [group["lr"] / rate for group, rate in zip(optimizer.param_groups, rates, strict=True)]
    facts = {f"the rate of group {place}, new / old,": factor for place, factor in enumerate(new)}
    return facts | {"more than the rate was changed": before != [{**g, "lr": None} for g in optimizer.param_groups]}


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


def times(factor=lambda p: p**0.5, kinds=(Adam, RMSprop), groups=2, one=False):
    def use_control_rate(optimizer, p):
        for group in optimizer.param_groups[:groups]:
            group["lr"] = (0.01 if one else group["lr"]) * (factor(p) if isinstance(optimizer, kinds) else 1)

    return use_control_rate


CONTROL = Code(
    name="04.2", title="the control", reference=measured, observe=factors_of_rates, tolerance=0.04,
    cases=lambda seed: [
        (f"{kind}, p = {p}", (kind, [0.01, 1e-6 * (1 + seed)], p))
        for kind, p in (("AdamW", 0.2), ("SGD", 0.3), ("SGD with momentum", 0.4), ("Adam", 0.5), ("RMSprop", 0.3))
    ],
    mistakes=[
        ("You multiply by p. What does the mask do to the mean of the squares, and Adam with it?", times(lambda p: p)),
        ("You multiply every rate by p. Does F drift less at all under SGD?", times(lambda p: p, Optimizer)),
        ("Wrong way round: F drifts less under Adam, so its control takes a smaller rate.", times(lambda p: p**-0.5)),
        ("Right under Adam. Under SGD the factor 1/p keeps the mean step: see the left panel.", times(kinds=Optimizer)),
        ("Adam and AdamW are right. Which other kind divides by a root of squares?", times(kinds=Adam)),
        ("AdamW is right. Which other kinds divide by a root of squares?", times(kinds=AdamW)),
        ("The rates are what they were. They stand in `optimizer.param_groups`, under `lr`.", lambda o, p: None),
        ("The second group keeps its old rate.", times(groups=1)),
        ("One rate for all. Each group keeps its own: multiply it.", times(one=True)),
        ("You took the root of 1 - p, the share that is dropped.", times(lambda p: (1 - p) ** 0.5)),
    ],
)  # fmt: skip


def moved_in_script(moved_while_frozen, trap, dtype, seed):
    """Run the answer on three layers and a script with one trap. The first weight and the last bias have no mask."""
    random, calls = torch.Generator().manual_seed(seed), []
    model = torch.nn.Sequential(*(torch.nn.Linear(6, 6, dtype=dtype) for _ in range(3)))
    model[2].weight = model[1 if trap == "two names" else 2].weight
    for w in model.parameters():
        w.data = torch.randn(w.shape, generator=random).to(dtype)
    names = [n for n, _ in model.named_parameters() if n not in ("0.weight", "2.bias")]
    masks = {n: torch.rand(model.get_parameter(n).shape, generator=random) < 0.4 for n in reversed(names)}
    used = {n: mask.flip(-1) for n, mask in masks.items()} if trap == "another child" else masks
    by_object = {w: used[n] for n, w in model.named_parameters() if n in used}

    def train(model):
        calls.append(1)
        if trap == "new tensors":
            model.load_state_dict({n: w * 2 for n, w in model.state_dict().items()}, assign=True)
        decay = {"decay": 0.01, "two names": 0.01, "little decay": 1e-9}.get(trap, 0.0)  # little: lost in float32
        optimizer = AdamW(model.parameters(), lr=4e-5, weight_decay=decay)
        for _ in range(3):
            for name, w in model.named_parameters():
                found = by_object.get(w) if trap == "objects" else used.get(name)
                w.grad = torch.randn(w.shape, generator=random).to(dtype) * (1 if found is None else found)
            optimizer.step()

    found = moved_while_frozen(model, masks, train)
    if not isinstance(found, dict | None):
        raise TypeError(f"wanted a dictionary {{name: number}}, got {type(found).__name__}")
    for name in sorted(set(masks if found is None else found) ^ set(masks)):
        raise ValueError(f"{name} is missing: return 0, too" if name in masks else f"{name} has no mask: leave it out")
    return found and {"train ran once": len(calls) == 1, **{f"the count for {n}": found[n] for n in sorted(masks)}}


def entry_by_entry(model, masks, train):
    old = {name: model.get_parameter(name).flatten().tolist() for name in masks}
    train(model)
    new = {name: model.get_parameter(name).flatten().tolist() for name in masks}
    rows = {name: zip(old[name], new[name], mask.flatten(), strict=True) for name, mask in masks.items()}
    return {name: sum(a != b for a, b, trains in row if not trains) for name, row in rows.items()}


def counting(differ=torch.ne, where=lambda mask: ~mask, keep=torch.clone, result=lambda moved, mask: int(moved.sum()),
             ask_again=True, by_name=True, trained=lambda model: model):  # fmt: skip
    def moved_while_frozen(model, masks, train):
        model = trained(model)
        held = dict(model.named_parameters())
        old = {name: keep(w.detach()) for name, w in held.items()}
        train(model)
        new = dict(model.named_parameters()) if ask_again else held
        pairs = zip(masks.items(), masks if by_name else new, strict=False)
        return {name: result(differ(old[one], new[one]) & where(mask), mask) for (name, mask), one in pairs}

    return moved_while_frozen


FREEZE = Code(
    name="04.3", title="is it frozen?", reference=entry_by_entry, observe=moved_in_script,
    cases=lambda seed: [
        ("a true freeze, float64", ("none", torch.float64, seed)),
        ("weight decay, float32", ("decay", torch.float32, seed)),
        ("little weight decay, float64", ("little decay", torch.float64, seed)),
        ("the script trains another child, float32", ("another child", torch.float32, seed)),
        ("the script puts new tensors into the model, float64", ("new tensors", torch.float64, seed)),
        ("a true freeze, its masks keyed by objects, float32", ("objects", torch.float32, seed)),
    ],
    hidden=lambda seed: [("one tensor with two names, weight decay", ("two names", torch.float32, seed))],
    mistakes=[
        ("A tiny decay escapes you: do you round, or tolerate?", counting(lambda a, b: a.float() != b.float())),
        ("You overlook small changes. Frozen to the bit means equal, not close.", counting(lambda a, b: ~a.isclose(b))),
        ("You compare weights with themselves: what you keep must be a copy.", counting(keep=lambda w: w)),
        ("You trained a copy, where masks keyed by objects find nothing.", counting(trained=copy.deepcopy)),
        ("You count entries that train, too. Which ones does the mask freeze?", counting(where=torch.ones_like)),
        ("You count the entries that train: True in the mask trains.", counting(where=lambda mask: mask)),
        ("You look at tensors that you held before the run. Ask the model again, by name.", counting(ask_again=False)),
        ("You pair by place. Masks and weights have names: look each up by its own.", counting(by_name=False)),
        ("Whether any moved is not how many: count the entries.", counting(result=lambda moved, _: int(moved.any()))),
        ("A share of the frozen ones: count them.", counting(result=lambda moved, m: float(moved.sum() / (~m).sum()))),
        ("A share of all entries: count frozen ones.", counting(result=lambda moved, _: moved.double().mean().item())),
        ("You trained a copy and look at `model`.", lambda m, masks, f: f(copy.deepcopy(m)) or dict.fromkeys(masks, 0)),
        ("Not every parameter has a mask: step over those.", lambda model, masks, train: masks["0.weight"]),
    ],
)  # fmt: skip

LOG = Choice(
    name="04.4", title="read the log", right=8,
    because="The run was resumed with another child, while Adam still remembered the old one: its entries coast.",
    wrong={
        1: "Memory it is. But in D the memory of a masked entry is 0 while the mask stays. Which row lets it change?",
        4: "Decay moves all frozen entries, each by the same share, and goes on. Here few move, and not for long.",
        7: "Without its masks the network trains in full: nearly all frozen entries would move, and go on moving.",
        9: "A mistyped mode trains in full, from the first step on. Up to step 300 nothing frozen moved.",
        10: "Two estimates give two children, but within a run there is one. What may put a second into the same run?",
    },
)  # fmt: skip

EXERCISES = [ATTACH, CONTROL, FREEZE, LOG]
