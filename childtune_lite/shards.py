"""Which entries of a parameter lie on this process, when FSDP2 (`fully_shard`) has cut it into shards.

A mask that is a pure function of the entry's index can be drawn shard by shard: each process needs to know only where
its shard begins. `fully_shard` cuts along the first dimension, so a shard is a run of flat indices.
"""

import torch


def local_part(name: str, tensor: torch.Tensor) -> tuple[torch.Tensor, int]:
    """This process' part of a tensor, sharing its memory, and the flat index at which it begins in the whole.

    An ordinary tensor is its own part, from 0 on. Raises ValueError for a layout whose parts are no such run.
    """
    if not hasattr(tensor, "placements"):  # a DTensor has them; importing that class would cost time
        return tensor, 0
    from torch.distributed.tensor import Replicate, Shard

    mesh, rows, first_row, cut = tensor.device_mesh, tensor.shape[0] if tensor.dim() else 1, 0, False
    for dim, placement in enumerate(tensor.placements):
        if type(placement) is Replicate:
            continue
        if type(placement) is not Shard or placement.dim != 0 or cut:
            raise ValueError(
                f"parameter {name!r} is laid out as {tensor.placements}: a mask can be drawn for whole copies and for "
                "one cut along the first dimension, as fully_shard makes it by default"
            )
        each = -(-rows // mesh.size(dim))  # as torch.chunk cuts: the last shards may be shorter, or empty
        first_row, cut = min(mesh.get_local_rank(dim) * each, rows), True
    local, row = tensor.to_local(), tensor.numel() // max(rows, 1)
    return local, first_row * row
