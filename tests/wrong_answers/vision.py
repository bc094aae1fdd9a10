"""Wrong answers to the exercises of notebook 08."""

import copy

import torch
from torch.nn import functional


def strips(images, size):
    _, c, h, w = images.shape
    return images.flatten(1).unflatten(1, (h * w // size**2, c * size**2))


def walk(images, size, inside, down_first=False):
    """Patches one after the other; `inside` flattens one of shape (C, size, size)."""
    rows, columns = images.shape[2] // size, images.shape[3] // size
    places = [(i, j) for i in range(rows) for j in range(columns)]
    if down_first:
        places.sort(key=lambda place: place[::-1])
    cut = [images[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size] for i, j in places]
    return torch.stack([torch.stack([inside(patch) for patch in patches]) for patches in cut], dim=1)


def page_down(images, size):
    return walk(images, size, torch.flatten, down_first=True)


def pixels_down(images, size):
    return walk(images, size, lambda patch: patch.transpose(1, 2).flatten())


def channels_last(images, size):
    return walk(images, size, lambda patch: patch.permute(1, 2, 0).flatten())


def a_channel_at_a_time(images, size):
    return torch.cat([walk(images[:, c : c + 1], size, torch.flatten) for c in range(images.shape[1])], dim=1)


def as_unfold_has_it(images, size):
    return functional.unfold(images, size, stride=size)


def overlapping(images, size):
    return functional.unfold(images, size).transpose(1, 2)


def square_only(images, size):
    b, c, h, _ = images.shape
    n = h // size
    return images.reshape(b, c, n, size, n, size).permute(0, 2, 4, 1, 3, 5).reshape(b, n * n, -1)


def shares(masks, kinds):
    return {
        kind: torch.cat([masks[n].flatten().float() for n in masks if kinds[n] == kind]).mean().item()
        for kind in set(kinds.values())
    }


def chosen(values, k):
    mask = torch.zeros(len(values))
    mask[values.topk(k).indices] = 1
    return mask


def top(scores, p, choose=lambda joined, p: chosen(joined, round(p * len(joined)))):
    """The child as masks of zeros and ones."""
    mask = choose(torch.cat([s.flatten() for s in scores.values()]), p)
    return dict(zip(scores, mask.split([s.numel() for s in scores.values()]), strict=True))


def tensor_by_tensor(scores, p, kinds):
    masks = {}
    for name, score in scores.items():
        mask = torch.zeros(score.numel())
        mask[score.flatten().topk(round(p * score.numel())).indices] = 1
        masks[name] = mask
    return shares(masks, kinds)


def mean_of_means(scores, p, kinds):
    found = {}
    for name, mask in top(scores, p).items():
        found.setdefault(kinds[name], []).append(mask.float().mean().item())
    return {kind: sum(values) / len(values) for kind, values in found.items()}


def counted(scores, p, kinds):
    found = dict.fromkeys(kinds.values(), 0)
    for name, mask in top(scores, p).items():
        found[kinds[name]] += int(mask.sum())
    return found


def made_of(scores, p, kinds):
    found = counted(scores, p, kinds)
    return {kind: n / sum(found.values()) for kind, n in found.items()}


def of_the_network(scores, p, kinds):
    entries = sum(s.numel() for s in scores.values())
    return {kind: n / entries for kind, n in counted(scores, p, kinds).items()}


def lowest(scores, p, kinds):
    joined = torch.cat([s.flatten() for s in scores.values()])
    chosen = torch.zeros(len(joined))
    chosen[joined.argsort(stable=True)[: round(p * len(joined))]] = 1
    return shares(dict(zip(scores, chosen.split([s.numel() for s in scores.values()]), strict=True)), kinds)


def none_forgotten(scores, p, kinds):
    return {kind: share for kind, share in shares(top(scores, p), kinds).items() if share > 0}


def cut_off(scores, p, kinds):
    return shares(top(scores, p, lambda joined, p: chosen(joined, int(p * len(joined)))), kinds)


def by_quantile(scores, p, kinds):
    return shares(top(scores, p, lambda joined, p: joined > joined.quantile(1 - p)), kinds)


def by_threshold(scores, p, kinds):
    def choose(joined, p):
        return joined >= joined.sort(descending=True).values[round(p * len(joined)) - 1]

    return shares(top(scores, p, choose), kinds)


def in_one_order(scores, p, kinds):
    found = {}
    for kind, mask in zip(kinds.values(), top(scores, p).values(), strict=True):
        found.setdefault(kind, []).append(mask)
    return {kind: torch.cat(masks).mean().item() for kind, masks in found.items()}


def by_name(scores, p, kinds):
    return shares(top(scores, p), {name: name for name in scores})


def evaluated(answer):
    """In evaluation mode, on copies: so that only the answer's own fault is left."""

    def careful(parent, tuned, x, y):
        return answer(copy.deepcopy(parent).eval(), copy.deepcopy(tuned).eval(), x, y)

    return careful


def share_read(net, x, y):
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


def crossed(one, other):
    """The body of one network under the head of the other."""
    return lambda x: other.head(one.body(x))


def three(parent, tuned, x, y):
    nets = {"whole": tuned, "body": crossed(tuned, parent), "head": crossed(parent, tuned)}
    return {part: share_read(net, x, y) for part, net in nets.items()}


@evaluated
def after_minus_before(parent, tuned, x, y):
    return {part: left - share_read(parent, x, y) for part, left in three(parent, tuned, x, y).items()}


@evaluated
def what_is_left(parent, tuned, x, y):
    return three(parent, tuned, x, y)


@evaluated
def relative(parent, tuned, x, y):
    before = share_read(parent, x, y)
    return {part: (before - left) / before for part, left in three(parent, tuned, x, y).items()}


@evaluated
def exchanged(parent, tuned, x, y):
    before, left = share_read(parent, x, y), three(parent, tuned, x, y)
    return {"whole": before - left["whole"], "body": before - left["head"], "head": before - left["body"]}


@evaluated
def old_classes(parent, tuned, x, y):
    classes = y.max() + 1

    def lost(net):
        return share_read(lambda x: parent(x)[:, :classes], x, y) - share_read(lambda x: net(x)[:, :classes], x, y)

    return {"whole": lost(tuned), "body": lost(crossed(tuned, parent)), "head": lost(crossed(parent, tuned))}


@evaluated
def the_rest(parent, tuned, x, y):
    before = share_read(parent, x, y)
    whole, body = before - share_read(tuned, x, y), before - share_read(crossed(tuned, parent), x, y)
    return {"whole": whole, "body": body, "head": whole - body}


@evaluated
def numbers_copied(parent, tuned, x, y):
    found = {"whole": share_read(parent, x, y) - share_read(tuned, x, y)}
    for part, body, head in (("body", tuned, parent), ("head", parent, tuned)):
        mixed = copy.deepcopy(body)
        with torch.no_grad():
            mixed.head.weight.copy_(head.head.weight)
            mixed.head.bias.copy_(head.head.bias)
        found[part] = share_read(parent, x, y) - share_read(mixed, x, y)
    return found


def head_put_back(parent, tuned, x, y):
    modes = [(module, module.training) for net in (parent, tuned) for module in net.modules()]
    parent.eval(), tuned.eval()
    before = share_read(parent, x, y)
    whole, head = before - share_read(tuned, x, y), before - share_read(crossed(parent, tuned), x, y)
    tuned.head = parent.head
    body = before - share_read(tuned, x, y)
    for module, mode in modes:
        module.training = mode
    return {"whole": whole, "head": head, "body": body}


def differences(parent, tuned, x, y):
    before = share_read(parent, x, y)
    return {part: before - left for part, left in three(parent, tuned, x, y).items()}


def in_training_mode(parent, tuned, x, y):
    return differences(parent, tuned, x, y)


def left_evaluating(parent, tuned, x, y):
    parent.eval(), tuned.eval()
    return differences(parent, tuned, x, y)


def all_put_to_training(parent, tuned, x, y):
    found = left_evaluating(parent, tuned, x, y)
    parent.train(), tuned.train()
    return found


@evaluated
def right_but(parent, tuned, x, y):
    return differences(parent, tuned, x, y)


def frozen(parent, tuned, x, y):
    for weight in [*parent.parameters(), *tuned.parameters()]:
        weight.requires_grad = False
    return right_but(parent, tuned, x, y)


@evaluated
def of_those_it_read(parent, tuned, x, y):
    with torch.no_grad():
        read = parent(x).argmax(1) == y
    return differences(parent, tuned, x[read], y[read])


@evaluated
def percent(parent, tuned, x, y):
    before = share_read(parent, x, y)
    return {part: 100 * (before - left) for part, left in three(parent, tuned, x, y).items()}


@evaluated
def two_of_three(parent, tuned, x, y):
    before, left = share_read(parent, x, y), three(parent, tuned, x, y)
    return {"whole": before - left["whole"], "body": before - left["body"]}


WRONG = {
    "08.1": [
        (strips, "Your patches are strips"),
        (page_down, "Read them as a page"),
        (pixels_down, "the pixels come column by column"),
        (channels_last, "the channel runs fastest"),
        (a_channel_at_a_time, "One patch holds all channels"),
        (as_unfold_has_it, "The patches run along the last dimension"),
        (overlapping, "has shape (2, 49, 4), wanted (2, 16, 4)"),
        (square_only, "RuntimeError: shape"),
    ],
    "08.2": [
        (0, "a position embedding of its own"),
        (2304, "The positions are right"),
        (-144, "The filters shrink by that"),
        (2112, "You took the old filters away"),
        (3072, "the positions of all 64 patches"),
        (60_730, "the whole network with such patches"),
        (-2160, "smaller patches are more patches"),
        (2400, "2400 is too high"),
    ],
    "08.3": [
        (tensor_by_tensor, "the best of each tensor"),
        (mean_of_means, "You average over tensors"),
        (made_of, "what the child is made of"),
        (of_the_network, "the entries of the whole network"),
        (lowest, "the lowest scores"),
        (none_forgotten, "without an entry in the child is missing"),
        (counted, "times what was wanted"),
        (cut_off, "You cut p N off"),
        (by_quantile, "A quantile does not let exactly"),
        (by_threshold, "Where scores tie at the cut"),
        (in_one_order, "in another order"),
        (by_name, "The result has other parts: `0.key.bias`"),
    ],
    "08.4": [
        (after_minus_before, "Lost is before minus after"),
        (what_is_left, "That is what is left"),
        (relative, "You divide by the parent's share"),
        (exchanged, "Body and head have changed places"),
        (old_classes, "All outputs are allowed"),
        (the_rest, "as the rest"),
        (numbers_copied, "you copied numbers into a head"),
        (head_put_back, "A network was changed: yes"),
        (percent, "100 times what was wanted"),
        (two_of_three, "'body' and 'head', got 'body', 'whole'"),
        (in_training_mode, "You measure in training mode"),
        (left_evaluating, "You left it in evaluation mode"),
        (all_put_to_training, "Give each module its own mode back"),
        (frozen, "The weights no longer train"),
        (of_those_it_read, "You count only images that the parent reads"),
    ],
    "08.5": [
        (1, "a measure on its floor"),
        (2, "holds many numbers"),
        (4, "the sign itself is open"),
        (5, "was said before"),
        ("New", "none of the choices"),
    ],
}
