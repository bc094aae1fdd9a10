"""Notebook 05's widget, the picture: a run of Child-Tuning_F as far as it has come, for any of its recorded steps."""

from ..plots.redrawn import training_progress
from .view import Choice, View

STATISTICS = ("cosine", "zeros", "norm", "std")


def statistics_table(layers: dict[str, dict[str, float]]) -> str:
    """Statistics of the masked gradient, a line a layer."""
    lines = [f"{'gradient after the mask':26}{'norm':>9}{'std':>10}{'zeros':>8}{'cosine':>8}"]
    for layer, row in sorted(layers.items(), key=lambda item: item[0] == "all"):  # the whole network last
        label = "whole network" if layer == "all" else layer
        lines.append(f"{label:26}{row['norm']:9.3f}{row['std']:10.2g}{row['zeros']:8.2f}{row['cosine']:8.2f}")
    return "\n".join(lines)


def training_progress_view(run) -> View:
    """Loss, p_F and gradient statistics of a `finetune.Run` of recipe "F", up to any recorded step.

    A frame shows a block: one recorded step and the steps up to the next one. It depends only on what had happened by
    the end of its block, so it is the same while the run goes on and afterwards.
    """
    every, result = run.record_every, run.result
    if run.mask is None or not every:
        raise ValueError(
            f"run has recipe={result.recipe!r} and record_every={every}: this view shows recipe 'F' with its gradients "
            "recorded, record_every=1 or more"
        )
    if every >= run.total:
        raise ValueError(
            f"run has record_every={every} and {run.total} steps, so one record: a player needs two. Take a smaller "
            "record_every, or more steps"
        )

    def draw(statistic: str, at: int):
        steps, records = result.steps[: at + every], result.gradients[: at // every + 1]
        figure = training_progress(steps, records, run.total, statistic)
        if not steps:
            return figure, "no step taken yet"
        mean = sum(s["loss"] for s in steps[-8:]) / len(steps[-8:])
        last = records[-1]
        head = (
            f"step {last['step']} of {run.total}: p_F = {steps[last['step']]['p']:g}; mean loss of 8 steps {mean:.2f}"
        )
        return figure, f"{head}\n{statistics_table(last['layers'])}"

    controls = {
        "statistic": Choice("statistic", STATISTICS, "cosine", "buttons"),
        "at": Choice("recorded step", tuple(range(0, run.total, every)), 0, "play"),
    }
    alt = (
        "Training loss and p_F against the step, and a heat map of one statistic of the masked gradient, layers of the "
        "network against steps."
    )
    return View(draw, controls, alt)
