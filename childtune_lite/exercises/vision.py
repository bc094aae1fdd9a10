"""The exercises of notebook 08: patches, what one-pixel patches cost, where the child lies, body or head, two nulls."""

import torch
from torch import nn

from .crossed import after, copied, in_order, losses_and_care, lost, networks, one_by_one
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
    """Scores of a small vision transformer, of other size in each tensor. Key biases score zero, LayerNorms little.

    With two blocks, 23.4 entries are wanted: a quantile gives 24. In the last case MLP scores tie at the cut.
    """
    generator = torch.Generator().manual_seed(seed)
    cases = (1, 0.31, torch.float32), (2, 0.06, torch.float64), (3, 0.52, torch.float32), (1, 0.2, torch.float64)
    for blocks, p, dtype in cases:
        shapes = {"patches.weight": (6, 1, 2, 2), "patches.bias": (6,), "positions": (1, 5, 6), "norm.weight": (6,)}
        for b in range(blocks):
            shapes |= {f"{b}.{part}.weight": (6, 6) for part in ("query", "key")} | {f"{b}.key.bias": (6,)}
            shapes |= {f"{b}.mlp.weight": (12, 6), f"{b}.mlp.bias": (12,)}
        kinds = {"patches": "patch filters", "positions": "positions", "norm": "LayerNorm", "mlp": "MLP"}
        scores = {}
        for name, shape in shapes.items():
            loud = 0 if "key.bias" in name else 1e-9 if "norm" in name else 100 ** torch.rand(1, generator=generator)
            scores[name] = (loud * torch.randn(shape, generator=generator) ** 2).to(dtype)
        if p == 0.2:
            tied = scores["0.mlp.weight"][0].zero_()
            sorted_ = torch.cat([s.flatten() for s in scores.values()]).sort(descending=True).values
            tied += sorted_[round(p * len(sorted_)) - 3 :][:2].mean()  # six entries, two of them in the child
        kind_of = {n: next((kind for part, kind in kinds.items() if part in n), "attention") for n in sorted(shapes)}
        label = f"blocks: {blocks}, p = {p}, {str(dtype).removeprefix('torch.')}"
        yield label + ", ties at the cut" * (p == 0.2), (scores, p, kind_of)


def one_list(scores, p, kinds):
    """All entries of the network in one list, sorted; the first ones are the child."""
    entries = [(score, kinds[name]) for name in scores for score in scores[name].flatten().tolist()]
    entries.sort(key=lambda entry: -entry[0])
    child = [kind for _, kind in entries[: round(p * len(entries))]]
    return {kind: child.count(kind) / sum(kind == k for _, k in entries) for kind in kinds.values()}


def best(values, p, whole=round):
    return values.argsort(descending=True).argsort() < whole(p * len(values))


def located(scores, p, kinds, rule=lambda parts, child, all_: torch.cat(parts).mean(), each=False, choose=best):
    """{kind: rule(the masks of its tensors, size of the child, size of the network)}; faulty with another setting."""
    flat = [s.flatten() for s in scores.values()]
    masks = [choose(f, p) for f in flat] if each else choose(torch.cat(flat), p).split([len(f) for f in flat])
    named = dict(zip(scores, (mask.double() for mask in masks), strict=True))
    parts = {kind: [m for name, m in named.items() if kinds[name] == kind] for kind in kinds.values()}
    total = sum(map(len, flat))
    return {kind: float(rule(of_kind, round(p * total), total)) for kind, of_kind in parts.items()}


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
        ("You took the lowest scores.", lambda *a: located(*a, choose=lambda s, p: best(-s, p))),
        ("You cut p N off: round it.", lambda *a: located(*a, choose=lambda s, p: best(s, p, int))),
        ("A quantile does not let exactly round(p N) entries through. Choose by rank.",
         lambda *a: located(*a, choose=lambda s, p: s > s.quantile(1 - p))),
        ("Where scores tie at the cut you choose too many. Choose by rank: exactly round(p N) entries.",
         lambda *a: located(*a, choose=lambda s, p: s >= s[best(s, p)].min())),
        ("`scores` and `kinds` list the names in another order. Look each name up.",
         lambda scores, p, kinds: located(scores, p, dict(zip(scores, kinds.values(), strict=True)))),
        ("A kind without an entry in the child is missing. Its share is 0, and worth knowing.",
         lambda *a: {kind: share for kind, share in located(*a).items() if share}),
    ],
)  # fmt: skip


FORGOT = Code(
    name="08.4", title="body or head?", reference=one_by_one, cases=networks, observe=losses_and_care,
    mistakes=[
        ("You left it in evaluation mode: whoever trains on has no dropout.", after(nn.Module.eval)),
        ("A part that was in evaluation mode is in training mode now. Give each module its own mode back.",
         after(nn.Module.train)),
        ("The weights no longer train: `requires_grad` was changed. `torch.no_grad()` leaves it alone.",
         after(lambda net: net.requires_grad_(False))),
        ("You measure in training mode, with dropout at work.", lambda *a: lost(*a, training=True)),
        ("Lost is before minus after. A positive number says that something was forgotten.",
         lambda *a: lost(*a, lambda old, new: new - old)),
        ("That is what is left. Lost is what the parent read minus that.", lambda *a: lost(*a, lambda old, new: new)),
        ("You divide by the parent's share. Asked is the difference of two shares.",
         lambda *a: lost(*a, lambda old, new: 1 - new / old)),
        ("You count only images that the parent reads. Shares are of all: the others may be read now.",
         lambda *a: lost(*a, known=True)),
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
    because="*New* leaves open from 7.4 points worse to 11.2 better; on its floor a measure leaves everything open.",
    wrong={
        1: "The narrowest interval here comes from a measure on its floor: whoever reads nothing differs from nobody.",
        2: "An interval that holds zero holds many numbers. Which differences does it leave open?",
        4: "A mean of 1.9 with a loss of 7.4 in reach: the sign itself is open.",
        5: "What a study of this size finds four times in five was said before. The interval says what this one found.",
    },
)  # fmt: skip

EXERCISES = [PATCHES, ONE_PIXEL, WHERE, FORGOT, TWO_NULLS]
