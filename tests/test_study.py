"""The study runner: what a plan leads to, that nothing is lost or repeated when it is killed, and what a row says."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support import tiny_bert

from childtune_lite import study_run
from childtune_lite.study import main, study, todo
from childtune_lite.study_plan import read_plan
from childtune_lite.study_rows import add_row, cut_unfinished, read_rows, results
from childtune_lite.study_run import distances, make_task, run_job

PLANS = Path(__file__).resolve().parents[1] / "notebooks" / "results"
SMALL = """
what = "test"
parent = "PARENT"
workers = 2
[settings]
p = 0.5
epochs = 1
[grid]
lr = [1e-4, 1e-3]
seed = 9
n_train = 16
n_eval = 12
[arms]
vanilla = { recipe = "vanilla" }
F = { recipe = "F" }
control = { recipe = "vanilla_sqrt_p", lr_of = "F" }
[[experiments]]
name = "first"
tasks = ["acceptability"]
arms = ["vanilla", "F", "control"]
seeds = [0, 1]
n_train = [16]
n_eval = 12
[[experiments]]
name = "second"
tasks = ["acceptability"]
arms = ["vanilla"]
seeds = [0]
n_train = [16, 32]
n_eval = 12
"""


@pytest.fixture(scope="module")
def parent_folder(tmp_path_factory, minilm):
    """A parent of random weights, tiny, with the real tokenizer: a run takes a tenth of a second."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("parent")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(minilm[1]), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    minilm[1].save_pretrained(folder)
    return folder


@pytest.fixture
def plan_file(tmp_path, parent_folder):
    path = tmp_path / "plan.toml"
    path.write_text(SMALL.replace("PARENT", parent_folder.as_posix()))
    return path


def scored(plan, jobs, score=lambda job: 0.5):
    return {job.key: {"key": job.key, "score": score(job), "seed": job.seed, "arm": job.arm} for job in jobs}


# ---- the plan
def test_the_grid_comes_first_and_decides_the_learning_rate(plan_file):
    plan = read_plan(plan_file)
    grid = todo(plan, {})
    assert {(job.stage, job.arm, job.lr) for job in grid} == {
        ("grid", arm, lr) for arm in ("vanilla", "F") for lr in (1e-4, 1e-3)
    }
    rows = scored(plan, grid, score=lambda job: job.lr if job.arm == "F" else -job.lr)
    main_jobs = todo(plan, rows)
    rates = {(job.arm, job.lr) for job in main_jobs}
    assert rates == {("vanilla", 1e-4), ("F", 1e-3), ("control", 1e-3)}
    assert [job.seed for job in main_jobs[:6]] == [0, 0, 0, 1, 1, 1]  # a study stopped halfway has whole pairs
    assert plan.count() == len(grid) + len(main_jobs) == 4 + 6 + 1  # the second experiment shares a run with the first


def test_an_arm_whose_grid_is_not_done_waits(plan_file):
    plan = read_plan(plan_file)
    grid = todo(plan, {})
    rows = scored(plan, [job for job in grid if job.arm == "vanilla"])
    assert {(job.stage, job.arm) for job in todo(plan, rows)} == {("grid", "F"), ("main", "vanilla")}


def test_of_equal_scores_the_lower_rate_wins_and_failed_runs_never(plan_file):
    plan = read_plan(plan_file)
    grid = [job for job in todo(plan, {}) if job.arm == "vanilla"]
    assert plan.learning_rate("vanilla", "acceptability", scored(plan, grid)) == 1e-4
    failed_low = scored(plan, grid, score=lambda job: None if job.lr == 1e-4 else -1.0)
    assert plan.learning_rate("vanilla", "acceptability", failed_low) == 1e-3
    assert plan.learning_rate("vanilla", "acceptability", {}) is None


def test_the_key_is_the_run_and_not_its_name(plan_file):
    job = todo(read_plan(plan_file), {})[0]
    assert dataclasses.replace(job, arm="other").key == job.key
    for change in ({"lr": 0.5}, {"seed": 1}, {"stage": "main"}, {"settings": (("p", 0.4),)}, {"n_train": 8},
                   {"precision": "bfloat16"}, {"sharpness": 4}, {"also_on": ("x",)}):  # fmt: skip
        assert dataclasses.replace(job, **change).key != job.key, change


@pytest.mark.parametrize(
    "name", ["study_smoke", "study_cpu", "study_cpu_larger", "study_cuda_t4", "study_cuda_large", "study_cuda_modern"]
)
def test_committed_plans_are_read(name):
    plan = read_plan(PLANS / f"{name}.toml")
    assert plan.count() > 0
    for experiment in plan.experiments:
        assert plan.jobs(experiment, {})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('recipe = "F"', 'recipe = "Childtuning-F"', r"\[arms.F\] recipe='Childtuning-F'.*vanilla_sqrt_p"),
        ('lr_of = "F"', 'lr_of = "G"', r"lr_of=\['G'\].*vanilla, F, control"),
        ('arms = ["vanilla"]', 'arms = ["D"]', r"'second' arms=\['D'\]"),
        ('name = "second"', 'name = "first"', "twice"),
        ("workers = 2", "worker = 2", r"\['worker'\]"),
        ("seed = 9", "", r"\[grid\] lacks seed"),
        ("epochs = ", "epoch = ", r"\[settings\] has \['epoch'\]"),
        ('recipe = "F"', 'recipe = "F", batch = 4', r"\[arms.F\] has \['batch'\]"),
        ("n_train = [16]", "sharpness = 9999\nn_train = [16]", "sharpness=9999: it is measured on training"),
        ('tasks = ["acceptability"]', 'tasks = "acceptability"', "tasks='acceptability': expected a list"),
        ("[grid]", "[grid", "not TOML"),
    ],
)
def test_a_faulty_plan_is_refused_by_name(tmp_path, old, new, message):
    path = tmp_path / "plan.toml"
    path.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_plan(path)


# ---- the held-out examples
def test_the_grid_is_judged_on_training_examples_that_were_held_out(plan_file, minilm):
    job = todo(read_plan(plan_file), {})[0]
    task, whole = make_task(job, minilm[1]), make_task(dataclasses.replace(job, stage="main"), minilm[1])
    assert (len(task.train), len(task.validation), task.ood) == (16, 12, None)
    sentences = [set(part["sentence1"]) for part in (task.train, task.validation, whole.validation)]
    assert not sentences[0] & sentences[1]
    assert not sentences[1] & sentences[2]
    assert task.train["sentence1"][:] == whole.train["sentence1"][:]


# ---- the rows
def test_a_row_is_whole_or_absent(tmp_path):
    path = tmp_path / "rows.jsonl"
    add_row(path, {"key": "a", "x": 1})
    add_row(path, {"key": "b", "x": 2})
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        n = whole[:cut].count(b"\n")
        assert list(read_rows(path)) == ["a", "b"][:n]
        cut_unfinished(path)
        add_row(path, {"key": "c", "x": 3})
        assert list(read_rows(path)) == [*["a", "b"][:n], "c"]
    assert read_rows(tmp_path / "none.jsonl") == {}


def facts(rows):
    """What must repeat: all but times, dates and bytes."""
    ours = ("seconds", "seconds_total", "date", "peak_bytes", "origin")
    return {key: {k: v for k, v in row.items() if k not in ours} for key, row in rows.items()}


@pytest.mark.slow
def test_killed_and_started_again_it_loses_nothing_and_repeats_nothing(plan_file, tmp_path):
    """Killed three times without warning, workers and all, and once while a row was being written."""
    out, whole = tmp_path / "killed.jsonl", tmp_path / "whole.jsonl"
    command = [sys.executable, "-m", "childtune_lite.study", str(plan_file), "--out", str(out)]
    seen = 0
    for wanted in (1, 3, 6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(read_rows(out)) < wanted and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        process.wait()
        assert wanted <= len(read_rows(out)) < 11
        assert len(read_rows(out)) > seen
        seen = len(read_rows(out))
    with open(out, "ab") as file:
        file.write(b'{"key": "torn')
    done = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"{11} rows" in done
    assert len([line for line in done.splitlines() if line.strip()[0].isdigit() and "lr=" in line]) == 11 - seen
    rows, lines = read_rows(out), out.read_bytes().splitlines()
    assert len(lines) == len(rows) == 11
    subprocess.run([*command[:-1], str(whole), "--workers", "1"], capture_output=True, check=True)
    assert facts(rows) == facts(read_rows(whole))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals that cannot be caught")
def test_workers_end_with_the_process_that_started_them(plan_file, tmp_path):
    out = tmp_path / "rows.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "childtune_lite.study", str(plan_file), "--out", str(out)],
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not read_rows(out):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.time() + 20
    while time.time() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    pytest.fail("workers went on after their parent was killed")


def test_two_studies_do_not_write_to_one_file(plan_file, tmp_path):
    from filelock import FileLock

    out = tmp_path / "rows.jsonl"
    with FileLock(f"{out}.lock"), pytest.raises(ValueError, match="another study is writing"):
        study(read_plan(plan_file), out)


# ---- one run
def test_a_row_says_what_was_run_and_where(plan_file):
    job = dataclasses.replace(todo(read_plan(plan_file), {})[0], stage="main", sharpness=8, also_on=("acceptability",))
    row = run_job(job, "cpu")
    assert row["status"] in ("ok", "constant")
    assert row["score"] == row["metrics"]["validation"][row["headline"]]
    assert set(row["metrics"]) == {"validation", "ood", "acceptability"}
    assert row["metrics"]["acceptability"] == row["metrics"]["validation"]  # the same 12 examples
    assert row["steps"] == 1
    assert row["sharpness"]["value"] == row["sharpness"]["history"][-1]
    assert row["origin"]["versions"]["torch"] == torch.__version__
    assert {"commit", "device", "threads", "python"} <= set(row["origin"])
    assert row["data"] != run_job(dataclasses.replace(job, seed=5), "cpu")["data"]
    if sys.platform == "linux":
        assert 50e6 < row["peak_bytes"] < 8e9
    json.dumps(row, allow_nan=False)


def test_a_run_that_breaks_is_a_row_of_its_own(plan_file, monkeypatch):
    job = todo(read_plan(plan_file), {})[0]
    monkeypatch.setattr(study_run, "Run", lambda *args, **kwargs: 1 / 0)
    row = run_job(job, "cpu")
    assert (row["status"], row["score"], row["error"]) == ("error", None, "ZeroDivisionError: division by zero")


def test_what_ended_in_an_error_runs_again_when_asked(plan_file, tmp_path):
    plan, out = read_plan(plan_file), tmp_path / "rows.jsonl"
    grid = todo(plan, {})
    for job in grid:
        add_row(out, {**scored(plan, [job])[job.key], "status": "error" if job.arm == "F" else "ok", "score": None})
    seen = []
    study(plan, out, only=["second"], again=True, say=seen.append)
    assert len(seen) == 2  # the second experiment has vanilla only, whose grid had no error
    assert read_rows(out)[grid[-1].key]["status"] == "error"
    study(plan, out, only=["first"], again=True, say=seen.append)
    assert {row["status"] for row in read_rows(out).values()} <= {"ok", "constant"}
    assert len(read_rows(out)) == 11


def test_what_cannot_be_loaded_stops_the_study_and_leaves_no_row(tmp_path, capsys):
    path = tmp_path / "plan.toml"
    path.write_text(SMALL.replace("PARENT", (tmp_path / "nothing").as_posix()))
    with pytest.raises(SystemExit):
        main([str(path)])
    assert "neither a folder with a model" in capsys.readouterr().err
    assert read_rows(path.with_suffix(".jsonl")) == {}


def test_a_run_whose_loss_is_not_a_number_has_diverged(plan_file):
    row = run_job(dataclasses.replace(todo(read_plan(plan_file), {})[0], lr=1e30, n_train=64), "cpu")
    assert (row["status"], row["score"]) == ("diverged", None)


def test_distances_are_lengths_by_layer():
    before, after = tiny_bert(), tiny_bert()
    with torch.no_grad():
        after.bert.encoder.layer[1].output.dense.bias[:4] += 3.0
        after.classifier.weight += 1.0
    found = distances(before, after)
    assert set(found) == {"embeddings", "layer 0", "layer 1", "pooler"}
    n = sum(p.numel() for p in before.bert.encoder.layer[1].parameters())
    assert found["layer 1"]["moved"] == pytest.approx(6.0)
    assert found["layer 1"]["share"] == pytest.approx(4 / n)
    assert found["layer 0"]["moved"] == found["pooler"]["moved"] == 0


# ---- the command
def test_results_are_those_of_the_chosen_learning_rate(plan_file):
    plan = read_plan(plan_file)
    rows = scored(plan, todo(plan, {}))
    rows |= scored(plan, jobs := todo(plan, rows))
    assert [(r["arm"], r["seed"]) for r in results(plan, rows, "first")] == [
        (arm, seed) for seed in (0, 1) for arm in ("vanilla", "F", "control")
    ]
    assert len(results(plan, rows, "second")) == 2
    stray = dataclasses.replace(jobs[0], lr=0.1)
    assert results(plan, {**rows, stray.key: {"score": 9.9}}, "first") == results(plan, rows, "first")
    with pytest.raises(ValueError, match=r"'third'.*first, second"):
        results(plan, rows, "third")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["missing.toml"], "no such file"), (["PLAN", "--only", "third"], "--only third: the plan has first, second")],
)
def test_the_command_refuses_by_name(plan_file, capsys, arguments, message):
    with pytest.raises(SystemExit):
        main([str(plan_file) if a == "PLAN" else a for a in arguments])
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_smoke_runs_every_arm(tmp_path, capsys):
    """The committed plan with the real parent: all twelve arms, one step each."""
    out = tmp_path / "smoke.jsonl"
    main([str(PLANS / "study_smoke.toml"), "--out", str(out)])
    plan, rows = read_plan(PLANS / "study_smoke.toml"), read_rows(out)
    assert {row["arm"] for row in results(plan, rows, "smoke")} == set(plan.arms)
    assert {row["status"] for row in rows.values()} <= {"ok", "constant"}, capsys.readouterr().out
    shares = {row["arm"]: row["trained_share"] for row in results(plan, rows, "smoke")}
    assert shares["head_only"] < shares["bitfit"] < shares["lora"] < shares["D"] < shares["vanilla"] == 1
