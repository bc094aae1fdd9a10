"""The figure of notebook 04's widget: two entries through an optimizer, step by step."""

from ..style import BLUE, BROWN, GREY, WIDTH, styled
from .canvas import canvas, place, ticks

_LOOKS = ((BLUE, "-", "o"), (BROWN, "--", "^"))
_LEFTS, _WIDTH, _HEIGHT = (0.8, 4.5), 2.8, 1.3  # inches
_PANELS = {  # what it holds, its column, and how far from the top it stands
    "m": ("m, memory of gradients", 0, 1.45),
    "v": ("v, memory of squares", 1, 1.45),
    "step": ("step, the change of the weight", 0, 3.26),
    "weight": ("weight", 1, 3.26),
}
_UNITS = [m * 10.0**e for e in range(-6, 4) for m in (1, 2, 5)]


@styled
def entry_panels(entries: dict[str, dict], title: str):
    """m, v, step and weight of two entries against the step, and above them the steps at which each was kept.

    Args:
        entries: {label: {"kept", "m", "v", "step", "weight": one value a step; "m" or "v" None where there is none}}.

    See: a stretch without marks. Does the entry move there? What does the optimizer remember of it?
    """
    fig = canvas(5.0)
    total = len(next(iter(entries.values()))["kept"])
    _draw_head(fig, entries, title, total)
    for key, (name, column, top) in _PANELS.items():
        axis = place(fig, _LEFTS[column], top, _WIDTH, _HEIGHT, name)
        axis.axhline(0, color="#CCCCCC", linewidth=0.8)
        known = [value for entry in entries.values() if entry[key] is not None for value in entry[key].tolist()]
        low, high, marks = _span(min([0.0, *known]), max([0.0, *known]))
        for entry, (color, line, marker) in zip(entries.values(), _LOOKS, strict=True):
            if entry[key] is not None:
                axis.plot(range(1, total + 1), entry[key].tolist(), color=color, linestyle=line, marker=marker,
                          markevery=10, drawstyle="steps-mid" if key == "step" else "default")  # fmt: skip
        missing = [label for label, entry in entries.items() if entry[key] is None]
        if missing:  # the lower right corner is free: what is there rises
            text = f"{missing[0]}: none" if len(missing) == 1 else f"this optimizer has no {key}"
            axis.text(0.98, 0.17, text, transform=axis.transAxes, ha="right", color=GREY)
        axis.set(xlim=(0, total + 0.5), ylim=(low, high), xlabel="step" if top > 2 else "")
        ticks(axis, (0, total // 2, total), marks)
    return fig


def _draw_head(fig, entries, title: str, total: int) -> None:
    """The title, which look is which entry, and a mark for every step at which an entry was kept; all in inches."""
    axis = place(fig, 0, 0, WIDTH, 1.15)
    axis.set_axis_off()
    axis.text(_LEFTS[0], 0.2, title, va="center", fontsize=10.5)
    unit = _WIDTH / (total + 0.5)
    for row, ((label, entry), (color, line, marker)) in enumerate(zip(entries.items(), _LOOKS, strict=True)):
        left, middle = _LEFTS[0] + 1.5 * row, 0.7 + 0.28 * row
        axis.plot((left, left + 0.2), (0.44, 0.44), color=color, linestyle=line)
        axis.plot(left + 0.1, 0.44, marker, color=color)
        axis.text(left + 0.28, 0.44, label, va="center", fontsize=9.5)
        at = [t + 1 for t, kept in enumerate(entry["kept"].tolist()) if kept]
        axis.vlines([x + unit * t for x in _LEFTS for t in at], middle - 0.1, middle + 0.1, color=color, linewidth=1.6)
    axis.text(_LEFTS[0] - 0.12, 0.84, "gradient\nkept at", ha="right", va="center", fontsize=9)
    axis.set(xlim=(0, WIDTH), ylim=(1.15, 0))


def _span(low: float, high: float) -> tuple[float, float, tuple]:
    """Limits around the data, and a few round ticks within them."""
    size = max(high - low, 1e-6)
    unit = next(value for value in _UNITS if 2.2 * value >= size)
    marks = tuple(i * unit for i in range(-3, 4) if low - 0.1 * size <= i * unit <= high + 0.1 * size)
    return low - 0.12 * size, high + 0.12 * size, marks
