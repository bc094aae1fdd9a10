"""Two networks that exchange their heads, and how an answer treats them: the cases and observation of exercise 08.4."""

import copy

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, body, head):
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x):
        return self.head(self.body(x))


def networks(seed):
    """(parent, tuned, x, y): a parent that reads all classes but two, and a copy that was moved toward these two.

    Dropout drops all here: what training mode gives does not depend on the draw.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for label, shape, body, head in (
            ("8 features, dropout", (70, 5), [nn.Linear(5, 8), nn.Tanh(), nn.Dropout(1.0)], nn.Linear(8, 6)),
            ("images of 4 by 4", (50, 1, 4, 4), [nn.Conv2d(1, 3, 2, stride=2), nn.Flatten()], nn.Linear(12, 10)),
            ("head and body share a tensor", (60, 5), [nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 8)], nn.Linear(8, 8)),
        ):
            if "share" in label:
                head.weight = body[-1].weight
            x, parent = torch.randn(shape), Network(nn.Sequential(*body), head)
            parent.body[0].eval()  # a module may have a mode of its own
            with torch.no_grad():
                head.bias[-2:] -= 9
                y = copy.deepcopy(parent).eval()(x).argmax(1)
                y[:6] = 0  # some that even the parent gets wrong
                tuned = copy.deepcopy(parent)
                for weight in tuned.parameters():
                    weight += 0.25 * torch.randn_like(weight)
                tuned.head.bias[-2:] += 9.3
            yield label, (parent, tuned, x, y)


def one_by_one(parent, tuned, x, y):
    """Image by image: who reads it, and who reads it no longer."""
    parent, tuned = copy.deepcopy(parent).eval(), copy.deepcopy(tuned).eval()

    def right(body, head):
        with torch.no_grad():
            return sum(head(body(x[i : i + 1])).argmax().item() == y[i].item() for i in range(len(x))) / len(x)

    before = right(parent.body, parent.head)
    pairs = {"whole": (tuned.body, tuned.head), "body": (tuned.body, parent.head), "head": (parent.body, tuned.head)}
    return {part: before - right(*pair) for part, pair in pairs.items()}


@torch.no_grad()
def lost(parent, tuned, x, y, rule=lambda before, after: before - after, classes=None, known=False, training=False):
    """The answer by batches, or a faulty one: another rule for the two shares, fewer classes or images."""
    parent, tuned = (copy.deepcopy(net) if training else copy.deepcopy(net).eval() for net in (parent, tuned))
    logits = [parent(x), tuned(x), parent.head(tuned.body(x)), tuned.head(parent.body(x))]
    rights = [one[:, :classes].argmax(1) == y for one in logits]
    before, *after = [(right[rights[0]] if known else right).double().mean().item() for right in rights]
    return {part: rule(before, share) for part, share in zip(("whole", "body", "head"), after, strict=True)}


def copied(parent, tuned, x, y):
    """Numbers copied into the head of a copy. Where it shares a tensor with the body, that gets them as well."""
    mixed = [copy.deepcopy(tuned), copy.deepcopy(parent)]
    for net, other in zip(mixed, (parent, tuned), strict=True):
        net.head.load_state_dict(other.head.state_dict())
    found = lost(parent, tuned, x, y)
    return found | {part: lost(parent, net, x, y)["whole"] for part, net in zip(("body", "head"), mixed, strict=True)}


def after(do):
    """The right answer, by one who leaves the networks changed."""

    def answer(parent, tuned, x, y):
        do(parent), do(tuned)
        return lost(parent, tuned, x, y)

    return answer


def losses_and_care(function, parent, tuned, x, y):
    """What is lost, and whether the two networks are still what they were."""
    nets = nn.ModuleList([parent, tuned])
    nets.training = False  # the list itself has no say
    was, modes, trains = state(nets)
    result = in_order(function, parent, tuned, x, y)
    if result is None:
        return None
    if not isinstance(result, dict) or list(result) != ["body", "head", "whole"]:
        got = ", ".join(map(repr, result)) if isinstance(result, dict) else f"a {type(result).__name__}"
        raise TypeError(f"wanted a dict of 'whole', 'body' and 'head', got {got or 'an empty one'}")
    now, modes_now, trains_now = state(nets)
    facts = {
        "a network was changed": list(was) != list(now) or any(not torch.equal(was[k], now[k]) for k in was),
        "evaluation mode was left on": any(modes_now.get(name) is False for name, on in modes.items() if on),
        "training mode was left on": any(modes_now.get(name) for name, on in modes.items() if not on),
        "`requires_grad` was changed": trains != trains_now,
    }
    return facts | result


def state(nets):
    """Weights, modes of all modules, and what trains; by name, shared or not."""
    modes = {name: module.training for name, module in nets.named_modules(remove_duplicate=False)}
    trains = {name: w.requires_grad for name, w in nets.named_parameters(remove_duplicate=False)}
    return copy.deepcopy(nets.state_dict()), modes, trains


def in_order(function, *arguments):
    """The result with its parts in the order of their names; the order of a dict is no fault."""
    result = function(*arguments)
    return dict(sorted(result.items())) if isinstance(result, dict) else result
