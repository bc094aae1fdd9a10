"""The lean mode of a child: its gradients are gathered during backward, and each dense gradient is freed at once.

In the ordinary mode all dense gradients lie in memory when the step begins: 4 bytes an entry, of which a child of
20% uses a fifth. Here a hook runs as soon as backward has finished one parameter's gradient: the chosen entries are
added to the compact gradient, and the dense one is dropped. What is held at the step is p_D of it.

The price is that nobody but us sees the dense gradient:
- `torch.nn.utils.clip_grad_norm_(model.parameters(), ...)` sees only what trains whole. Use `child.clip_grad_norm_`.
- DistributedDataParallel averages gradients over ranks after the hook; ranks would drift apart. So it is refused.
- GradScaler looks for infinities among the chosen entries only. The others do not train.
- `optimizer.zero_grad()` clears the compact gradients; `model.zero_grad()` cannot. They are dropped after each step.

Taught in notebook 09.
"""

import weakref

import torch

from .compact import CompactJoint, Slice
from .hooks import clean_name


class LeanJoint(CompactJoint):
    """A `Child` on one optimizer, in the lean mode."""

    def __init__(self, child, optimizer: torch.optim.Optimizer):
        _refuse_ranks()
        super().__init__(child, optimizer)
        chosen = {clean_name(s.name): s for s in self.slices}
        for name, param in self.slices[0].model.named_parameters():
            if clean_name(name) in child.indices:
                param.lean_joint = weakref.ref(self)  # so that a second optimizer on this model is told
                self._hooks.append(_watch(param, chosen.get(clean_name(name)), weakref.ref(self)))

    def _take_gradient(self, piece: Slice) -> None:
        """Add what backward has just left to the compact gradient: several passes before a step add up."""
        if piece.dense.grad is None:
            return
        found = piece.gathered(piece.dense.grad)
        piece.compact.grad = found if piece.compact.grad is None else piece.compact.grad.add_(found)
        piece.dense.grad = None

    def before_step(self) -> None:
        _refuse_ranks()  # the process group may be younger than the hooks
        super().before_step()

    def remove(self) -> None:
        super().remove()
        for _, param in self.slices[0].model.named_parameters():
            param.__dict__.pop("lean_joint", None)


def _watch(dense: torch.nn.Parameter, piece: Slice | None, owner: weakref.ref):
    """Hook one dense parameter; `piece` is None where nothing was chosen, and its gradient is only dropped.

    The hook lives on the parameter, so it must neither keep the optimizer alive nor outlive it.
    """
    kept = None if piece is None else weakref.ref(piece)  # the joint keeps it; we would close a cycle

    @torch.no_grad()
    def when_accumulated(param) -> None:
        joint = owner()
        if joint is None:
            return
        if kept is not None:
            joint._follow(kept())  # the model may have moved to another device since
            joint._take_gradient(kept())
        param.grad = None

    return dense.register_post_accumulate_grad_hook(when_accumulated)


def _refuse_ranks() -> None:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        raise ValueError(
            f"lean=True in a group of {distributed.get_world_size()} processes: the lean mode sees each rank's own "
            "gradients before they are averaged, so the replicas would drift apart. Attach with lean=False."
        )
