"""The idea in one drawing: for notebook 00, and for the README.

The README's picture is made from the repository's root by this line:

    python -c "import childtune_lite as ct; ct.plots.readme_figure().savefig('notebooks/results/idea.png', dpi=120)"
"""

import itertools

import numpy as np

from .style import BROWN, DIVERGING, GREY, PALE, RECIPE_STYLE, SEQUENTIAL, SKY, figure, styled

# One layer of three inputs and three outputs: small enough to multiply in the head. Entry [row, column] belongs to the
# line from input `column` to output `row`. With p = 1/3 the three kept entries are multiplied by 3.
GRADIENT = np.array([[0.2, -0.1, 0.3], [-0.4, 0.1, -0.2], [0.1, 0.3, -0.1]])
F_MASKS = tuple(
    np.array(m)
    for m in ([[1, 0, 0], [0, 0, 1], [0, 1, 0]], [[0, 1, 0], [1, 0, 0], [0, 0, 0]], [[0, 0, 1], [0, 1, 0], [1, 1, 0]])
)
SCORES = np.array([[0.1, 0.2, 0.9], [0.8, 0.1, 0.3], [0.2, 0.7, 0.1]])
LAST_LAYER = np.array([[0, 1, 0], [1, 0, 0]])  # the part of the child that lies in the drawing's second layer
PARENT_AND_CHILD = ("every weight is used:\nthe parent network", "only some are updated:\nthe child network")


def top_mask(scores, k):
    """0/1 mask of the k highest scores: what Child-Tuning_D keeps."""
    order = np.argsort(-scores, axis=None, kind="stable")
    mask = np.zeros(scores.size, dtype=int)
    mask[order[:k]] = 1
    return mask.reshape(scores.shape)


@styled
def idea():
    """What child-tuning changes about fine-tuning.

    Above, ordinary fine-tuning: forward through every weight, then an update to every weight. Below, child-tuning:
    the forward pass is the same, but a mask lets only the child's entries of the gradient (thick lines, cells with
    a 1) reach the optimizer. At the bottom, the two ways to choose the mask.
    """
    fig, ax = _canvas(638)
    _headings(ax, 626)
    _row(ax, 412, "Ordinary fine-tuning", None, ("every weight is used", "every weight is updated"))
    _row(ax, 200, "Child-tuning", F_MASKS[0], PARENT_AND_CHILD)
    _two_ways(ax, 0)
    return fig


@styled
def readme_figure():
    """Child-tuning in one picture: the lower half of `idea`, for the README."""
    fig, ax = _canvas(426)
    _headings(ax, 414)
    _row(ax, 200, "Child-tuning", F_MASKS[0], PARENT_AND_CHILD)
    _two_ways(ax, 0)
    return fig


def _canvas(height):
    fig, ax = figure(height=height / 100)
    fig.set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    ax.set(xlim=(0, 750), ylim=(0, height))
    ax.axis("off")
    return fig, ax


def _headings(ax, y):
    for x, text in ((95, "Forward pass"), (272, "Backward pass"), (556, "The gradient of the first layer")):
        ax.text(x, y, text, ha="center", va="center", fontsize=10.5, weight="bold")


def _box(ax, x, y, width, height, **kwargs):
    from matplotlib.patches import FancyBboxPatch

    shape = f"round,pad=0,rounding_size={kwargs.pop('rounding', 10)}"
    return ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, **kwargs))


def _arrow(ax, start, end, **kwargs):
    style = {"arrowstyle": "-|>,head_length=0.5,head_width=0.25", "shrinkA": 0, "shrinkB": 0} | kwargs
    ax.annotate("", end, start, arrowprops=style)


def _row(ax, y, name, mask, captions):
    """One kind of fine-tuning: the network forward, the network backward, and what happens to the gradient."""
    _box(ax, 6, y, 738, 202, facecolor="#F7F8FA", edgecolor="#D5D9E0")
    ax.text(20, y + 185, name, ha="left", va="center", fontsize=11.5, weight="bold")
    everything = [np.ones((3, 3)), np.ones((2, 3))]
    _network(ax, 32, y + 52, everything, "#3D3D3D", 1.3)
    _network(ax, 209, y + 52, everything if mask is None else [mask, LAST_LAYER], BROWN, 2.4)
    _arrow(ax, (45, y + 168), (145, y + 168), color="#3D3D3D", lw=1.5)
    _arrow(ax, (322, y + 168), (222, y + 168), color=BROWN, lw=1.5)
    for x, caption in zip((95, 272), captions, strict=True):
        ax.text(x, y + 25, caption, ha="center", va="center", fontsize=9)
    if mask is None:
        _grid(ax, 372, y + 58, GRADIENT, "gradient")
        _arrow(ax, (476, y + 103), (548, y + 103), color=BROWN, lw=1.5)
        ax.text(558, y + 103, "all of it goes\nto the optimizer", ha="left", va="center", fontsize=10)
    else:
        p = mask.mean()
        _grid(ax, 372, y + 58, GRADIENT, "gradient")
        ax.text(476, y + 103, "×", ha="center", va="center", fontsize=14)
        _grid(ax, 490, y + 58, mask, "gradient mask", kind="mask")
        ax.text(612, y + 103, "÷ p  =", ha="center", va="center", fontsize=10.5)
        _grid(ax, 644, y + 58, GRADIENT * mask / p, "to the optimizer", hide=mask == 0)
        note = f"p is the share that is kept, here {mask.sum()} of {mask.size}\n(F divides by it, D does not)"
        ax.text(553, y + 25, note, ha="center", va="center", fontsize=9)


def _network(ax, x, y, layers, color, width):
    """Three, three and two units. A line is thick and solid where its entry in `layers` is 1, else thin and dotted."""
    heights = (100, 50, 0), (100, 50, 0), (75, 25)
    columns = [[(x + 63 * i, y + height) for height in column] for i, column in enumerate(heights)]
    for layer, (sources, targets) in zip(layers, itertools.pairwise(columns), strict=True):
        for (row, column), on in np.ndenumerate(layer):
            xs, ys = zip(sources[column], targets[row], strict=True)
            style = {"color": color, "lw": width, "ls": "-"} if on else {"color": PALE, "lw": 1.0, "ls": ":"}
            ax.plot(xs, ys, zorder=2 + bool(on), solid_capstyle="round", **style)
    xs, ys = zip(*[unit for column in columns for unit in column], strict=True)
    ax.plot(xs, ys, "o", ms=12, mfc="white", mec="#3D3D3D", mew=1.4, zorder=5)


def _grid(ax, x, y, values, title, kind="signed", hide=None, cell=30, label=True):
    """A small matrix, its numbers in the cells. kind: "signed", "mask" (0 is hatched) or "score"."""
    import matplotlib as mpl
    from matplotlib.patches import Rectangle

    rows = len(values)
    for (row, column), value in np.ndenumerate(values):
        place, off = (x + cell * column, y + cell * (rows - 1 - row)), False
        if kind == "mask":
            off = not value
            color, text = ("#EFEFEF", "0") if off else (SKY, "1")
        elif kind == "score":
            color, text = mpl.colormaps[SEQUENTIAL](0.15 + 0.8 * value), ""
        else:
            off = hide is not None and bool(hide[row, column])
            color = "#EFEFEF" if off else mpl.colormaps[DIVERGING](0.5 + value * 0.28)
            text = "0" if off else f"{value:.1f}"
        ax.add_patch(
            Rectangle(place, cell, cell, facecolor=color, edgecolor="#C4C4C4" if off else "white", lw=0 if off else 1.2,
                      hatch="////" if off else None)
        )  # fmt: skip
        if label:
            back = {"boxstyle": "round,pad=0.12", "fc": "#EFEFEF", "ec": "none"} if off else None
            dark = kind == "signed" and not off and abs(value) > 1.1
            ax.text(place[0] + cell / 2, place[1] + cell / 2, text, ha="center", va="center", fontsize=9, bbox=back,
                    color="white" if dark else GREY if off else "black")  # fmt: skip
    ax.add_patch(Rectangle((x, y), cell * values.shape[1], cell * rows, fill=False, edgecolor="#8A8A8A", lw=0.8))
    ax.text(x + cell * values.shape[1] / 2, y + cell * rows + 10, title, ha="center", va="center", fontsize=9)


def _two_ways(ax, y):
    """The two ways to choose the mask, over three steps."""
    boxes = (
        (
            6,
            "F",
            "task-free",
            "A coin for every entry, at every step:\nkept with probability p_F, then divided by p_F.",
        ),
        (
            379,
            "D",
            "task-driven",
            "The entries with the highest Fisher information\n(bright) on the task, chosen once, before training.",
        ),
    )
    left = {"ha": "left", "va": "center"}
    for x, recipe, kind, text in boxes:
        color = RECIPE_STYLE[recipe]["color"]
        _box(ax, x, y + 6, 365, 184, facecolor="white", edgecolor=color, lw=1.6, ls=RECIPE_STYLE[recipe]["linestyle"])
        ax.text(x + 14, y + 172, f"Child-Tuning_{recipe}", fontsize=11.5, weight="bold", color=color, **left)
        ax.text(x + 351, y + 172, kind, ha="right", va="center", fontsize=10, style="italic")
        ax.text(x + 14, y + 32, text, fontsize=9.5, linespacing=1.35, **left)
        chosen = top_mask(SCORES, 3)
        for step in range(3):
            mask = F_MASKS[step] if recipe == "F" else chosen
            at = x + 40 + 106 * step if recipe == "F" else x + 112 + 84 * step
            _grid(ax, at, y + 66, mask, f"step {step + 1}", kind="mask", cell=24)
    _grid(ax, 393, y + 66, SCORES, "scores", kind="score", cell=24, label=False)
    _arrow(ax, (467, y + 102), (488, y + 102), color=GREY, lw=1.3)
