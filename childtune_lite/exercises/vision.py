"""The exercises of notebook 08: patches, what one-pixel patches cost, where the child lies, body or head, two nulls."""

import copy

import torch
from torch import nn

from .exercise import Code
from .quiz import Choice, Number


def drawn_images(seed):
    """Several images, square or not, of one or more channels."""
    generator = torch.Generator().manual_seed(seed)
    for shape, size in (((2, 1, 8, 8), 2), ((3, 3, 6, 9), 3), ((1, 2, 4, 12), 4)):
        images = torch.randn(shape, generator=generator, dtype=torch.float64 if size == 3 else torch.float32)
        yield f"images {shape}, patches of {size} by {size}", (images, size)


def channels_last(seed):
    drawn = torch.randn(2, 3, 16, 8, generator=torch.Generator().manual_seed(seed))
    yield "images (2, 3, 16, 8), channels last in memory", (drawn.to(memory_format=torch.channels_last), 4)


def pixel_by_pixel(images, size):
    """Every pixel looked up, in the order in which the result lists them."""
    listed, rows, columns = [], images.shape[2] // size, images.shape[3] // size
    for image in images:
        for patch in range(rows * columns):
            top, left = patch // columns * size, patch % columns * size
            for channel in image:
                listed += [channel[top + y, left + x] for y in range(size) for x in range(size)]
    return torch.stack(listed).view(len(images), rows * columns, -1)


def cut(images, size, *order):
    """Turn the axes: 1 channel, 2 row of patches, 3 row in a patch, 4 column of patches, 5 column in a patch."""
    b, c, h, w = images.shape
    turned = images.reshape(b, c, h // size, size, w // size, size).permute(0, *order)
    return turned.reshape(b, h * w // size**2, -1)


PATCHES = Code(
    name="08.1", title="cut an image into patches", reference=pixel_by_pixel, cases=drawn_images, hidden=channels_last,
    mistakes=[
        ("Your patches are strips: what follows in memory is the next pixel of the image's row, not of the patch.",
         lambda x, s: x.reshape(len(x), x[0, 0].numel() // s**2, -1)),
        ("The patches come column by column. Read them as a page: row by row.", lambda x, s: cut(x, s, 4, 2, 1, 3, 5)),
        ("Inside a patch the pixels come column by column.", lambda x, s: cut(x, s, 2, 4, 1, 5, 3)),
        ("Inside a patch the channel runs fastest. It comes first: all of one channel, then the next.",
         lambda x, s: cut(x, s, 2, 4, 3, 5, 1)),
        ("Each channel has patches of its own. One patch holds all channels.",
         lambda x, s: cut(x, s, 1, 2, 4, 3, 5).reshape(len(x), -1, s * s)),
        ("The patches run along the last dimension, and their pixels along the one before.",
         lambda x, s: cut(x, s, 2, 4, 1, 3, 5).mT),
    ],
)  # fmt: skip


def more_weights(width=48, pixels=8):
    """Patch filters and positions, built and counted: with patches of one pixel, and with the notebook's."""

    def count(size):
        filters = nn.Conv2d(1, width, size, stride=size, device="meta")
        patches = filters(torch.zeros(1, 1, pixels, pixels, device="meta"))[0, 0].numel()
        return sum(w.numel() for w in filters.parameters()) + (1 + patches) * width

    return count(1) - count(2)


ONE_PIXEL = Number(
    name="08.2", title="patches of one pixel", measure=more_weights, tolerance=0.5, near=5, digits=0,
    mistakes=[
        ("The filters serve all patches alike. But each place has a position embedding of its own.", 0),
        ("The positions are right: 48 more, of 48 numbers each. How many weights has a filter of one pixel?", 48 * 48),
        ("The filters shrink by that. What do the new patches need, one each?", -144),
        ("You took the old filters away. The new ones have a weight each.", 48 * 48 - 192),
        ("Those are the positions of all 64 patches. Asked was how many numbers more than before.", 64 * 48),
        ("That is the whole network with such patches. Asked was how many numbers more.", 60_730),
        ("The other way round: smaller patches are more patches.", -2160),
    ],
)  # fmt: skip


def drawn_scores(seed):
    """Scores of a small vision transformer, of other size in each tensor. Key biases score zero, LayerNorms little."""
    generator = torch.Generator().manual_seed(seed)
    for blocks, p, dtype in ((1, 0.31, torch.float32), (2, 0.1, torch.float64), (3, 0.52, torch.float32)):
        shapes = {"patches.weight": (6, 1, 2, 2), "patches.bias": (6,), "positions": (1, 5, 6), "norm.weight": (6,)}
        for b in range(blocks):
            shapes |= {f"{b}.{part}.weight": (6, 6) for part in ("query", "key")} | {f"{b}.key.bias": (6,)}
            shapes |= {f"{b}.mlp.weight": (12, 6), f"{b}.mlp.bias": (12,)}
        kinds = {"patches": "patch filters", "positions": "positions", "norm": "LayerNorm", "mlp": "MLP"}
        scores = {}
        for name, shape in shapes.items():
            loud = 0 if "key.bias" in name else 1e-9 if "norm" in name else 100 ** torch.rand(1, generator=generator)
            scores[name] = (loud * torch.randn(shape, generator=generator) ** 2).to(dtype)
        kind_of = {n: next((kind for part, kind in kinds.items() if part in n), "attention") for n in shapes}
        yield f"blocks: {blocks}, p = {p}, {str(dtype).removeprefix('torch.')}", (scores, p, kind_of)


def one_list(scores, p, kinds):
    """All entries of the network in one list, sorted; the first ones are the child."""
    entries = [(score, kinds[name]) for name in scores for score in scores[name].flatten().tolist()]
    entries.sort(key=lambda entry: -entry[0])
    child = [kind for _, kind in entries[: round(p * len(entries))]]
    return {kind: child.count(kind) / sum(kind == k for _, k in entries) for kind in kinds.values()}


def located(scores, p, kinds, rule=lambda parts, child, all_: torch.cat(parts).mean(), each=False, sign=1):
    """{kind: rule(the masks of its tensors, size of the child, size of the network)}; faulty with another setting."""
    flat = [sign * s.flatten() for s in scores.values()]

    def best(values):
        return (values.argsort(descending=True).argsort() < round(p * len(values))).double()

    masks = [best(f) for f in flat] if each else best(torch.cat(flat)).split([len(f) for f in flat])
    parts = {kind: [m for name, m in zip(scores, masks, strict=True) if kinds[name] == kind] for kind in kinds.values()}
    total = sum(map(len, flat))
    return {kind: float(rule(of_kind, round(p * total), total)) for kind, of_kind in parts.items()}


def in_order(function, *arguments):
    """The result with its parts in the order of their names; the order of a dict is no fault."""
    result = function(*arguments)
    return dict(sorted(result.items())) if isinstance(result, dict) else result


WHERE = Code(
    name="08.3", title="where the child lies", reference=one_list, cases=drawn_scores, observe=in_order,
    mistakes=[
        ("You choose the best of each tensor, so each has its share. All entries of the network compete.",
         lambda *a: located(*a, each=True)),
        ("You average over tensors. A bias of 6 entries is not worth a matrix of 36: count entries.",
         lambda *a: located(*a, lambda parts, child, all_: sum(m.mean() for m in parts) / len(parts))),
        ("That says what the child is made of. Divide by the kind's own entries: how much of it trains?",
         lambda *a: located(*a, lambda parts, child, all_: torch.cat(parts).sum() / child)),
        ("You divide by the entries of the whole network. Divide by those of the kind.",
         lambda *a: located(*a, lambda parts, child, all_: torch.cat(parts).sum() / all_)),
        ("You took the lowest scores.", lambda *a: located(*a, sign=-1)),
        ("A kind without an entry in the child is missing. Its share is 0, and worth knowing.",
         lambda *a: {kind: share for kind, share in located(*a).items() if share}),
    ],
)  # fmt: skip


class Network(nn.Module):
    def __init__(self, body, head):
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x):
        return self.head(self.body(x))


def networks(seed):
    """(parent, tuned, x, y): a parent that reads all classes but two, and a copy that was moved toward these two."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for label, shape, body, head in (
            ("8 features", (70, 5), [nn.Linear(5, 8), nn.Tanh()], nn.Linear(8, 6)),
            ("images of 4 by 4", (50, 1, 4, 4), [nn.Conv2d(1, 3, 2, stride=2), nn.Flatten()], nn.Linear(12, 10)),
            ("head and body share a tensor", (60, 5), [nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 8)], nn.Linear(8, 8)),
        ):
            if "share" in label:
                head.weight = body[-1].weight
            x, parent = torch.randn(shape), Network(nn.Sequential(*body), head)
            with torch.no_grad():
                head.bias[-2:] -= 9
                y = parent(x).argmax(1)
                y[:6] = 0  # some that even the parent gets wrong
                tuned = copy.deepcopy(parent)
                for weight in tuned.parameters():
                    weight += 0.25 * torch.randn_like(weight)
                tuned.head.bias[-2:] += 9.3
            yield label, (parent, tuned, x, y)


def one_by_one(parent, tuned, x, y):
    """Image by image: who reads it, and who reads it no longer."""

    def right(body, head):
        with torch.no_grad():
            return sum(head(body(x[i : i + 1])).argmax().item() == y[i].item() for i in range(len(x))) / len(x)

    before = right(parent.body, parent.head)
    pairs = {"whole": (tuned.body, tuned.head), "body": (tuned.body, parent.head), "head": (parent.body, tuned.head)}
    return {part: before - right(*pair) for part, pair in pairs.items()}


@torch.no_grad()
def lost(parent, tuned, x, y, rule=lambda before, after: before - after, classes=None):
    """The answer by batches, or a faulty one: another rule for the two shares, or the first classes only."""
    logits = [parent(x), tuned(x), parent.head(tuned.body(x)), tuned.head(parent.body(x))]
    before, *after = [(one[:, :classes].argmax(1) == y).double().mean().item() for one in logits]
    return {part: rule(before, share) for part, share in zip(("whole", "body", "head"), after, strict=True)}


def copied(parent, tuned, x, y):
    """Numbers copied into the head of a copy. Where it shares a tensor with the body, that gets them as well."""
    mixed = [copy.deepcopy(tuned), copy.deepcopy(parent)]
    for net, other in zip(mixed, (parent, tuned), strict=True):
        net.head.load_state_dict(other.head.state_dict())
    found = lost(parent, tuned, x, y)
    return found | {part: lost(parent, net, x, y)["whole"] for part, net in zip(("body", "head"), mixed, strict=True)}


def losses_and_care(function, parent, tuned, x, y):
    """What is lost, and whether the two networks are still what they were."""
    before = copy.deepcopy([parent.state_dict(), tuned.state_dict()])
    result = in_order(function, parent, tuned, x, y)
    after = [parent.state_dict(), tuned.state_dict()]
    changed = any(not torch.equal(was[k], now[k]) for was, now in zip(before, after, strict=True) for k in was)
    return {"a network was changed": changed} | result if isinstance(result, dict) else result


FORGOT = Code(
    name="08.4", title="body or head?", reference=one_by_one, cases=networks, observe=losses_and_care,
    mistakes=[
        ("Lost is before minus after. A positive number says that something was forgotten.",
         lambda *a: lost(*a, lambda old, new: new - old)),
        ("That is what is left. Lost is what the parent read minus that.", lambda *a: lost(*a, lambda old, new: new)),
        ("You give the loss as a share of what the parent read. Here it is the difference of two shares.",
         lambda *a: lost(*a, lambda old, new: 1 - new / old)),
        ("Body and head have changed places: whose body stands in the network with the old head?",
         lambda *a: (found := lost(*a)) | {"body": found["head"], "head": found["body"]}),
        ("You compare the old classes only. All outputs are allowed: a head that says a new class has forgotten, too.",
         lambda parent, tuned, x, y: lost(parent, tuned, x, y, classes=int(y.max()) + 1)),
        ("You took the head's loss as the rest. The two need not add up: measure both.",
         lambda *a: (found := lost(*a)) | {"head": found["whole"] - found["body"]}),
        ("Almost: you copied numbers into a head. Where head and body share a tensor, the body got them, too.", copied),
    ],
)  # fmt: skip


TWO_NULLS = Choice(
    name="08.5", title="two nulls", right=3,
    because="The interval says what a null leaves open. A measure on its floor leaves everything open, however narrow.",
    wrong={
        1: "The narrowest interval here comes from a measure on its floor: whoever reads nothing differs from nobody.",
        2: "An interval that holds zero holds many numbers. Which differences does it leave open?",
        4: "A mean of 1.9 with a loss of 7.4 in reach: the sign itself is open.",
        5: "What a study of this size finds four times in five was said before. The interval says what this one found.",
    },
)  # fmt: skip

EXERCISES = [PATCHES, ONE_PIXEL, WHERE, FORGOT, TWO_NULLS]
