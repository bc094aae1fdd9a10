"""Child-Tuning_D: one child network, chosen before training, and any optimizer made to train only that.

A `Child` says which entries of the masked parameters train. It knows them by parameter name and flat index, so it
survives a copy of the model, `from_pretrained`, a file and a move to another device. (The released code keys its mask
by the parameter objects, and all of these silently turn it into full fine-tuning.) How the entries are chosen is in
`selection.py`, how they meet an optimizer in `compact.py`. Taught in notebook 03.
"""

import json
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from .compact import CompactJoint, Slice
from .draws import make_key, random_int32
from .hooks import KEY, Joint, clean_name, install_guard
from .lean import LeanJoint
from .selection import check_order, number_to_choose, score_keys, select_top

_FORMAT = "childtune_lite.Child/1"  # in the metadata of its files


class Child:
    """The entries of a network that train: round(p * N) of the N entries in the masked scope.

    Make one with `Child.top` (Child-Tuning_D), `Child.bottom`, `Child.random` or `Child.load`.

    Attributes:
        indices: {parameter name: ascending flat indices of the chosen entries, int32}.
        shapes: {parameter name: shape of the whole parameter}. These names are the masked scope.
        size: number of entries that train. total: number of entries in the masked scope, N.
    """

    def __init__(self, indices: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]]):
        if set(indices) != set(shapes):
            raise ValueError(f"indices and shapes name other parameters: {sorted(set(indices) ^ set(shapes))[:3]}")
        self.indices = {name: indices[name] for name in shapes}
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        for name, index in self.indices.items():
            _check_indices(name, index, _entries(self.shapes[name]))
        self.size = sum(index.numel() for index in self.indices.values())
        self.total = sum(map(_entries, self.shapes.values()))
        self._joints = weakref.WeakSet()  # where this child is attached

    # ---- choosing
    @classmethod
    def top(cls, scores: Mapping[str, torch.Tensor], p: float) -> "Child":
        """The round(p * N) entries with the highest scores, over all tensors together (the paper's section 2.3).

        Args:
            scores: {parameter name: tensor of the parameter's shape, >= 0}, as `fisher_scores` returns them.
            p: share of the entries that trains, in (0, 1]; the paper's p_D.
        """
        return cls._by_scores(scores, p, largest=True)

    @classmethod
    def bottom(cls, scores: Mapping[str, torch.Tensor], p: float) -> "Child":
        """The round(p * N) entries with the lowest scores: a control, to see that the choice matters."""
        return cls._by_scores(scores, p, largest=False)

    @classmethod
    def random(cls, scores: Mapping[str, torch.Tensor], p: float, seed: int = 0) -> "Child":
        """round(p * N) entries drawn by `seed` from the same scope: a control. No random state is touched."""
        k = number_to_choose(scores, p)

        def keys(name: str) -> Iterator[torch.Tensor]:
            draws = random_int32(make_key(seed, 0, name), scores[name].numel(), scores[name].device)
            return (bits & 0x7FFFFFFF for _, bits in draws)

        chosen = select_top({name: lambda name=name: keys(name) for name in scores}, k)
        return cls(chosen, {name: tuple(s.shape) for name, s in scores.items()})

    @classmethod
    def _by_scores(cls, scores, p: float, largest: bool) -> "Child":
        k = number_to_choose(scores, p)
        check_order(scores)
        keys = {name: lambda s=s: score_keys(s, largest) for name, s in scores.items()}
        return cls(select_top(keys, k), {name: tuple(s.shape) for name, s in scores.items()})

    # ---- looking
    def mask(self, name: str) -> torch.Tensor:
        """The bool mask of one parameter, in its shape: True trains."""
        self._check_known(name)
        index = self.indices[name]
        flat = torch.zeros(_entries(self.shapes[name]), dtype=torch.bool, device=index.device)
        flat[index.long()] = True
        return flat.view(self.shapes[name])

    def masked(self, name: str, gradient: torch.Tensor) -> torch.Tensor:
        """What the optimizer sees of this gradient: zero outside the child; whole outside the masked scope."""
        if name not in self.indices:
            return gradient.detach()
        return gradient.detach() * self.mask(name).to(gradient.device)

    def overlap(self, other: "Child") -> float:
        """The share of this child's entries that `other` holds too. Two random children of share p overlap by p."""
        if self.shapes != other.shapes:
            raise ValueError("other is a child of another network: the parameter names or shapes differ")
        shared = sum(
            int((self.mask(name) & other.mask(name).to(self.indices[name].device)).sum()) for name in self.indices
        )
        return shared / self.size

    def trained_share(self, model: torch.nn.Module) -> float:
        """The share of all the model's trainable entries that trains: the child, and all outside the masked scope."""
        self._check_fits(model)
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        return (trainable - self.total + self.size) / trainable

    def __repr__(self) -> str:
        share = self.size / self.total
        return f"Child({self.size:,} of {self.total:,} entries = {share:.4g} of {len(self.shapes)} masked parameters)"

    # ---- training
    def named_parameters(self, model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """(name, tensor) of all that trains: chosen entries as compact 1-D tensors, the rest of the model whole.

        Use it to make parameter groups (weight decay on some, none on others). Each call makes new compact copies, so
        call it once for each optimizer; to clip gradients, clip `model.parameters()`.
        """
        self._check_fits(model)
        install_guard()
        for raw_name, param in model.named_parameters():
            name = clean_name(raw_name)
            if name not in self.indices:
                if param.requires_grad:
                    yield raw_name, param
            elif self.indices[name].numel():
                yield raw_name, Slice(self, model, raw_name, param, self.indices[name]).compact

    def parameters(self, model: torch.nn.Module) -> list[torch.nn.Parameter]:
        """What to hand to a `torch.optim` optimizer before `attach`: see `named_parameters`."""
        return [param for _, param in self.named_parameters(model)]

    def attach(self, optimizer: torch.optim.Optimizer, lean: bool = False) -> Joint:
        """Make `optimizer`, which holds this child's `parameters(model)`, train the model through them.

        Call it before the first step, before `load_state_dict` and before `accelerator.prepare`. Returns a handle
        with `remove()`. Weights that are changed from outside between two steps win over what the child holds.

        lean: gather during backward and free each dense gradient at once, so that p_D of them is held at the step. In
            a loop of your own, with `child.clip_grad_norm_`, on one process: see `lean.py`.
        """
        joint = (LeanJoint if lean else CompactJoint)(self, optimizer)
        self._joints.add(joint)
        return joint

    def clip_grad_norm_(self, max_norm: float, norm_type: float = 2.0) -> torch.Tensor:
        """Clip the gradients of all that the attached optimizer trains, in both modes; returns their norm before it.

        In the lean mode this is the norm of the masked gradient; in the ordinary mode it counts entries outside the
        child, too, as `torch.nn.utils.clip_grad_norm_(model.parameters(), ...)` does.
        """
        optimizers = [joint.optimizer for joint in self._joints if joint.optimizer is not None]
        if len(optimizers) != 1:
            raise ValueError(f"this child is attached to {len(optimizers)} optimizers; clipping needs exactly one")
        params = [param for group in optimizers[0].param_groups for param in group["params"]]
        return torch.nn.utils.clip_grad_norm_(params, max_norm, norm_type)

    def refresh(self) -> None:
        """Take over weights that were written through `.data`: the one change that PyTorch does not let us notice."""
        for joint in self._joints:
            for piece in joint.slices:
                piece.refresh()

    # ---- keeping
    def save(self, path: str | Path) -> None:
        """Write the child to one safetensors file: int32 indices by parameter name, shapes in the metadata."""
        from safetensors.torch import save_file

        tensors = {name: index.cpu().contiguous() for name, index in self.indices.items()}
        save_file(tensors, str(path), metadata={"format": _FORMAT, "shapes": json.dumps(self.shapes)})

    @classmethod
    def load(cls, path: str | Path) -> "Child":
        """Read a child that `save` wrote; ValueError on any other file."""
        indices, metadata = read_tensors(path, _FORMAT, "Child.save")
        return cls(indices, json.loads(metadata["shapes"]))

    @classmethod
    def from_state_dict(cls, state_dict: dict) -> "Child":
        """The child that travels in an `optimizer.state_dict()`: to resume where only that was saved."""
        state = state_dict.get(KEY) or {}
        if state.get("kind") != "Child":
            raise ValueError("state_dict is not of an optimizer with a Child attached: no child travels in it")
        return cls(state["indices"], state["shapes"])

    # ---- checks
    def _check_known(self, name: str) -> None:
        if name not in self.indices:
            raise ValueError(
                f"name={name!r} is not in the child's masked scope; known are {list(self.indices)[:3]}, ..."
            )

    def _check_fits(self, model: torch.nn.Module) -> None:
        shapes = {clean_name(name): tuple(p.shape) for name, p in model.named_parameters()}
        for name, shape in self.shapes.items():
            if shapes.get(name) != shape:
                raise ValueError(
                    f"child does not fit the model: parameter {name!r} has shape {shape} in the child and "
                    f"{shapes.get(name, 'does not exist')} in the model. Choose a child from this model's own scores."
                )


def read_tensors(path: str | Path, wanted: str, writer: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file of the format `wanted`; ValueError if `writer` did not write it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != wanted:
                raise ValueError(f"path={str(path)!r} is a safetensors file, but not one that {writer} wrote")
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"path={str(path)!r} is no safetensors file, or a damaged one: {error}") from error


def _entries(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def _check_indices(name: str, index: torch.Tensor, entries: int) -> None:
    if index.dtype != torch.int32 or index.dim() != 1:
        raise ValueError(
            f"indices[{name!r}] must be a 1-D int32 tensor, not {index.dtype} of shape {tuple(index.shape)}"
        )
    if index.numel() and (int(index[0]) < 0 or int(index[-1]) >= entries or not bool((index[1:] > index[:-1]).all())):
        raise ValueError(f"indices[{name!r}] must ascend without repeats and lie in 0 .. {entries - 1}")
