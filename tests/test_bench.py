"""The bench at a tiny size: every row's code runs, and what it writes can be traced. No speed is asserted."""

import json
import subprocess

import pytest
import torch

from childtune_lite import bench, bench_large, bench_rows

# Rows that give no number here, and the reason they must state.
UNMEASURED = {"redraw of each widget's view": "yet"}


@pytest.mark.slow
def test_quick_run_measures_every_row_and_says_where(tmp_path, capsys):
    out = tmp_path / "bench.json"
    bench.main(["--quick", "--out", str(out)])
    written, printed = json.loads(out.read_text()), capsys.readouterr().out
    assert written["provenance"]["versions"]["torch"] == torch.__version__
    assert {"date", "device", "cores", "commit"} <= set(written["provenance"])
    whats = [row["what"] for row in written["rows"]]
    for wanted in ("F: opt", "F compiled: opt", "D: opt", "F: train", "D: train", "D lean: train", "D: optimizer state",
                   "D lean: grad", "per-example", "selection", "import", "redraw", "D lean: large"):  # fmt: skip
        assert any(what.startswith(wanted) for what in whats), wanted
    for row in written["rows"]:
        assert row["what"] in printed
        if row["measured"] is None:
            assert UNMEASURED[row["what"]] in row["note"]
        elif row["unit"] == "x" and "memory" not in row["what"]:
            assert row["measured"] > 0
    memory = {row["what"]: row for row in written["rows"] if row["what"].startswith("D") and " of p_D" in row["what"]}
    assert [row["measured"] for row in memory.values()] == [1.0, 1.0]  # bytes do not depend on the machine


def test_a_bar_is_met_missed_or_not_known():
    assert bench_rows.Row("w", 1.0, bar=1.0).met is True
    assert bench_rows.Row("w", 1.1, bar=1.0).met is False
    assert bench_rows.Row("w", None, bar=1.0).met is None
    assert bench_rows.Row("w", 1.0).met is None
    lines = bench.table([bench_rows.Row("w", 1.1, bar=1.0, quartiles=(1.0, 1.2), note="why")]).splitlines()
    assert lines[1].split() == ["w", "1", "1.1", "x", "1.00", "..", "1.20", "NO", "why"]


def test_ratios_are_of_steps_that_ran_side_by_side():
    """A disturbance that meets both calls of a step leaves the ratio as it is."""
    row = bench_rows.ratio_row("w", {"plain": [1.0, 9.0, 1.0], "masked": [2.0, 18.0, 2.0]}, "masked")
    assert row.measured == 2.0
    assert row.quartiles == (2.0, 2.0)


def test_calls_take_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in ("plain", "masked")}
    seconds = bench_rows.interleaved(calls, 2, torch.device("cpu"), warm_up=1)
    assert order == ["plain", "masked"] * 3
    assert {name: len(s) for name, s in seconds.items()} == {"plain": 2, "masked": 2}


def test_the_large_network_has_the_size_of_bert_large():
    from transformers import BertForSequenceClassification

    with torch.device("meta"):
        model = BertForSequenceClassification(bench_large.large_config())
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(333.6e6, rel=0.001)


def test_without_a_gpu_cuda_is_refused(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SystemExit):
        bench.main(["--device", "cuda"])
    assert "sees no GPU" in capsys.readouterr().err


def test_a_folder_that_does_not_exist_is_refused_before_anything_is_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("it measured first"))
    with pytest.raises(SystemExit):
        bench.main(["--quick", "--out", str(tmp_path / "nowhere" / "bench.json")])
    assert "nowhere does not exist" in capsys.readouterr().err


def test_an_installed_package_does_not_claim_a_commit_of_somebody_elses_repository(tmp_path, monkeypatch):
    from childtune_lite import origin

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    who = ["-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run(["git", "-C", str(tmp_path), *who, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    (tmp_path / "site-packages").mkdir()
    monkeypatch.setattr(origin, "ROOT", tmp_path / "site-packages")
    assert origin.commit() is None
