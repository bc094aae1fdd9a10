"""For the maintainer: notebooks are tested under the very settings under which their outputs were stored."""

import os
import runpy
from pathlib import Path

# pytest -n 2: each process, and each kernel of it, takes its share of the cores. Before torch is loaded, which is now.
if processes := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(processes))))
os.environ.pop("MPLBACKEND", None)  # a notebook's kernel inherits it, and would show no figures
for key, value in runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "notebooks.py"))["SETTINGS"].items():
    os.environ.setdefault(key, value)
