"""Figures that a widget draws anew whenever a control moves: placed by hand, few ticks, so that a redraw is quick."""

from .bernoulli import mask_panels
from .child import child_panels
from .examples import example_panels
from .optimizers import entry_panels
from .scaling import memory_bars
from .training import training_progress
from .updates import cloud_panels, walk_panels
from .vision import tradeoff_panels

__all__ = [
    "child_panels",
    "cloud_panels",
    "entry_panels",
    "example_panels",
    "mask_panels",
    "memory_bars",
    "tradeoff_panels",
    "training_progress",
    "walk_panels",
]
