"""What runs here: versions and device, printed by the set-up cell of every notebook."""

import os
from importlib.metadata import version

import torch


def about() -> None:
    """Print the versions that matter and the device that will be used, and what the device means for the time."""
    packages = ("childtune-lite", "torch", "transformers", "datasets")
    print(", ".join(f"{name} {version(name).split('+')[0]}" for name in packages))
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        print(f"Device: {torch.cuda.get_device_name(0)}, {memory:.0f} GiB. Expect less than the time above.")
    else:
        print(f"Device: CPU, {os.cpu_count()} cores. No GPU is needed; the time above was measured on 2 cores.")
