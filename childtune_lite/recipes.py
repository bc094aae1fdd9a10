"""The recipes by name: how each one sets up the optimizer for one training run.

Every recipe gets the same model, data order, schedule and number of steps. Only what trains, and how its gradient is
masked, differs. So a difference between two runs of the same seed is due to the recipe.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch

from . import neighbours
from .child import Child
from .fisher import ESTIMATORS, encoder_scope, fisher_scores
from .hooks import check_share, clean_name
from .masks import BernoulliMask


@dataclass
class Arm:
    """One recipe, set up: the optimizer, what it sees of a gradient, and which share of the network trains."""

    optimizer: torch.optim.Optimizer
    masked: Callable[[str, torch.Tensor], torch.Tensor]
    trained_share: float
    child: Child | None = None
    mask: BernoulliMask | None = None


@dataclass
class Setting:
    """What a recipe may use. `scope` None: F masks all parameters, D the encoder's blocks, as in the released code."""

    p: float
    lr: float
    weight_decay: float
    seed: int
    estimator: str
    scope: Callable[[str], bool] | None
    scoring_batches: Iterable[dict]


def _adamw(named: Iterable[tuple[str, torch.nn.Parameter]], s: Setting, lr: float | None = None):
    """AdamW with weight decay on matrices only: not on biases and LayerNorms, as is usual for these networks."""
    decayed, plain = [], []
    for name, param in named:
        bare = name.endswith("bias") or "norm" in name.lower()
        (plain if bare else decayed).append((clean_name(name), param))
    groups = [{"params": decayed, "weight_decay": s.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=s.lr if lr is None else lr, fused=True)


def _whole(name: str, gradient: torch.Tensor) -> torch.Tensor:
    return gradient


def vanilla(model, s: Setting) -> Arm:
    """Plain fine-tuning of every weight."""
    return Arm(_adamw(model.named_parameters(), s), _whole, 1.0)


def vanilla_sqrt_p(model, s: Setting) -> Arm:
    """Plain fine-tuning at lr * sqrt(p): the control for F, whose mask slows the drift of Adam by about that factor."""
    return Arm(_adamw(model.named_parameters(), s, s.lr * s.p**0.5), _whole, 1.0)


def task_free(model, s: Setting) -> Arm:
    """Child-Tuning_F: a fresh Bernoulli mask at every step."""
    optimizer, mask = _adamw(model.named_parameters(), s), BernoulliMask(s.p, s.seed, s.scope)
    mask.attach(optimizer, model)
    return Arm(optimizer, mask.masked, 1.0, mask=mask)


def _with_child(choose: Callable) -> Callable:
    def set_up(model, s: Setting) -> Arm:
        scores = fisher_scores(model, s.scoring_batches, s.estimator, s.scope or encoder_scope)
        child = choose(scores, s)
        optimizer = _adamw(child.named_parameters(model), s)
        child.attach(optimizer)
        return Arm(optimizer, child.masked, child.trained_share(model), child=child)

    return set_up


def head_only(model, s: Setting) -> Arm:
    """Only what is outside `model.base_model` trains; the parent is frozen."""
    names = neighbours.head_names(model)
    return _part(model, s, neighbours.freeze_all_but(model, names.__contains__))


def _part(model, s: Setting, named: list[tuple[str, torch.nn.Parameter]]) -> Arm:
    """Only these parameters train; the share is that of the network as it is now, with what was added to it."""
    share = sum(p.numel() for _, p in named) / sum(p.numel() for p in model.parameters())
    return Arm(_adamw(named, s), _whole, share)


def decay_to_parent(model, s: Setting) -> Arm:
    """Weight decay that pulls toward the parent instead of toward zero."""
    arm = Arm(_adamw(model.named_parameters(), replace(s, weight_decay=0.0)), _whole, 1.0)
    neighbours.pull_to_parent(arm.optimizer, model)
    return arm


RECIPES: dict[str, Callable] = {
    "vanilla": vanilla,
    "vanilla_sqrt_p": vanilla_sqrt_p,
    "F": task_free,
    "D": _with_child(lambda scores, s: Child.top(scores, s.p)),  # Child-Tuning_D
    "D_random": _with_child(lambda scores, s: Child.random(scores, s.p, s.seed)),
    "D_lowest": _with_child(lambda scores, s: Child.bottom(scores, s.p)),
    "head_only": head_only,
    "bitfit": lambda model, s: _part(model, s, neighbours.bitfit(model)),
    "lora": lambda model, s: _part(model, s, neighbours.lora(model, s.seed)),
    "mixout": lambda model, s: Arm(_adamw(neighbours.mixout(model, s.p, s.seed), s), _whole, 1.0),
    "decay_to_parent": decay_to_parent,
}


def set_up(recipe: str, model, setting: Setting) -> Arm:
    """The named recipe on this model. An unknown name is an error: nothing falls back to training in full."""
    if recipe not in RECIPES:
        raise ValueError(f"recipe={recipe!r}: expected one of {', '.join(RECIPES)}")
    if setting.estimator not in ESTIMATORS:
        raise ValueError(f"estimator={setting.estimator!r}: expected one of {', '.join(ESTIMATORS)}")
    check_share(setting.p)
    if isinstance(setting.seed, bool) or not isinstance(setting.seed, int):
        raise ValueError(f"seed={setting.seed!r}: expected an int")
    return RECIPES[recipe](model, setting)
