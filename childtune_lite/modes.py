"""Training mode and evaluation mode: set for a while, and put back for every part of a network, whatever happens."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def in_mode(model: torch.nn.Module, training: bool = False) -> Iterator[None]:
    """Inside, the whole model is in evaluation mode (or training mode); outside, each module is as it was.

    `model.train(was)` would not do: parts may have had a mode of their own, such as a frozen block kept in evaluation.
    """
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode
