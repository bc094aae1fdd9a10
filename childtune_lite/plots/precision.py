"""Figures of notebook 06: which sizes of a number a 16-bit type can hold."""

import math

from .style import BLUE, BROWN, PALE, figure, styled

SMALLEST, LARGEST = 2.0**-24, 65504.0  # of float16, above zero


@styled
def float16_window(gradient, scale: float):
    """How large the entries of a gradient are, before and after the loss is multiplied by `scale`.

    gradient: a 1-D tensor or array; zeros are left out, and what is below 1e-12 counts in the lowest bar.

    See: what lies left of the shaded window is zero in float16. The scale pushes all to the right by one amount. The
    share is on a logarithmic axis, or no tail could be seen.
    """
    import numpy as np

    sizes = np.abs(np.asarray(gradient, dtype=np.float64))
    sizes = np.log10(sizes[sizes > 0].clip(min=1e-12))
    fig, axis = figure(1, 1, 3.1)
    axis.axvspan(math.log10(SMALLEST), math.log10(LARGEST), color=PALE, alpha=0.35, linewidth=0)
    shift = math.log10(scale)
    bins = np.arange(math.floor(sizes.min()), math.ceil(sizes.max() + shift) + 0.01, 0.25)
    looks = (("as it is", 0.0, BROWN, "-"), (f"times {scale:,.0f}", shift, BLUE, "--"))
    for name, by, color, line in looks:
        counts, _ = np.histogram(sizes + by, bins)
        axis.stairs(counts / len(sizes), bins, color=color, linestyle=line, linewidth=2, label=name)
    low, high = bins[0], max(bins[-1], math.log10(LARGEST) + 0.5)
    axis.set(xlim=(low, high), yscale="log", ylim=(1e-5, 1), xlabel="size of an entry", ylabel="share of the entries")
    marks = range(math.ceil(low / 4) * 4, math.floor(high) + 1, 4)
    axis.set_xticks(list(marks), [f"$10^{{{m}}}$" for m in marks])
    middle = (math.log10(SMALLEST) + math.log10(LARGEST)) / 2
    axis.text(middle, 1.02, "what float16 can hold", transform=axis.get_xaxis_transform(), ha="center", fontsize=9)
    fig.legend(loc="outside upper center", ncols=2)
    return fig
