"""The figure of notebook 08's widget: what is learned against what is forgotten, as the child grows."""

from ..style import BLUE, BROWN, GREY, PALE, SKY, styled
from .canvas import canvas, place, ticks


@styled
def tradeoff_panels(children: dict[float, dict[int, list[dict]]], p: float, old: str, old_name: str):
    """Left: the way of the tuned network through accuracy on old and on new classes. Right: where it ends, at every p.

    Args:
        children: {p: {seed: [{"step": ..., "new": share, "old": share, ...}, one a measurement]}}.
        p: the child that is drawn in colour on the left, and has the band on the right.
        old: the key of the accuracy on old classes; `old_name` says it in words.
    """
    fig = canvas(3.35)
    left, right = place(fig, 0.75, 0.5, 2.75, 2.25), place(fig, 4.5, 0.5, 2.8, 2.25)
    whole = max(children)
    for share, color, width in ((whole, PALE, 5), (p, BLUE, 2)):
        xs, ys = _mean_way(children[share], old), _mean_way(children[share], "new")
        left.plot(xs, ys, color=color, linewidth=width, marker="o", markersize=5, label=f"p_D = {share:g}")
    steps = [row["step"] for row in next(iter(children[p].values()))]
    left.annotate(f"step {steps[0]}", (xs[0], ys[0]), (6, 7), textcoords="offset points", fontsize=9)
    ends = [way[-1] for way in children[p].values()]
    left.plot([end[old] for end in ends], [end["new"] for end in ends], linestyle="", marker="x", color=BLUE,
              label=f"seeds, step {steps[-1]}")  # fmt: skip
    left.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), xlabel=f"old digits, {old_name}", ylabel="new digits")
    ticks(left, [0, 0.5, 1], [0, 0.5, 1])
    shares = sorted(children)
    for key, label, color, marker, line in (
        ("new", "new digits", BROWN, "^", "-"), (old, f"old digits, {old_name}", GREY, "s", "--"),
    ):  # fmt: skip
        ends = [[way[-1][key] for way in children[share].values()] for share in shares]
        right.plot(range(len(shares)), [sum(e) / len(e) for e in ends], color=color, linestyle=line, linewidth=2,
                   label=label)  # fmt: skip
        for x, values in enumerate(ends):
            right.plot([x] * len(values), values, linestyle="", marker=marker, color=color, markersize=4)
    right.axvline(shares.index(p), color=SKY, linewidth=10, alpha=0.3, zorder=0)
    right.set(xlim=(-0.3, len(shares) - 0.7), ylim=(-0.06, 1.06), xlabel="p_D", ylabel=f"after step {steps[-1]}")
    ticks(right, [(k, f"{share:g}") for k, share in enumerate(shares)], [0, 0.5, 1])
    for axis, x in ((left, 0.28), (right, 0.785)):
        handles, labels = axis.get_legend_handles_labels()
        named = dict(zip(labels, handles, strict=True))  # p = 1 is drawn twice
        fig.legend(list(named.values()), list(named), loc="upper center", ncols=3, bbox_to_anchor=(x, 1.0),
                   columnspacing=1.0, handlelength=1.8)  # fmt: skip
    return fig


def _mean_way(ways: dict[int, list[dict]], key: str) -> list[float]:
    rows = list(ways.values())
    return [sum(way[k][key] for way in rows) / len(rows) for k in range(len(rows[0]))]
