"""The tuned delta: what a child's training changed, as one small file to be laid over a fresh parent.

A network tuned through a `Child` is the parent, but for the child's entries and for what trained whole (the head; the
embeddings, unless they are frozen). So the file holds the child's indices and values, 8 bytes an entry in float32,
and every other tensor that differs from the parent's, whole. Laid over the parent it gives the tuned network back, bit
for bit. A digest of all that the file does *not* hold tells whether a parent is the right one.

The file is safetensors: tensors and text, no pickle, so opening a stranger's file runs no code. Taught in notebook 09.
"""

import hashlib
import json
from pathlib import Path

import torch

from .child import Child, read_tensors
from .compact import refuse_shards
from .hooks import clean_name

_FORMAT = "childtune_lite.delta/1"


def save_delta(path: str | Path, child: Child, tuned: torch.nn.Module, parent: torch.nn.Module) -> None:
    """Write what `tuned` has and `parent` has not, to one safetensors file.

    Args:
        child: the child through which `tuned` was trained.
        tuned, parent: the network after and before. The parent's head may be another draw than the one that was
            tuned: a head that trained is kept whole. Parameters and the buffers of `state_dict()` count.

    Raises ValueError when the two are not one network before and after: other names, shapes or dtypes, or a change in
    the masked scope outside the child.
    """
    after, before = _tensors(tuned, "tuned"), _tensors(parent, "parent")
    child._check_fits(parent)
    if _layout(after) != _layout(before):
        names = sorted({n for n, _ in set(_layout(after).items()) ^ set(_layout(before).items())})
        raise ValueError(
            f"parent and tuned are not the same network: {names[:3]} differ in name, shape, dtype or in what is tied"
        )
    saved = {}
    for name, index in child.indices.items():
        if not torch.equal(*(_bits(_without(t[name], index)) for t in (after, before))):
            raise ValueError(
                f"tuned differs from the parent outside the child, in {name!r}: it was not trained by this child "
                "alone, or from another parent"
            )
        saved[f"index/{name}"] = index.cpu().contiguous()
        saved[f"value/{name}"] = _flat(after[name])[index.cpu().long()]
    for name in after.keys() - child.indices.keys():
        if not torch.equal(_bits(after[name]), _bits(before[name])):
            saved[f"whole/{name}"] = _flat(after[name]).view(after[name].shape).clone()
    whole = {name.removeprefix("whole/") for name in saved if name.startswith("whole/")}
    metadata = {
        "format": _FORMAT,
        "shapes": json.dumps(child.shapes),
        "untouched": _digest(before, child, whole),
    }
    from safetensors.torch import save_file

    save_file(saved, str(path), metadata=metadata)


@torch.no_grad()
def apply_delta(path: str | Path, parent: torch.nn.Module) -> Child:
    """Turn `parent`, in place, into the tuned network of the file, bit for bit. Returns the child.

    Raises ValueError, before anything is written, when the file is no delta, or one for another parent. Whatever the
    file replaces is free to differ: the head's draw, or another delta of the same child.
    """
    child, values, whole, digest = _read(path)
    tensors = _tensors(parent, "parent")
    child._check_fits(parent)
    for name, tensor in (values | whole).items():
        expected = child.indices[name].shape if name in values else getattr(tensors.get(name), "shape", None)
        if tensor.shape != expected or tensor.dtype != tensors[name].dtype:
            raise ValueError(
                f"path={str(path)!r} holds {name!r} as {tensor.dtype} of shape {tuple(tensor.shape)}, which does not "
                "fit the parent: load the parent with the same num_labels and dtype as the one that was tuned"
            )
    if _digest(tensors, child, whole) != digest:
        raise ValueError(
            f"path={str(path)!r} is the delta of another parent: the weights it leaves as they are have another "
            "digest. Load the very checkpoint that was tuned, in the same dtype."
        )
    for name, tensor in whole.items():
        tensors[name].copy_(tensor)
    for name, value in values.items():
        target = tensors[name]
        flat = target.reshape(-1)  # a view where memory allows, else a copy to be written back
        flat.index_copy_(0, child.indices[name].long().to(target.device), value.to(target.device))
        if flat.data_ptr() != target.data_ptr():
            target.copy_(flat.view_as(target))
    return child


def _read(path: str | Path) -> tuple[Child, dict, dict, str]:
    tensors, metadata = read_tensors(path, _FORMAT, "save_delta")
    kinds = {"index": {}, "value": {}, "whole": {}}
    for key, tensor in tensors.items():
        kind, _, name = key.partition("/")
        kinds[kind][name] = tensor
    child = Child(kinds["index"], json.loads(metadata["shapes"]))
    if kinds["value"].keys() != kinds["index"].keys():
        raise ValueError(f"path={str(path)!r} is a damaged delta: some indices have no values")
    return child, kinds["value"], kinds["whole"], metadata["untouched"]


def _tensors(model: torch.nn.Module, argument: str) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers by name. A tied tensor is listed once, by its first name."""
    first = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if not torch.is_tensor(tensor):
            raise ValueError(f"{argument} keeps {name!r} in its state_dict, which is no tensor: no delta can hold it")
        refuse_shards(name, tensor)
        first.setdefault(id(tensor), (clean_name(name), tensor.detach()))
    return dict(first.values())


def _layout(tensors: dict[str, torch.Tensor]) -> dict:
    return {name: (tuple(tensor.shape), str(tensor.dtype)) for name, tensor in tensors.items()}


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.cpu().contiguous().view(-1)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's bytes: 0.0 and -0.0 are equal as numbers, not as bits; a NaN is equal to itself."""
    return _flat(tensor).view(torch.uint8)


def _without(tensor: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """A flat copy with zeros at the child's entries."""
    return _flat(tensor).clone().index_fill_(0, index.cpu().long(), 0)


def _digest(tensors: dict[str, torch.Tensor], child: Child, whole) -> str:
    """BLAKE2 over all names, shapes and dtypes, and over every entry that the delta leaves as it is."""
    digest = hashlib.blake2b(digest_size=16)
    for name, layout in sorted(_layout(tensors).items()):
        digest.update(f"{name}|{layout}\n".encode())
        if name in child.indices:
            digest.update(_bits(_without(tensors[name], child.indices[name])).numpy())
        elif name not in whole:
            digest.update(_bits(tensors[name]).numpy())
    return digest.hexdigest()
