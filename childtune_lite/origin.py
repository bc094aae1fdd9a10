"""Where a recorded number comes from: the commit, the machine and the versions that made it."""

import functools
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def origin(device: str) -> dict:
    """The part that every record shares; the first call's answer holds for the process."""
    return {
        "commit": commit(),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        # torch's own word names the build: +cpu, +cu130. Its package's does not always.
        "versions": {"torch": str(torch.__version__), "transformers": version("transformers")},
    }


def cpu() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def commit() -> str | None:
    """The commit, with a + when the module's files differ from it; None outside a checkout."""
    if not (ROOT / ".git").exists():  # installed: a repository further up would be somebody else's
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "-uno", "childtune_lite"], cwd=ROOT, capture_output=True, text=True
        )
    except OSError:
        return None
    return head.stdout.strip() + "+" * bool(changed.stdout.strip()) if head.returncode == 0 else None


def process_bytes(what: str, process: int | str = "self") -> int | None:
    """Resident bytes of a process now (what="VmRSS") or at its peak ("VmHWM"); None where the system does not tell."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:")), None)
