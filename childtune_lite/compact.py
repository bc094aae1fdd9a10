"""Train chosen entries only, through small copies: how a `Child` meets an optimizer.

The optimizer holds, for each masked parameter, one 1-D tensor with just the chosen entries (the *compact* copy), so
its moments are as small as the child. The model keeps its whole (*dense*) tensors, and backward fills their
gradients. When a step begins, the chosen entries of the dense gradient are gathered into the compact one; the
optimizer moves the compact copy; then it is written back. An entry outside the child is never touched: not by
momentum, not by weight decay.

Between steps the dense parameters stand in the optimizer's groups, next to their copies, so that `zero_grad`,
gradient clipping, GradScaler's unscaling and its search for infinities see the gradients where they are. During a
step they are taken out, so that the optimizer neither moves them nor keeps state for them.

Taught in notebook 09.
"""

import gc
import weakref

import torch

from .hooks import Joint, clean_name


class Slice:
    """The chosen entries of one dense parameter, and their compact copy."""

    def __init__(self, child, model: torch.nn.Module, name: str, dense: torch.nn.Parameter, index: torch.Tensor):
        refuse_shards(name, dense)
        self.child, self.model, self.name, self.dense = child, model, name, dense
        self.index = index.to(dense.device)
        self.compact = torch.nn.Parameter(self._gather(dense.detach()), requires_grad=True)
        self.compact.child_slice = lambda: self  # so that attach, and the guard in hooks.py, know what this tensor is
        self._room = None  # for the compact gradient
        self._remember()

    def replaced(self) -> bool:
        """Is the model's parameter of this name no longer the tensor that we know? (`get_parameter` asks slower.)"""
        module = self.model
        *path, leaf = self.name.split(".")
        for part in path:
            module = module._modules.get(part)
            if module is None:
                return True
        return module._parameters.get(leaf) is not self.dense

    def _gather(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.reshape(-1).index_select(0, self.index)

    def gathered(self, grad: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """The chosen entries of a dense gradient."""
        if grad.layout != torch.strided:
            raise ValueError(f"the gradient of {self.name!r} is sparse; a child needs a dense one (sparse=False)")
        return torch.index_select(grad.detach().reshape(-1), 0, self.index, out=out)

    def gather_gradient(self) -> None:
        """They become the compact gradient, in memory that is kept for the next step: fresh memory costs time."""
        grad = self.dense.grad
        if grad is None:
            self.compact.grad = None
            return
        if self._room is None or (self._room.dtype, self._room.device) != (grad.dtype, grad.device):
            self._room = grad.new_empty(self.index.shape)
        self.compact.grad = self.gathered(grad, self._room)

    def write_back(self, room: torch.Tensor) -> None:
        """Put the compact values in their places in the dense parameter. `room`: int64, at least as long as they."""
        data = self.dense.detach()
        flat = data.reshape(-1)  # a view where memory allows, else a copy to be written back
        index = room[: self.index.numel()].copy_(self.index)  # index_copy_ takes no int32
        flat.index_copy_(0, index, self.compact.detach())
        if flat.data_ptr() != data.data_ptr():
            data.copy_(flat.view_as(data))
        self._remember()

    def _remember(self) -> None:
        self._seen = self.dense._version, self.dense.data_ptr()

    def changed_outside(self) -> bool:
        """Has anybody written to the dense parameter, or moved it, since our last write-back?"""
        return self._seen != (self.dense._version, self.dense.data_ptr())

    def refresh(self) -> None:
        """Take the dense values over: a change from outside wins. Follows a move to another device or dtype."""
        self.index = self.index.to(self.dense.device)
        self.compact.data = self._gather(self.dense.detach())
        self._remember()


class CompactJoint(Joint):
    """A `Child` on one optimizer."""

    kind = "Child"

    def __init__(self, child, optimizer: torch.optim.Optimizer):
        self.child = child
        self.slices = _find_slices(child, optimizer)
        super().__init__(optimizer)
        self._add_dense_parameters()
        for s in self.slices:
            s.compact.child_slice = weakref.ref(s)  # we keep it from here on; a cycle would keep all until gc runs

    def _add_dense_parameters(self) -> None:
        """Into the group of its compact copy; a parameter of which nothing was chosen into the first such group."""
        group_of = {id(p): group for group in self.optimizer.param_groups for p in group["params"]}
        home = {s.name: group_of[id(s.compact)] for s in self.slices}
        model, fallback = self.slices[0].model, next(iter(home.values()))
        self._dense = set()
        for name, param in model.named_parameters():
            if clean_name(name) in self.child.indices:
                group = home.get(name, fallback)
                group["params"].append(param)
                if "param_names" in group:
                    group["param_names"].append(f"{name} (dense)")
                self._dense.add(id(param))

    def _show_dense(self, visible: bool) -> None:
        """Take the dense parameters out of the groups for the length of a step, or put them back."""
        for group in self.optimizer.param_groups:
            params = group["params"]  # changed in place: LBFGS keeps this very list
            if visible and "_dense" in group:
                params.extend(group.pop("_dense"))
            elif not visible and "_dense" not in group:
                group["_dense"] = [p for p in params if id(p) in self._dense]
                params[:] = [p for p in params if id(p) not in self._dense]

    def _follow_model(self) -> None:
        """Weights changed or moved from outside win over our copies; a replaced parameter is an error."""
        for s in self.slices:
            if s.replaced():
                raise RuntimeError(
                    f"parameter {s.name!r} of the model is another object than when the child was attached "
                    "(load_state_dict(assign=True) replaces them): make a new optimizer and attach the child again"
                )
            self._follow(s)

    def _follow(self, s: Slice) -> None:
        if s.changed_outside():
            s.refresh()
            self._move_state(s.compact)

    def _move_state(self, compact: torch.nn.Parameter) -> None:
        """The moments follow to another device; a step count stays on the CPU unless the optimizer wants it along."""
        count_along = any(group.get("fused") or group.get("capturable") for group in self.optimizer.param_groups)
        state = self.optimizer.state.get(compact, {})
        for key, value in state.items():
            if torch.is_tensor(value) and (value.dim() or count_along):
                state[key] = value.to(compact.device)

    @torch.no_grad()
    def before_step(self) -> None:
        self._show_dense(True)  # a step that failed half-way may have left them out
        self._follow_model()
        for s in self.slices:
            self._take_gradient(s)
        self._show_dense(False)

    def _take_gradient(self, s: Slice) -> None:
        s.gather_gradient()

    @torch.no_grad()
    def before_closure(self) -> None:
        in_step = any("_dense" in group for group in self.optimizer.param_groups)
        if in_step:  # a second call within one step: the loss must be computed with the weights as they are now
            self._finish()

    @torch.no_grad()
    def after_step(self, taken: bool) -> None:
        self._finish()

    def _finish(self) -> None:
        rooms = {}  # one a device, for one tensor's indices at a time
        for s in self.slices:
            device = s.index.device
            if device not in rooms:
                longest = max(other.index.numel() for other in self.slices)
                rooms[device] = torch.empty(longest, dtype=torch.int64, device=device)
            s.write_back(rooms[device])
            s.compact.grad = None
        self._show_dense(True)

    def state(self) -> dict:
        shapes = {name: list(shape) for name, shape in self.child.shapes.items()}
        return {"indices": {name: i.cpu() for name, i in self.child.indices.items()}, "shapes": shapes}

    def load_state(self, state: dict) -> None:
        indices, mine = state["indices"], self.child.indices
        if set(indices) != set(mine) or not all(torch.equal(indices[n].cpu(), mine[n].cpu()) for n in mine):
            raise ValueError(
                "state_dict was saved with another child: its moments belong to other entries. Attach "
                "Child.from_state_dict(state_dict) before loading, or start from fresh moments."
            )

    def remove(self) -> None:
        """Take the child off the optimizer, which then cannot train it: its compact copies get no gradients."""
        super().remove()
        if self.optimizer is None:
            return
        self._show_dense(True)
        for s in self.slices:
            s.compact.child_slice = lambda s=s: s
        for group in self.optimizer.param_groups:
            keep = [i for i, p in enumerate(group["params"]) if id(p) not in self._dense]
            if "param_names" in group:
                group["param_names"] = [group["param_names"][i] for i in keep]
            group["params"][:] = [group["params"][i] for i in keep]


def refuse_shards(name: str, param: torch.Tensor) -> None:
    """A shard's flat index is not the whole parameter's, so a child of the whole would train other entries."""
    if hasattr(param, "placements"):  # a DTensor, without the cost of importing that class
        raise ValueError(
            f"parameter {name!r} is sharded (a DTensor, from fully_shard or tensor parallelism), and a Child's indices "
            "are of whole parameters. Use DistributedDataParallel for Child-Tuning_D; BernoulliMask takes shards."
        )


def _find_slices(child, optimizer) -> list[Slice]:
    """The child's compact copies among the optimizer's parameters: all of them, of one model, and nothing dense."""
    params = [p for group in getattr(optimizer, "param_groups", []) for p in group["params"]]
    found = [p.child_slice() for p in params if hasattr(p, "child_slice")]
    slices = [s for s in found if s is not None and s.child is child]
    chosen = {name for name, index in child.indices.items() if index.numel()}
    missing = chosen - {clean_name(s.name) for s in slices}
    if missing:
        raise ValueError(
            f"optimizer does not hold this child's parameters: {len(missing)} of {len(chosen)} are missing, such as "
            f"{min(missing)!r}. Make it from child.parameters(model), then attach the same child."
        )
    if len({id(s.model) for s in slices}) > 1 or len(slices) > len(chosen):
        raise ValueError(
            "optimizer holds this child's parameters more than once: use one call of child.parameters(model)"
        )
    dense = [p for name, p in slices[0].model.named_parameters() if clean_name(name) in child.indices]
    if any(_in_lean_mode(p) for p in dense):
        raise ValueError(
            "optimizer: another one trains this model in the lean mode and takes every gradient during backward. Call "
            "handle.remove() on what its attach returned, or let go of it."
        )
    if {id(p) for p in dense} & {id(p) for p in params}:
        raise ValueError("optimizer also holds whole parameters of the masked scope, which would train in full")
    return slices


def _in_lean_mode(param: torch.nn.Parameter) -> bool:
    owner = getattr(param, "lean_joint", None)
    if owner is not None and owner() is not None:
        gc.collect()  # optimizers sit in reference cycles: one that was let go of may still be there
    return owner is not None and owner() is not None
