"""Notebook 08's widget: the size and the choice of a child, and what is learned and forgotten with it."""

from ..plots.redrawn import tradeoff_panels
from .view import Choice, View

OLD = {"old": "tuned head", "old_back": "old head"}


def vision_tradeoff(table: dict[str, dict[float, dict[int, list[dict]]]], value: float | None = None) -> View:
    """Accuracy on new and on old classes while a child trains. It shows what was measured, and trains nothing.

    Args:
        table: {how the child was chosen: {p_D: {seed: [row, ...]}}}, a row {"step", "new", "old", "old_back"}: the
            share of the new classes that is read correctly, of the old ones, and of the old ones when the parent's
            head is put back on the tuned body.
        value: the p_D that is shown at first; None takes the smallest.

    Raises ValueError when a child lacks a p_D, a seed or a step that the others have.
    """
    runs = {
        kind: {p: {seed: [row["step"] for row in way] for seed, way in ways.items()} for p, ways in children.items()}
        for kind, children in table.items()
    }
    kinds = tuple(table)
    steps = [steps for ways in runs[kinds[0]].values() for steps in ways.values()]
    for kind in kinds:
        if runs[kind] != runs[kinds[0]] or any(s != steps[0] for s in steps) or not steps[0]:
            raise ValueError(f"table[{kind!r}] has other p_D, seeds or steps than the rest: give every child the same")

    def draw(p: float, kind: str, old: str) -> tuple:
        ways = list(table[kind][p].values())
        lines = [f"p_D = {p:g}, child: {kind}, mean of {len(ways)} seeds (least to most); old digits: {OLD[old]}"]
        for rows in zip(*ways, strict=True):
            told = [f"step {rows[0]['step']:>3}"]
            for name, key in (("new", "new"), ("old", old)):
                values = [row[key] for row in rows]
                told.append(f"{name} {sum(values) / len(values):.2f} ({min(values):.2f} to {max(values):.2f})")
            lines.append("   ".join(told))
        return tradeoff_panels(table[kind], p, old, OLD[old]), "\n".join(lines)

    shares = tuple(sorted(table[kinds[0]]))
    return View(
        draw,
        {
            "p": Choice("p_D", shares, shares[0] if value is None else value),
            "kind": Choice("child", kinds, kinds[0], "buttons"),
            "old": Choice("old digits", tuple(OLD), "old_back", "buttons", tuple(OLD.values())),
        },
        "Left: the way of the tuned network, step by step, over accuracy on old digits (across) and on new digits "
        "(up); plain fine-tuning in pale grey. Right: both accuracies after the last step, against p_D.",
    )
