"""The numbers that a step is computed in: float32, or a 16-bit type where the card can do it. Taught in notebook 06."""

import torch

PRECISIONS = ("float32", "bfloat16", "float16")


def best_precision(device: str | torch.device) -> str:
    """bfloat16 on a GPU that computes in it (from Ampere on), float16 on an older one (Colab's T4), else float32."""
    if torch.device(device).type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


class Precision:
    """Autocast, and the loss scaler that float16 needs. The weights and the optimizer stay in float32.

    Args:
        name: one of `PRECISIONS`, or "auto" for what `best_precision` finds.
        device: where the step is computed.

    Attributes:
        scaler: a `torch.amp.GradScaler`; switched off unless the type is float16, and then it does nothing at all.
    """

    def __init__(self, name: str, device: str | torch.device):
        if name not in (*PRECISIONS, "auto"):
            raise ValueError(f"precision={name!r}: expected one of {', '.join(PRECISIONS)}, or 'auto'")
        self.device = torch.device(device)
        self.name = best_precision(device) if name == "auto" else name
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.name == "float16")

    def autocast(self):
        """The context of a forward pass."""
        return torch.autocast(self.device.type, getattr(torch, self.name), enabled=self.name != "float32")
