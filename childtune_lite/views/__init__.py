"""What the widgets show, as pure functions of their settings. One file a notebook; `view.py` says what a view is."""

from .bernoulli import mask_explorer
from .child import child_on_the_map
from .examples import fewer_examples
from .optimizers import two_entries
from .scaling import memory_calculator
from .training import training_progress_view
from .updates import update_cloud
from .view import Choice, View
from .vision import vision_tradeoff
from .walks import escape_walk

__all__ = [
    "Choice",
    "View",
    "child_on_the_map",
    "escape_walk",
    "fewer_examples",
    "mask_explorer",
    "memory_calculator",
    "training_progress_view",
    "two_entries",
    "update_cloud",
    "vision_tradeoff",
]
