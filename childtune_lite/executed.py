"""Run a notebook from top to bottom in a kernel of its own, and note what it cost."""

import os
import time
from pathlib import Path

from .origin import process_bytes

# Without these, progress bars and warnings about them would be part of the outputs.
QUIET = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


def run(notebook, folder: Path, settings: dict[str, str] | None = None, timeout: int = 1800) -> dict:
    """Execute `notebook` (nbformat) in place, in `folder`; CellExecutionError if a cell raises.

    Its outputs are left in the form that is stored: the picture of a widget, not the id of one that is gone.

    settings: environment variables of the kernel, besides QUIET.
    Returns {"seconds": of all cells with the kernel's start, "memory_mib": the kernel's peak of resident memory, None
    where the system does not tell}.
    """
    from nbclient import NotebookClient

    env = os.environ | QUIET | (settings or {})
    env.pop("MPLBACKEND", None)  # a kernel that inherits it shows no figures
    start = time.perf_counter()
    client = NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": str(folder)}})
    client.reset_execution_trackers()
    with client.setup_kernel(env=env):
        for place, cell in enumerate(notebook.cells):
            client.execute_cell(cell, place)
        peak = process_bytes("VmHWM", client.km.provisioner.pid)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # time stamps would change at every run
        for output in cell.get("outputs", []):  # without its kernel a widget shows nothing, and would hide its picture
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        if "outputs" in cell:
            cell.outputs = in_whole_streams(cell.outputs)
    return {"seconds": time.perf_counter() - start, "memory_mib": peak and peak // 2**20}


def in_whole_streams(outputs: list) -> list:
    """The outputs, with neighbours of one stream joined: where a kernel cuts what is printed depends on its timing."""
    whole = []
    for output in outputs:
        if whole and output.output_type == whole[-1].output_type == "stream" and output.name == whole[-1].name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole
