"""What the widgets show, as pure functions of their settings. One file a notebook; `view.py` says what a view is."""

from .bernoulli import mask_explorer
from .training import training_progress_view
from .view import Choice, View

__all__ = ["Choice", "View", "mask_explorer", "training_progress_view"]
