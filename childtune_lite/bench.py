"""The measured speed and memory of the masks: `python -m childtune_lite.bench [--device cuda] [--quick]`.

Prints a table (the bar, what was measured, met or not) and writes it to a JSON file with its provenance: the machine,
the versions, the date. What is measured, and how, is in `bench_rows.py`, `bench_costs.py`
and `bench_large.py`.
"""

import argparse
import datetime
import json
import os
from dataclasses import asdict
from pathlib import Path

import torch

from . import bench_costs as costs
from . import bench_rows as rows
from .bench_large import large_rows, tiny_config
from .origin import ROOT, origin
from .parents import load_parent


def measure(bench: rows.Bench) -> list[rows.Row]:
    """All rows of the table, in its order."""
    parts = [
        rows.optimizer_step_rows, rows.training_step_rows, rows.memory_rows, rows.fisher_rows, costs.selection_rows,
        costs.import_rows, costs.widget_rows, large_rows,
    ]  # fmt: skip
    found = []
    for part in parts:
        print(f"... {part.__name__}", flush=True)
        found += part(bench)
    return found


def make_bench(parent: str, device: str, quick: bool) -> rows.Bench:
    torch.manual_seed(0)
    if not quick:
        return rows.Bench(load_parent(parent)[0], torch.device(device))
    from transformers import BertForSequenceClassification

    network = BertForSequenceClassification(tiny_config())
    return rows.Bench(
        network, torch.device(device), steps=3, examples=4, length=8, scoring_batches=2, scores=100_000, imports=2,
        large=tiny_config().to_dict(),
    )  # fmt: skip


def provenance(device: str) -> dict:
    """Where the numbers come from."""
    return {
        "made_by": "python -m childtune_lite.bench",
        "date": datetime.date.today().isoformat(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        **origin(device),
    }


def table(found: list[rows.Row]) -> str:
    """The rows as text, one a line."""
    lines = [f"{'what':<72}{'bar':>8}{'aim':>8}{'measured':>12}{'quartiles':>16}  {'met':<5}note"]
    for row in found:
        bar, aim = ("" if x is None else f"{x:g}" for x in (row.bar, row.aim))
        measured = "-" if row.measured is None else f"{row.measured:.3g} {row.unit}"
        spread = "" if row.quartiles is None else "{:.2f} .. {:.2f}".format(*row.quartiles)
        met = {True: "yes", False: "NO", None: "-"}[row.met]
        lines.append(f"{row.what:<72}{bar:>8}{aim:>8}{measured:>12}{spread:>16}  {met:<5}{row.note}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m childtune_lite.bench", description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--parent", default="minilm", help="minilm, a folder, or a name on the Hub")
    parser.add_argument(
        "--out",
        type=Path,
        help="default: bench_DEVICE.json in a clone's notebooks/results, else here",
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: runs all the code, measures nothing of worth")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: this PyTorch sees no GPU. The CPU rows run with --device cpu")
    results = ROOT / "notebooks" / "results"  # of a clone; an installed package has none, and writes where you are
    usual = (results if results.is_dir() else Path()) / f"bench_{chosen.device}.json"
    out = chosen.out or (None if chosen.quick else usual)
    if out and not out.parent.is_dir():  # now, and not after minutes of measuring
        parser.error(f"--out {out}: the folder {out.parent} does not exist")
    source = provenance(chosen.device)
    bench = make_bench(chosen.parent, chosen.device, chosen.quick)
    found = measure(bench)
    print(table(found))
    if out is not None:
        settings = {
            "parent": "tiny" if chosen.quick else chosen.parent, "steps": bench.steps, "batch": bench.examples,
            "length": bench.length, "p_F": rows.P_F, "p_D": rows.P_D,
        }  # fmt: skip
        lines = [asdict(row) | {"met": row.met} for row in found]
        what = "speed and memory of the masks, against the same optimizer without one"
        text = json.dumps({"what": what, "provenance": source, "settings": settings, "rows": lines}, indent=2)
        out.write_text(text + "\n", encoding="utf-8")
        print(f"written to {out}")


if __name__ == "__main__":
    main()
