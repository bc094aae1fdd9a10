"""What the widgets show, as pure functions of their settings. One file a notebook; `view.py` says what a view is."""

from .bernoulli import mask_explorer
from .view import Choice, View

__all__ = ["Choice", "View", "mask_explorer"]
