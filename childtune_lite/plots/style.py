"""One look for all figures: a palette safe for colour blindness, one size, one font, alt text with every one."""

import base64
import functools
import io

# After Okabe and Ito's palette for colour-blind readers. All but blue, pink and grey are darker than theirs, so that a
# line in any of them stands out from white by 3 to 1 (tests/test_palette.py measures this, and how far they differ).
BLUE, ORANGE, GREEN, PINK, SKY, BROWN, GREY = (
    "#0072B2",
    "#C98500",
    "#008A5A",
    "#CC79A7",
    "#3A98D0",
    "#C04A00",
    "#666666",
)
# One colour, marker and line style a recipe, so that colour never carries the meaning alone.
RECIPE_STYLE = {
    "vanilla": {"color": GREY, "marker": "o", "linestyle": "-"},
    "F": {"color": BLUE, "marker": "s", "linestyle": "--"},
    "D": {"color": BROWN, "marker": "^", "linestyle": "-."},
    "vanilla_sqrt_p": {"color": SKY, "marker": "v", "linestyle": ":"},
    "D_random": {"color": ORANGE, "marker": "D", "linestyle": ":"},
    "D_lowest": {"color": PINK, "marker": "x", "linestyle": ":"},
    "head_only": {"color": GREEN, "marker": "+", "linestyle": ":"},
    "vanilla_slower": {"color": GREY, "marker": "<", "linestyle": ":"},
    "D_per_batch": {"color": BROWN, "marker": ">", "linestyle": ":"},
    "bitfit": {"color": GREEN, "marker": "*", "linestyle": "--"},
    "lora": {"color": SKY, "marker": "P", "linestyle": "--"},
    "mixout": {"color": ORANGE, "marker": "X", "linestyle": "-."},
    "decay_to_parent": {"color": PINK, "marker": "d", "linestyle": "-."},
}
_SPARE_STYLE = {"color": PINK, "marker": "*", "linestyle": "-"}
MARKERS = "so^Dvx"  # in the order in which series take them
PALE = "#B8B8B8"  # for what is only context
DIVERGING, SEQUENTIAL = "RdBu_r", "cividis"  # colour maps: signed values, amounts
WIDTH = 7.5  # inches: 750 pixels at DPI, what a notebook's column shows without shrinking
DPI = 100
_RC = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "figure.titlesize": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "lines.markersize": 5,
    "legend.frameon": False,
}


def recipe_style(recipe: str) -> dict:
    """How a recipe is drawn; an arm that has no look of its own gets the spare one."""
    return RECIPE_STYLE.get(recipe, _SPARE_STYLE)


def styled(draw):
    """Decorate a plot function: everything it creates gets the house style, and nobody's global settings change."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        import matplotlib as mpl

        with mpl.rc_context(_RC):
            return draw(*args, **kwargs)

    return wrapper


@styled
def figure(rows: int = 1, columns: int = 1, height: float = 3.0, **kwargs):
    """A new figure of the house width, and its axes as `plt.subplots` gives them. Use it inside a `styled` function.

    Built without pyplot, so nothing is left open in a global list and a widget can draw as many as it likes.
    """
    from matplotlib.figure import Figure

    fig = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    return fig, fig.subplots(rows, columns, **kwargs)


@styled
def png(fig, quick: bool = False) -> bytes:
    """The figure as PNG bytes; `quick` makes them sooner, and a third more of them."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, pil_kwargs={"compress_level": 1 if quick else 6})
    return buffer.getvalue()


def show(fig, alt: str) -> None:
    """Display a figure with its description: alt text for a screen reader, plain text where no picture can be shown."""
    from IPython.display import display

    picture = base64.b64encode(png(fig)).decode()
    display({"image/png": picture, "text/plain": f"[Figure] {alt}"}, raw=True, metadata={"image/png": {"alt": alt}})
