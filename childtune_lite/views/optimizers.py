"""Notebook 04's widget: two entries through an optimizer, one that is masked seldom and one that is masked often."""

import functools

import torch

from ..child import Child
from ..masks import BernoulliMask
from ..plots.redrawn import entry_panels
from .view import Choice, View

STEPS, ENTRIES, RATE = 60, 200, 0.01
OPTIMIZERS = {
    "SGD": lambda weights, decay: torch.optim.SGD(weights, lr=RATE, weight_decay=decay),
    "SGD, momentum": lambda weights, decay: torch.optim.SGD(weights, lr=RATE, momentum=0.9, weight_decay=decay),
    "AdamW": lambda weights, decay: torch.optim.AdamW(weights, lr=RATE, weight_decay=decay),
}
METHODS = ("F", "D", "D, gradient only")


class Entries(torch.nn.Module):
    """A vector of weights, all 1 at first."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(ENTRIES, dtype=torch.float64))


def fixed_child(p: float) -> Child:
    """The child of method D. The scores only say how many entries there are: which ones train is drawn."""
    return Child.random({"w": torch.ones(ENTRIES)}, p)


def two_of(method: str, p: float) -> tuple[dict[str, int], torch.Tensor]:
    """{label: entry} of the two that are shown, and which entries are kept at each step, (steps, entries)."""
    if method != "F":
        inside = fixed_child(p).mask("w")
        entries = {"in the child": inside.int().argmax().item(), "outside the child": inside.int().argmin().item()}
        return entries, inside.expand(STEPS, ENTRIES)
    kept = torch.stack([BernoulliMask(p, seed=0).keep("w", (ENTRIES,), step) for step in range(STEPS)])
    count = kept.sum(0)
    return {"kept often": count.argmax().item(), "kept seldom": count.argmin().item()}, kept


@functools.lru_cache(maxsize=256)
def follow(optimizer: str, method: str, p: float, decay: float) -> dict[str, dict]:
    """What the optimizer holds of two entries after each step, and how it moves them; the gradient is 1 throughout.

    Returns {label: {"kept", "step", "weight": (steps,); "m", "v": (steps,), or None where the optimizer has none}}.
    """
    model, child = Entries(), fixed_child(p)
    held = child.parameters(model) if method == "D" else [model.w]  # what the optimizer holds
    stepper = OPTIMIZERS[optimizer](held, decay)
    if method == "F":
        BernoulliMask(p, seed=0).attach(stepper, model)
    elif method == "D":
        child.attach(stepper)
    weights, moments = [model.w.detach().clone()], {"m": [], "v": []}
    for _ in range(STEPS):
        gradient = torch.ones_like(model.w)
        model.w.grad = child.masked("w", gradient) if method == "D, gradient only" else gradient
        stepper.step()
        weights.append(model.w.detach().clone())
        state = stepper.state[held[0]]
        for name, keys in (("m", ("exp_avg", "momentum_buffer")), ("v", ("exp_avg_sq",))):
            moments[name] += [state[key].clone() for key in keys if state.get(key) is not None]
    entries, kept = two_of(method, p)
    at = {entry: entry for entry in entries.values()}
    if method == "D":  # the optimizer holds the child only: the others have no place in its memory
        at = {entry: place for place, entry in enumerate(child.indices["w"].tolist())}
    path = torch.stack(weights)
    return {
        label: {
            "kept": kept[:, i],
            "step": path[1:, i] - path[:-1, i],
            "weight": path[1:, i],
            **{k: torch.stack(v)[:, at[i]] if v and i in at else None for k, v in moments.items()},
        }
        for label, i in entries.items()
    }


def _draw(optimizer: str, method: str, p: float, decay: float) -> tuple:
    entries = follow(optimizer, method, p, decay)
    share = "p_F" if method == "F" else "p_D"
    title = f"{optimizer}, {method}, {share} = {p:g}, weight decay {decay:g}"
    lines = [f"{STEPS} steps of {title}", f"{'entry':18}{'kept':>6}{'moved':>7}{'masked and moved':>18}{'weight':>9}"]
    for label, entry in entries.items():
        moved, kept = entry["step"] != 0, entry["kept"]
        counts = f"{int(kept.sum()):6}{int(moved.sum()):7}{int((moved & ~kept).sum()):18}"
        weight = round(entry["weight"][-1].item(), 3) + 0.0  # no "-0.000"
        lines.append(f"{label:18}{counts}{weight:9.3f}")
    return entry_panels(entries, title), "\n".join(lines)


def two_entries() -> View:
    """m, v, the step and the weight of an entry kept often and one kept seldom, for any optimizer, method and decay."""
    return View(
        _draw,
        {
            "optimizer": Choice("optimizer", tuple(OPTIMIZERS), "AdamW", "buttons"),
            "method": Choice("method", METHODS, "F", "buttons"),
            "p": Choice("share kept, p", (0.1, 0.2, 0.3, 0.5, 0.8), 0.2),
            "decay": Choice("weight decay", (0.0, 0.1, 1.0), 0.0),
        },
        "Two entries through an optimizer, one kept often and one kept seldom: above, the steps at which each was "
        "kept; below, four panels over 60 steps: m, v, the step and the weight.",
    )
