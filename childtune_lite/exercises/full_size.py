"""The exercises of notebook 06: a bfloat16 weight, a step in pieces, D's bytes, what changed, a study read."""

import torch

from .. import memory
from ..child import Child
from ..fisher import encoder_scope
from .exercise import Code
from .pieces import batches_in_pieces, by_hand, step_with, what_two_updates_did
from .quiz import Choice, Number


def where_it_stops(update=0.001, steps=10_000):
    """A bfloat16 weight that begins at 0, after so many updates."""
    weight = torch.zeros((), dtype=torch.bfloat16)
    for _ in range(steps):
        weight += update
    return weight.item()


STUCK = Number(
    name="06.1", title="where a weight gets stuck", measure=where_it_stops, tolerance=0.01, digits=3, near=0.02,
    mistakes=[
        ("That would be so if nothing were rounded away.", 10.0),
        ("At 1 such an update is lost, that is true. But is 1 ever reached?", 1.0),
        ("Near 0 the numbers of bfloat16 lie close together: the first updates do count.", 0.0),
        ("There the next number is less than two updates away: the sum is rounded up, and goes on.", 0.25),
        ("There the next number is one update away, and each update reaches it.", 0.125),
    ],
)  # fmt: skip


STEP = Code(
    name="06.2", title="one step, in pieces", reference=by_hand, cases=batches_in_pieces, observe=what_two_updates_did,
    hidden=lambda seed: batches_in_pieces(seed, ((3, 0.6, 0), (2, 0.3, 1e5)), tied=True),
    tolerance=0.01,  # rounding in float16 leaves 1e-3
    mistakes=[
        ("The norm is too long by the number of pieces: backward adds up, and you want the mean.", step_with("sum")),
        ("Each piece took a step, and used up a mask, of its own.", step_with("each piece")),
        ("You clipped gradients that were still scaled: which norm did the optimizer see?", step_with("early")),
        ("An infinite gradient reached the weights, and used up a mask. Who may skip a step?", step_with("unguarded")),
        ("The norm is right, but the step is longer than clipping allows.", step_with("long")),
        ("Only the last piece counts: the gradients of those before it were thrown away.", step_with("last piece")),
        ("The second step still has the first one's gradients in it.", step_with("piled up")),
        ("The products are computed in float32: what does autocast have to enclose?", step_with("float32")),
        ("The products are in bfloat16: a CPU's autocast takes that unless it is told.", step_with("bfloat16")),
        ("All pieces' activations are held at once. When may a piece's graph go?", step_with("held")),
        ("The mean gradient is infinite there, and so is its norm; yours is finite.", step_with("hidden")),
        ("That is the norm after clipping; `clip_grad_norm_` returns the one before.", step_with("after")),
        ("The gradients were divided by the scale twice. `scaler.step` does it, too, unless it was done.",
         step_with("twice")),
        ("The weights did not move: what did the step find?", step_with("cleared early")),
        ("The scaler had nothing to look at. It wants a scaled loss, and gradients that are still there.",
         step_with("cleared first")),
        ("The step came before the clipping.", step_with("late")),
        ("The scaler was not used.", step_with("no scaler")),
    ],
)  # fmt: skip


class Blocks(torch.nn.Module):
    """Word vectors, blocks, head: their shapes are all that counts here."""

    def __init__(self, words, width, tied=False, frozen=False, half=False):
        super().__init__()
        self.plan = words, width, tied, frozen, half
        self.embeddings, self.head = torch.nn.Embedding(words, width), torch.nn.Linear(width, words)
        self.layer = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(3))
        self.layer.to(torch.bfloat16 if half else torch.float32)
        self.head.weight = self.embeddings.weight if tied else self.head.weight
        self.embeddings.requires_grad_(not frozen)


def matrices(name):
    return name.startswith("layer.") and name.endswith("weight")


def plans(seed, settings=((), ("tied",), ("frozen",), ("bfloat16",))):
    """Networks on the meta device: names, shapes and types without a single number."""
    generator = torch.Generator().manual_seed(seed)
    for place, said in enumerate(settings):
        words, width, p = torch.randint(40, 80, (3,), generator=generator).tolist()
        p, in_scope = p / 100 - 0.2 * (place % 2), (encoder_scope, matrices)[place % 2]
        with torch.device("meta"):
            model = Blocks(words, width, "tied" in said, "frozen" in said, "bfloat16" in said)
        label = f"{words} words, width {width}, p = {p:.2f}, {in_scope.__name__}" + "".join(f", {s}" for s in said)
        yield label, (model, in_scope, p)


def in_order(bytes_of_d, *arguments):
    found = bytes_of_d(*arguments)
    return {part: found[part] for part in sorted(found)} if isinstance(found, dict) else found


def real_step(model, in_scope, p):
    """Make the network, take a step with D, fill the gradients again, and count what is there."""
    model = Blocks(*model.plan)
    child = Child.top({n: torch.rand(w.shape) for n, w in model.named_parameters() if in_scope(n)}, p)
    optimizer = torch.optim.AdamW(child.parameters(model))
    child.attach(optimizer)
    for last in (False, True):
        for weight in model.parameters():
            weight.grad = torch.ones_like(weight) if weight.requires_grad else None
        if not last:
            optimizer.step()
    return memory.held_bytes(model, optimizer, child)


def foretold_with(fault):
    def bytes_of_d(model, in_scope, p):
        named = dict(model.named_parameters(remove_duplicate=fault != "twice"))
        scope = [w for name, w in named.items() if in_scope(name)]
        rest = [w for name, w in named.items() if not in_scope(name) and (w.requires_grad or fault == "frozen")]

        def size(tensors, four=fault == "four"):
            return sum(w.numel() * (4 if four else w.element_size()) for w in tensors)

        whole, inside, outside = size(named.values()), size(scope), size(rest)
        width = 4 if fault == "four" else scope[0].element_size()
        chosen = round(p * (whole if fault == "whole" else inside) / width)
        moments = outside + (inside if fault == "all" else chosen * width)
        if fault == "float32 moments":
            moments = size(rest, four=True) + chosen * 4
        gradients = outside + (chosen * width if fault == "lean" else inside)
        return {
            "weights": inside + outside if fault == "trained" else whole,
            "gradients": gradients + (chosen * width if fault == "room twice" else 0),
            "moments": moments if fault == "one moment" else 2 * moments,
            "child": chosen * ((8 if fault == "int64" else 4) + width * (1 if fault == "no room" else 2)),
        }

    return bytes_of_d


BYTES = Code(
    name="06.3", title="D's bytes, foretold", reference=real_step, cases=plans, observe=in_order, tolerance=100,
    hidden=lambda seed: plans(seed + 1, (("tied", "bfloat16"), ("frozen", "bfloat16"))),
    mistakes=[
        ("A tied tensor has two names, but lies in memory once.", foretold_with("twice")),
        ("Four bytes a number is float32. Ask each tensor for its own.", foretold_with("four")),
        ("A frozen tensor has neither gradient nor moments.", foretold_with("frozen")),
        ("p is a share of the scope, not of the network.", foretold_with("whole")),
        ("Those are lean D's gradients. Here backward fills them whole.", foretold_with("lean")),
        ("Those are F's moments. D keeps them for what it trains.", foretold_with("all")),
        ("AdamW keeps a mean and a mean square.", foretold_with("one moment")),
        ("Something is missing in the child: index, copy, and room for the gradient.", foretold_with("no room")),
        ("Frozen weights lie in memory, too.", foretold_with("trained")),
        ("The index is int32.", foretold_with("int64")),
        ("AdamW's moments have their tensor's type.", foretold_with("float32 moments")),
        ("The room for the child's gradient is in `child` already.", foretold_with("room twice")),
    ],
)  # fmt: skip


LEFT_OUT = Choice(
    name="06.4", title="find the bug", right=2,
    because="Only the masked scope is asked. Head and word vectors lie outside it, trained whole, and were not kept.",
    wrong={
        0: "Child and tuned network are all that it takes, if every tensor of the network is looked at.",
        1: "An empty dict to begin with is right.",
        3: "The values themselves: right. Differences would be rounded, and parent plus difference again.",
        4: "All that was kept is handed on. Was all kept that changed?",
        5: "The fresh parent is the right thing to lay the values over.",
        6: "This loop restores all that was kept. The loss happened before.",
        7: "The same entries, the same values, in place: right.",
    },
)  # fmt: skip

STUDY = Choice(
    name="06.5", title="what the rows allow", right="C",
    because="Only the random child's interval leaves zero, one of eight; of twenty, one does so by chance.",
    wrong={
        "A": "A mean is no finding without its interval. Does that one hold zero?",
        "B": "No interval was even drawn for the difference of these two arms. And had both the same learning rate?",
        "D": "An interval that holds zero holds much else: it shows how little five pairs see.",
        "E": "That two arms are alike would take a narrow interval of their difference. How wide are these?",
    },
)  # fmt: skip

EXERCISES = [STUCK, STEP, BYTES, LEFT_OUT, STUDY]
