"""A figure whose axes are placed by hand.

Automatic layout, minor ticks and formulas in titles each take longer than the data of a small figure. A widget redraws
at every move of a control, so these figures do without: places in inches, a handful of ticks, plain text.
"""

from ..style import DPI, WIDTH


def canvas(height: float):
    """An empty figure of the house width. Use it inside a `styled` function."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), dpi=DPI)


def place(fig, left: float, top: float, width: float, height: float, title: str = ""):
    """Axes in a figure, measured in inches from its upper left corner; the title stands above."""
    whole_width, whole_height = fig.get_size_inches()
    axis = fig.add_axes(
        (left / whole_width, 1 - (top + height) / whole_height, width / whole_width, height / whole_height)
    )
    if title:
        axis.set_title(title, loc="left", pad=5)
    return axis


def ticks(axis, x=(), y=()) -> None:
    """Set the few ticks there are: numbers, or (place, text) pairs."""
    for marks, set_ticks in ((x, axis.set_xticks), (y, axis.set_yticks)):
        pairs = [mark if isinstance(mark, tuple) else (mark, f"{mark:g}") for mark in marks]
        set_ticks([where for where, _ in pairs], [text for _, text in pairs])
