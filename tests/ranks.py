"""Two processes train one tiny network, as `torchrun` starts them; test_ranks.py reads what they write.

    torchrun --nproc-per-node 2 tests/ranks.py FOLDER

Each rank sees sequences of another length, so dropout draws another amount of random numbers on each. A mask drawn
from the ordinary generator then differs between the ranks, and the replicas drift apart: `careless` shows it.
"""

import copy
import gc
import hashlib
import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from support import tiny_bert
from torch.nn.parallel import DistributedDataParallel

import childtune_lite as ct

STEPS = 20


def batches_of(rank, count=STEPS):
    """Batches of 4 examples; their length depends on the rank."""
    generator = torch.Generator().manual_seed(100 + rank)
    return [
        {
            "input_ids": torch.randint(1, 50, (4, 6 + 5 * rank), generator=generator),
            "labels": torch.randint(0, 3, (4,), generator=generator),
        }
        for _ in range(count)
    ]


def digest(model):
    tensors = [p.detach().full_tensor() if hasattr(p, "full_tensor") else p.detach() for p in model.parameters()]
    return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in tensors)).hexdigest()


def train(model, optimizer, rank, after_backward=lambda: None):
    wrapped = DistributedDataParallel(model)
    wrapped.train()
    for batch in batches_of(rank):
        wrapped(**batch).loss.backward()
        after_backward()
        optimizer.step()
        optimizer.zero_grad()
    return digest(model)


def task_free(rank):
    model = tiny_bert()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    ct.BernoulliMask(0.3, seed=1).attach(optimizer, model)
    return train(model, optimizer, rank)


def careless(rank):
    """What the released code does: after the gradients were averaged, each rank draws a mask of its own."""
    model = tiny_bert()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def mask():
        for param in model.parameters():
            param.grad.mul_(torch.bernoulli(torch.full_like(param, 0.3))).div_(0.3)

    return train(model, optimizer, rank, mask)


def task_driven(rank):
    """The child from all ranks' scores. Also: do they equal one process' scores over all the data?"""
    model = tiny_bert()
    mine = batches_of(rank, 2 + rank)  # not even the same number of batches
    scores = ct.fisher_scores(model, mine, all_ranks=True)
    joint = ct.fisher_scores(model, batches_of(0, 2) + batches_of(1, 3))
    alone = ct.fisher_scores(model, mine)
    child = ct.Child.top(scores, 0.3)
    optimizer = torch.optim.AdamW(child.parameters(model), lr=1e-2)
    child.attach(optimizer)
    chosen = hashlib.sha256(b"".join(i.numpy().tobytes() for i in child.indices.values())).hexdigest()
    return {
        "child": chosen,
        "weights": train(model, optimizer, rank),
        "outside_moved": sum(
            int((a != b)[~child.mask(n)].sum())
            for (n, a), b in zip(tiny_bert().named_parameters(), model.parameters(), strict=True)
            if n in child.indices
        ),
        "as_joint": max(float((scores[n] - joint[n]).abs().max() / joint[n].max()) for n in joint),
        "as_alone": max(float((scores[n] - alone[n]).abs().max() / joint[n].max()) for n in joint),
    }


def sharded(rank):
    """FSDP2: every entry's mask is that of the whole network, wherever the entry lies; D and lean say no."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    model = tiny_bert()
    for layer in model.bert.encoder.layer:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    mask = ct.BernoulliMask(0.3, seed=1)
    mask.attach(optimizer, model)
    model(**batches_of(rank, 1)[0]).loss.backward()
    before = {n: p.grad.full_tensor().clone() for n, p in model.named_parameters()}
    foretold = {n: mask.masked(n, g) for n, g in before.items()}
    optimizer.step()
    seen = {n: p.grad.full_tensor() for n, p in model.named_parameters()}
    child = ct.Child.top({n: torch.rand(p.shape) for n, p in tiny_bert().named_parameters()}, 0.3)
    return {
        "mask_is_that_of_the_whole": all(torch.equal(foretold[n], seen[n]) for n in seen),
        "some_shards_start_late": any(p.to_local().numel() < p.numel() for p in model.parameters()),
        "child": message_of(lambda: child.parameters(model)),
        "weights": digest(model),
    }


def lean(rank):
    model = tiny_bert()
    child = ct.Child.top({n: torch.rand(p.shape) for n, p in model.named_parameters()}, 0.3)
    optimizer = torch.optim.SGD(child.parameters(model), lr=0.1)
    return message_of(lambda: child.attach(optimizer, lean=True))


def message_of(call):
    try:
        call()
    except ValueError as error:
        return str(error)
    return "no error"


if __name__ == "__main__":
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    rank, results = dist.get_rank(), {}
    for run in (task_free, careless, task_driven, sharded, lean):
        results[run.__name__] = copy.deepcopy(run(rank))
    Path(sys.argv[1], f"{os.environ['RANK']}.json").write_text(json.dumps(results))
    gc.collect()  # replicas sit in reference cycles; one that outlives its group aborts the process now and then
    dist.barrier()
    dist.destroy_process_group()
