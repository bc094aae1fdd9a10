"""Data parallel: two processes under `torchrun`, different sequence lengths, 20 steps. The runs are in ranks.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import childtune_lite as ct

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed"),
]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    worker = Path(__file__).with_name("ranks.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(worker), str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_replicas_stay_bit_equal_in_F(ranks):
    assert ranks[0]["task_free"] == ranks[1]["task_free"]


def test_careless_mask_of_each_rank_lets_replicas_diverge(ranks):
    """The same loop, data and seeds as F's: so equality there is the mask's doing."""
    assert ranks[0]["careless"] != ranks[1]["careless"]


def test_replicas_stay_bit_equal_in_D(ranks):
    assert ranks[0]["task_driven"]["weights"] == ranks[1]["task_driven"]["weights"]
    assert [r["task_driven"]["outside_moved"] for r in ranks] == [0, 0]


def test_child_is_chosen_from_the_scores_of_all_ranks(ranks):
    assert ranks[0]["task_driven"]["child"] == ranks[1]["task_driven"]["child"]
    for rank in ranks:
        assert rank["task_driven"]["as_joint"] < 1e-5
        assert rank["task_driven"]["as_alone"] > 1e-2  # so the comparison could have failed


def test_shards_are_masked_as_the_whole_network_is(ranks):
    assert all(rank["sharded"]["mask_is_that_of_the_whole"] for rank in ranks)
    assert all(rank["sharded"]["some_shards_start_late"] for rank in ranks)
    assert ranks[0]["sharded"]["weights"] == ranks[1]["sharded"]["weights"]


def test_child_refuses_shards_and_lean_mode_refuses_ranks(ranks):
    for rank in ranks:
        assert "sharded" in rank["sharded"]["child"]
        assert "lean=True in a group of 2 processes" in rank["lean"]


def test_scores_of_all_ranks_need_a_process_group(tiny, batches):
    with pytest.raises(ValueError, match="init_process_group"):
        ct.fisher_scores(tiny, batches, all_ranks=True)
