"""Statistics of gradients, before and after the mask, recorded while a network trains.

What the notebooks plot and the widgets show. Reading all gradients costs about half a training step on a CPU, so it
is done at sampled steps only.
"""

import re

import torch

NUMBERED_BLOCK = re.compile(r"(?:^|\.)(?:layer|layers|h|blocks?)\.(\d+)\.")  # "bert.encoder.layer.3. ...", "h.3. ..."
STATISTICS = ("mean", "std", "norm", "zeros", "cosine")


def layer_of(name: str) -> str:
    """The layer a parameter belongs to: "layer 3" for a numbered block, else "embeddings" or "head"."""
    block = NUMBERED_BLOCK.search(name)
    if block:
        return f"layer {block[1]}"
    return "embeddings" if "embed" in name else "head"


@torch.no_grad()
def gradient_statistics(named_gradients, masked) -> dict[str, dict[str, float]]:
    """Statistics by layer, and over the whole network under "all", of the gradient as the optimizer will see it.

    Args:
        named_gradients: (name, gradient before the mask) pairs.
        masked: a function (name, gradient) -> the gradient after the mask, in the same shape.

    Returns:
        {layer: {"mean", "std", "norm": of the masked gradient; "zeros": its share of entries that are exactly 0;
        "cosine": of the angle between it and the unmasked gradient, taken over the layer as one vector}}.
    """
    sums: dict[str, torch.Tensor] = {}
    for name, grad in named_gradients:
        before, after = grad.reshape(-1).float(), masked(name, grad).reshape(-1).float()
        row = torch.stack(
            [
                torch.tensor(float(after.numel()), device=after.device),
                after.sum(),
                after.dot(after),
                (after == 0).sum().float(),
                after.dot(before),
                before.dot(before),
            ]
        ).double()
        for layer in (layer_of(name), "all"):
            sums[layer] = sums.get(layer, 0) + row
    return {layer: _describe(*row.tolist()) for layer, row in sums.items()}


def _describe(n, total, squares, zeros, dot, squares_before) -> dict[str, float]:
    mean, norms = total / n, (squares * squares_before) ** 0.5
    return {
        "mean": mean,
        "std": max(squares / n - mean**2, 0.0) ** 0.5,
        "norm": squares**0.5,
        "zeros": zeros / n,
        "cosine": dot / norms if norms else float("nan"),
    }
