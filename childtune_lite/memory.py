"""Where the bytes of a training step go: counted on a network, and foretold for any other. Taught in notebook 09.

Counted are the parts that a recipe decides: weights, gradients, AdamW's moments, and what a child brings along.
Activations come on top; they depend on batch and length, and on no recipe of ours.
"""

from collections.abc import Iterable

import torch

from .hooks import check_share

RECIPES = ("AdamW", "F", "D", "D lean")
WIDTHS = {"float32": 4, "bfloat16": 2}  # bytes a number: of weights, gradients and moments alike


def training_bytes(
    parameters: float, recipe: str, p: float = 1.0, masked: float = 1.0, outside_trains: bool = True,
    dtype: str = "float32",
) -> dict[str, int]:  # fmt: skip
    """Bytes held when the optimizer has just been handed its gradients, by part.

    Args:
        parameters: how many the network has.
        recipe: "AdamW" (plain), "F", "D", or "D lean".
        p: the child's share of the masked scope, p_D in (0, 1]. Plain AdamW and F keep everything.
        masked: the masked scope's share of the parameters.
        outside_trains: do the parameters outside the scope train whole, or are they frozen?
        dtype: of weights and gradients; AdamW keeps its moments in the same.

    Returns:
        {"weights", "gradients", "moments": AdamW's two, "child": int32 indices, compact copies, and in D (not lean) the
        room for the gathered gradient}.
    """
    if recipe not in RECIPES:
        raise ValueError(f"recipe={recipe!r}: expected one of {', '.join(RECIPES)}")
    if dtype not in WIDTHS:
        raise ValueError(f"dtype={dtype!r}: expected one of {', '.join(WIDTHS)}")
    width, scope = WIDTHS[dtype], round(check_share(masked, "masked") * parameters)
    outside = (round(parameters) - scope) * outside_trains
    chosen = round(check_share(p) * scope) if recipe.startswith("D") else scope
    held = chosen if recipe == "D lean" else scope
    child = 0
    if recipe.startswith("D"):
        child = chosen * (4 + width) + (chosen * width if recipe == "D" else 0)
    return {
        "weights": round(parameters) * width,
        "gradients": (held + outside) * width,
        "moments": 2 * (chosen + outside) * width,
        "child": child,
    }


def tensor_bytes(tensors: Iterable[torch.Tensor | None]) -> int:
    """The bytes of all these tensors; None counts as nothing."""
    return sum(t.numel() * t.element_size() for t in tensors if t is not None)


def held_bytes(model: torch.nn.Module, optimizer: torch.optim.Optimizer, child=None) -> dict[str, int]:
    """The bytes that a real training run holds, in the parts of `training_bytes`.

    Call it after a step (so that there are moments) and another backward pass (so that there are gradients).
    """
    slices = list(optimizer._child_tuning.slices) if child is not None else []
    lean = [s.compact.grad for s in slices]  # filled during backward in the lean mode only
    moments = (v for state in optimizer.state.values() for k, v in state.items() if k != "step" and torch.is_tensor(v))
    extra = [t for s in slices for t in (s.index, s.compact, s._room)]
    return {
        "weights": tensor_bytes(model.parameters()),
        "gradients": tensor_bytes([*(p.grad for p in model.parameters()), *lean]),
        "moments": tensor_bytes(moments),
        "child": tensor_bytes(extra),
    }


def saved_for_backward(model: torch.nn.Module, batch: dict) -> int:
    """The bytes of the activations that one forward pass keeps for the backward pass, weights not counted."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(**batch).loss
    del loss
    return sum(kept.values())
