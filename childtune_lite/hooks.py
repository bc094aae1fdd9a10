"""How a gradient mask meets an ordinary `torch.optim` optimizer: through the hooks that PyTorch offers.

No optimizer is written again. A mask does its work when `step()` begins and tidies up when it ends; what it must
remember travels in `optimizer.state_dict()`. The two masks of the paper (`masks.BernoulliMask`, `child.Child`) both
stand on `Joint`, which also guards the ways in which a mask can get lost without a word:

- `copy.deepcopy(optimizer)` drops hooks. Each masked parameter group carries a mark, and the mark survives the copy:
  the copy's first step raises.
- The state of a masked run loaded into a plain optimizer brings the mark along: the same error.
- The state of a plain run loaded into a masked optimizer has no mask in it: `load_state_dict` raises.
"""

import functools
import weakref

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

KEY = "child_tuning"  # the name of our entry in optimizer.state_dict(), and of the mark in each parameter group


def clean_name(name: str) -> str:
    """A parameter's name without what DistributedDataParallel and torch.compile put in front of it."""
    return name.replace("_orig_mod.", "").removeprefix("module.")


def check_share(p, argument: str = "p") -> float:
    """p as a float in (0, 1]; anything else is an error, because 0 would divide by zero and train nothing."""
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 < p <= 1:
        raise ValueError(
            f"{argument}={p!r}: the share of entries to keep must be a number in (0, 1]. "
            f"{argument} is the share that stays, not the share that is dropped; 1 is plain fine-tuning."
        )
    return float(p)


def check_scope(scope) -> None:
    """A scope is asked, name by name, whether a parameter is masked; a string would only look like one."""
    if not callable(scope):
        raise ValueError(
            f"scope={scope!r}: expected a predicate on parameter names, such as lambda name: '.layer.' in name"
        )


@functools.cache
def install_guard() -> None:
    """From now on every optimizer's step first checks that no mask was lost. Called by whoever makes a mask."""
    register_optimizer_step_pre_hook(_check_mask_in_place)


def _check_mask_in_place(optimizer, args, kwargs) -> None:
    if hasattr(optimizer, "_child_tuning"):
        return
    for group in optimizer.param_groups:
        if group.get(KEY):
            raise RuntimeError(
                f"this optimizer was masked by a {group[KEY]}, and the mask is gone: hooks do not survive "
                "copy.deepcopy or load_state_dict into another optimizer. Attach the mask to this optimizer, too."
            )
        if any(hasattr(param, "child_slice") for param in group["params"]):
            raise RuntimeError(
                "this optimizer holds the compact parameters of a Child that is not attached, so nothing of the child "
                "would train. Call child.attach(optimizer) before the first step."
            )


def step_was_taken(optimizer: torch.optim.Optimizer) -> bool:
    """For a hook after the step: False when GradScaler found an infinite gradient, and a fused step did nothing."""
    found_inf = getattr(optimizer, "found_inf", None)  # set by GradScaler around the step of a fused optimizer
    return found_inf is None or not bool(found_inf)


class Joint:
    """A mask's place on one optimizer. Subclasses say what happens when a step begins and when it ends."""

    kind = "mask"

    def __init__(self, optimizer: torch.optim.Optimizer):
        # Weak: the optimizer holds us, and a cycle would keep model and moments in memory until gc runs.
        self._optimizer = weakref.ref(_check_optimizer(optimizer))
        self._hooks = [
            optimizer.register_step_pre_hook(self._on_step_begin),
            optimizer.register_step_post_hook(self._on_step_end),
            optimizer.register_state_dict_post_hook(self._on_state_dict),
            optimizer.register_load_state_dict_pre_hook(self._on_load_state_dict),
        ]
        optimizer._child_tuning = self
        for group in optimizer.param_groups:
            group[KEY] = self.kind
        install_guard()

    @property
    def optimizer(self) -> torch.optim.Optimizer | None:
        """The optimizer that this mask sits on; None when it is gone."""
        return self._optimizer()

    # ---- what a subclass fills in
    def before_step(self) -> None:
        """Gradients are ready, the optimizer has not moved yet."""

    def before_closure(self) -> None:
        """A closure is about to compute new gradients inside the step (LBFGS does so several times)."""

    def after_step(self, taken: bool) -> None:
        """The optimizer has moved, unless `taken` is False: GradScaler found an infinite gradient and skipped."""

    def state(self) -> dict:
        """What must travel in `optimizer.state_dict()`: numbers, strings and tensors only."""
        return {}

    def load_state(self, state: dict) -> None:
        """Take up a saved state, or raise a ValueError that says why it does not fit."""

    # ---- the hooks
    def _on_step_begin(self, optimizer, args, kwargs):
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            self.before_step()
            return None

        # Hooks run before step(closure) has called the closure, so there is nothing to mask yet. Hand on a closure
        # that masks what the user's one computes.
        def masked_closure():
            self.before_closure()
            loss = closure()
            self.before_step()
            return loss

        return (optimizer, masked_closure, *args[2:]), {k: v for k, v in kwargs.items() if k != "closure"}

    def _on_step_end(self, optimizer, args, kwargs) -> None:
        self.after_step(taken=step_was_taken(optimizer))

    def _on_state_dict(self, optimizer, state_dict) -> None:
        state_dict[KEY] = {"kind": self.kind, **self.state()}

    def _on_load_state_dict(self, optimizer, state_dict) -> None:
        state = state_dict.get(KEY)
        if state is None or state["kind"] != self.kind:
            found = "no mask" if state is None else f"the state of a {state['kind']}"
            raise ValueError(
                f"state_dict holds {found}, this optimizer is masked by a {self.kind}: it was saved by another kind "
                "of run. Load it into an optimizer with the same mask attached, or start from fresh moments."
            )
        self.load_state(state)

    def remove(self) -> None:
        """Take the mask off the optimizer. From then on it is an ordinary one."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if self.optimizer is None:
            return
        self.optimizer.__dict__.pop("_child_tuning", None)
        for group in self.optimizer.param_groups:
            group.pop(KEY, None)


def _check_optimizer(optimizer) -> torch.optim.Optimizer:
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(f"optimizer={type(optimizer).__name__}: expected a torch.optim.Optimizer")
    if isinstance(getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        raise ValueError(
            f"optimizer is a wrapper ({type(optimizer).__name__}) around another optimizer, and hooks on the wrapper "
            "never run. Attach the mask to the torch optimizer first, then call accelerator.prepare."
        )
    if hasattr(optimizer, "_child_tuning"):
        raise ValueError(
            f"optimizer already has a {optimizer._child_tuning.kind} attached; two masks would multiply. "
            "Remove the first one (handle.remove()), or make a new optimizer."
        )
    return optimizer
