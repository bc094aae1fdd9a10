"""Notebook 07's widget: the number of training examples, and what it does to a score and to a difference."""

from ..evidence import paired_interval
from ..plots.redrawn import example_panels
from .view import Choice, View


def fewer_examples(curves: dict[str, dict[str, dict[int, dict[int, float]]]], baseline: str = "vanilla") -> View:
    """Scores against the number of examples. `curves`: {split: {arm: {number of examples: {seed: points}}}}.

    Every arm needs the same numbers and the same seeds, the baseline's too: differences are taken in pairs.
    Raises ValueError when one is missing.
    """
    for split, arms in curves.items():
        runs = {arm: {n: sorted(seeds) for n, seeds in points.items()} for arm, points in arms.items()}
        if baseline not in runs or any(r != runs[baseline] for r in runs.values()):
            raise ValueError(
                f"curves[{split!r}] has arms with other numbers of examples or seeds than {baseline!r}: "
                "give every arm the same, or leave it out"
            )

    def draw(n: int, split: str) -> tuple:
        arms = curves[split]
        lines = [f"{n:,} training examples, {split}"]
        for arm, points in arms.items():
            values = list(points[n].values())
            line = f"{arm:10} mean {sum(values) / len(values):6.1f}, {min(values):.1f} to {max(values):.1f}"
            if arm != baseline:
                pairs = [v - arms[baseline][n][s] for s, v in points[n].items()]
                mean, low, high = paired_interval(pairs)
                line += f"; minus {baseline} {mean:+.1f}, 95% interval {low:+.1f} to {high:+.1f}"
            lines.append(line)
        return example_panels(arms, n, baseline, "points"), "\n".join(lines)

    splits = tuple(curves)
    numbers = tuple(sorted(curves[splits[0]][baseline]))
    return View(
        draw,
        {
            "n": Choice("training examples", numbers, numbers[-1], "slider"),
            "split": Choice("measured on", splits, splits[0], "buttons"),
        },
        "Left: score against the number of training examples, one line an arm, one mark a run, a band at the chosen "
        "number. Right: at that number, each arm's paired differences from the baseline with their interval.",
    )
