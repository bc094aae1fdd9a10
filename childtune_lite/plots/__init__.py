"""Figures: pure functions, data in, matplotlib `Figure` out. One file a notebook; the common look is in `style.py`."""

from .bernoulli import (
    mask_against_p,
    mask_by_layer,
    mask_cosines,
    mask_grids,
    mask_histograms,
    mask_running_average,
    mask_variances,
)
from .child import child_map, child_matrices, child_overlaps, keep_rates
from .comparison import detectable_curve, detectable_difference, gains_by_task, paired_interval, paired_runs
from .drawing import idea, readme_figure
from .fisher import (
    fisher_batch_sizes,
    fisher_chosen,
    fisher_curvature,
    fisher_histogram,
    fisher_two_counts,
)
from .mask_numbers import effective_entries, mask_statistics, mask_statistics_table
from .optimizers import drift_against_p, paired_arms, scale_cancels, trained_shares
from .precision import float16_window
from .scaling import bytes_by_part, step_ratios
from .start import gains, moved_entries, one_minute
from .study import arm_scores, layer_bars, loss_along, paired_forest
from .style import show
from .training import gradient_lines, gradient_maps, training_curves
from .updates import (
    escape_against_p,
    escape_curves,
    gradient_grids,
    landscape_walkers,
    update_clouds,
    update_variances,
)
from .vision import digit_patches, filters_before_after, patch_maps, vit_child, vit_part, vit_shares

__all__ = [
    "arm_scores",
    "bytes_by_part",
    "child_map",
    "child_matrices",
    "child_overlaps",
    "detectable_curve",
    "detectable_difference",
    "digit_patches",
    "drift_against_p",
    "effective_entries",
    "escape_against_p",
    "escape_curves",
    "filters_before_after",
    "fisher_batch_sizes",
    "fisher_chosen",
    "fisher_curvature",
    "fisher_histogram",
    "fisher_two_counts",
    "float16_window",
    "gains",
    "gains_by_task",
    "gradient_grids",
    "gradient_lines",
    "gradient_maps",
    "idea",
    "keep_rates",
    "landscape_walkers",
    "layer_bars",
    "loss_along",
    "mask_against_p",
    "mask_by_layer",
    "mask_cosines",
    "mask_grids",
    "mask_histograms",
    "mask_running_average",
    "mask_statistics",
    "mask_statistics_table",
    "mask_variances",
    "moved_entries",
    "one_minute",
    "paired_arms",
    "paired_forest",
    "paired_interval",
    "paired_runs",
    "patch_maps",
    "readme_figure",
    "scale_cancels",
    "show",
    "step_ratios",
    "trained_shares",
    "training_curves",
    "update_clouds",
    "update_variances",
    "vit_child",
    "vit_part",
    "vit_shares",
]
