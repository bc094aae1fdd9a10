"""Figures that a widget draws anew whenever a control moves: placed by hand, few ticks, so that a redraw is quick."""

from .bernoulli import mask_panels
from .training import training_progress

__all__ = ["mask_panels", "training_progress"]
