"""Notebook 09's widget: what a training step holds in memory, for networks of any size."""

from ..memory import RECIPES, training_bytes
from ..plots.redrawn import memory_bars
from .view import Choice, View

# (parameters, share inside the encoder's blocks): counted on the network itself, on BERT-large's from notebook 04's
# configuration, on BERT-base's (uncased) from its own; for the two largest everything counts as inside.
NETWORKS = {
    "this parent": (22_713_986, 0.469),
    "BERT-base": (109_483_778, 0.777),
    "BERT-large": (333_581_314, 0.906),
    "1 billion": (1_000_000_000, 1.0),
    "7 billion": (7_000_000_000, 1.0),
}


def _draw(network: str, p: float, outside: str, dtype: str) -> tuple:
    parameters, masked = NETWORKS[network]
    rows = {r: training_bytes(parameters, r, p, masked, outside == "train", dtype) for r in RECIPES}
    lines = [f"{parameters:,} parameters, {masked:.1%} of them masked, p_D = {p:g}, {dtype}; GiB without activations"]
    lines.append(f"{'':8}" + "".join(f"{part:>11}" for part in (*rows["D"], "total")))
    for recipe, row in rows.items():
        sizes = [*row.values(), sum(row.values())]
        lines.append(f"{recipe:8}" + "".join(f"{size / 2**30:11.3f}" for size in sizes))
    return memory_bars(rows), "\n".join(lines)


def memory_calculator() -> View:
    """Weights, gradients, moments and the child, for plain AdamW, F, D and lean D."""
    return View(
        _draw,
        {
            "network": Choice("network", tuple(NETWORKS), "this parent", "buttons"),
            "p": Choice("p_D", (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0), 0.2),
            "outside": Choice("outside the blocks", ("train", "frozen"), "train", "buttons"),
            "dtype": Choice("numbers", ("float32", "bfloat16"), "float32", "buttons"),
        },
        "Four stacked bars, AdamW, F, D and lean D: gibibytes of weights, gradients, AdamW's moments and the child.",
    )
