"""Under Colab's frozen versions: the widgets store the same bundle, a notebook runs, and the masks are the same.

The environment variable CHILDTUNE_COLAB_PYTHON names the Python of an environment made from `.ci/colab.txt`, with this
project in it. What stands here is a smoke test; all module tests and notebooks 01 to 05 run there by `.ci/colab`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COLAB = os.environ.get("CHILDTUNE_COLAB_PYTHON")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COLAB and not os.environ.get("CI"), reason="CHILDTUNE_COLAB_PYTHON is not set"),
]

SETUP = """\
import childtune_lite as ct, ipywidgets, IPython, torch
from childtune_lite.explore import Explorer

parent, tokenizer = ct.load_parent(num_labels=2)
parent.bert.encoder.layer = parent.bert.encoder.layer[:2]
task, other = (ct.load_task(n, tokenizer, n_train=16, n_validation=8) for n in ("entailment", "acceptability"))
scores = {
    name: {e: ct.fisher_scores(parent, t.batches("train", 8), e) for e in ("per_example", "per_batch", "expected")}
    for name, t in (("entailment", task), ("acceptability", other))
}
live = ct.LiveTraining(parent, task, p=0.3, epochs=1, batch_size=4, device="cpu")
live.train(3)
seeds = {100: {0: 60.0, 1: 64.0}, 500: {0: 70.0, 1: 71.0}}
curves = {split: {"vanilla": seeds, "F": {n: {s: v + n / 100 for s, v in r.items()} for n, r in seeds.items()}}
          for split in ("validation", "ood")}
curves["ood"]["F"] = {n: {s: v - 1.5 for s, v in r.items()} for n, r in seeds.items()}
table = {kind: {p: {0: [{"step": s, "new": (s + k) / 50 * p, "old": 1 - s / 50 * p, "old_back": 1 - p / 9}
                        for s in (2, 40)]} for p in (0.1, 1.0)} for k, kind in enumerate(("top", "random"))}"""
SHOWN = {
    "mask": "ct.explore(ct.views.mask_explorer())",
    "cloud": "ct.explore(ct.views.update_cloud())",
    "walk": "ct.explore(ct.views.escape_walk())",
    "child": "ct.explore(ct.views.child_on_the_map(scores))",
    "entries": "ct.explore(ct.views.two_entries())",
    "memory": "ct.explore(ct.views.memory_calculator())",
    "examples": "ct.explore(ct.views.fewer_examples(curves))",
    "tradeoff": "ct.explore(ct.views.vision_tradeoff(table))",
    "live": "live",
}
REDRAWN = """\
for view in VIEWS:
    explorer = Explorer(view)
    for name, choice in view.controls.items():
        control, before = explorer.controls[name], bytes(explorer.picture.value)
        if choice.kind == "press":
            control.click()
        else:
            control.value = next(o for o in (choice.options[-1], choice.options[0]) if o != choice.value)
        print(name, explorer.error, bytes(explorer.picture.value) != before)
        if choice.kind != "press":
            control.value = choice.value
live.start_button.click()
print("versions", ipywidgets.__version__, IPython.__version__)"""
RUNNER = """\
import json, sys, nbformat
from nbclient import NotebookClient

cells = [nbformat.v4.new_code_cell(source) for source in json.load(sys.stdin)]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
json.dump([[dict(o) for o in cell.outputs] for cell in notebook.cells], sys.stdout)"""


def run(python: str) -> list:
    """The outputs of the cells, executed by that Python's own kernel."""
    views = [source.removeprefix("ct.explore(")[:-1] for source in SHOWN.values() if source != "live"]
    cells = [
        SETUP,
        *SHOWN.values(),
        f"VIEWS = [{', '.join(views)}]\n{REDRAWN}",
        'print(live.status.value.split(",")[0])',
    ]
    done = subprocess.run([python, "-c", RUNNER], input=json.dumps(cells), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_widget_cells_build_redraw_and_store_the_same():
    colab, newest = run(COLAB), run(sys.executable)
    for name, a, b in zip(SHOWN, colab[1:], newest[1:], strict=False):
        (a,), (b,) = a, b  # one output each, and no warning beside it
        assert set(a["data"]) == set(b["data"]) == {
            "text/plain", "image/png", "application/vnd.jupyter.widget-view+json",
        }, name  # fmt: skip
        assert a["data"]["text/plain"] == b["data"]["text/plain"], name
        assert a["metadata"]["image/png"]["alt"] in a["data"]["text/plain"]
        assert a["data"]["image/png"].startswith("iVBORw0KGgo")
    for outputs, versions in ((colab, "7.7.1 7.34.0"), (newest, "8.")):
        lines = "".join(o["text"] for o in outputs[len(SHOWN) + 1]).splitlines()
        assert lines.pop().startswith(f"versions {versions}")
        assert len(lines) > 15
        assert [line for line in lines if not line.endswith(" None True")] == []
        assert "running" in outputs[-1][0]["text"] or "finished" in outputs[-1][0]["text"]


def run_there(*arguments: str) -> str:
    """pytest with these arguments in that environment; what it says."""
    command = [COLAB, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout.splitlines()[-1]


def test_a_notebook_runs_and_its_claims_hold():
    notebook = "notebooks/01_bernoulli_mask.ipynb"
    assert " passed" in run_there("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=900", notebook)


def test_masks_scores_and_children_are_what_they_are_elsewhere():
    assert " passed" in run_there("tests/test_masks.py", "tests/test_fisher.py", "tests/test_child.py")
