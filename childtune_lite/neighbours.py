"""The well-known neighbours of Child-Tuning, at the same budget: BitFit, LoRA, Mixout, and decay toward the parent.

Each sets up one training run, as the recipes of `recipes.py` do, and changes the model in place. Taught in notebook 07.
"""

import torch
from torch import nn
from torch.nn.utils import parametrize

from .draws import make_key
from .hooks import step_was_taken

LORA_RANK = 8
PULL = 10.0  # of `decay_to_parent`, times the learning rate at each step


def head_names(model: nn.Module) -> set[str]:
    """The parameters outside `model.base_model`: the fresh head, which every method must train."""
    body = {id(p) for p in model.base_model.parameters()}
    return {name for name, p in model.named_parameters() if id(p) not in body}


def freeze_all_but(model: nn.Module, wanted) -> list[tuple[str, nn.Parameter]]:
    """Only the parameters whose name `wanted` accepts go on training; returns them with their names."""
    for name, param in model.named_parameters():
        param.requires_grad_(bool(wanted(name)))
    return [(name, param) for name, param in model.named_parameters() if param.requires_grad]


def bitfit(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """All biases and the head train (Ben-Zaken et al., ACL 2022)."""
    head = head_names(model)
    return freeze_all_but(model, lambda name: name in head or name.endswith("bias"))


def lora(model: nn.Module, seed: int) -> list[tuple[str, nn.Parameter]]:
    """A low-rank addition to every Linear layer of the body trains, and the head (Hu et al., ICLR 2022; `peft`).

    Rank 8, alpha 16, no dropout of its own. The additions start at zero, so the first forward pass is the parent's.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ValueError("recipe='lora' needs the package peft: pip install peft") from error
    head = head_names(model)
    layers = [n for n, m in model.base_model.named_modules() if isinstance(m, nn.Linear)]
    config = LoraConfig(r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules=layers)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        inject_adapter_in_model(config, model.base_model)
    return freeze_all_but(model, lambda name: name in head or ".lora_" in name)


class Mixout(nn.Module):
    """A weight during training: a share of its entries is the parent's, drawn anew at every forward pass.

    Lee et al., ICLR 2020: with w0 the parent's weight and m ~ Bernoulli(swapped), an entry of 0/1,
    (m w0 + (1 - m) w - swapped w0) / (1 - swapped). Its mean over m is w. In evaluation mode it is w itself.
    Its draws follow from the seed, the name and the number of the pass, so dropout's draws stay those of other runs.
    """

    def __init__(self, parent: torch.Tensor, swapped: float, seed: int = 0, name: str = ""):
        super().__init__()
        self.register_buffer("parent", parent.detach().clone(), persistent=False)
        self.swapped, self.seed, self.name, self.passes = swapped, seed, name, 0

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        if not self.training or self.swapped == 0:
            return weight
        generator = torch.Generator(weight.device).manual_seed(abs(make_key(self.seed, self.passes, self.name)[0]))
        self.passes += 1
        kept = torch.empty_like(weight).bernoulli_(1 - self.swapped, generator=generator)
        # The definition, with the parent's share taken out: w0 + (1 - m) (w - w0) / (1 - swapped).
        return self.parent + kept * (weight - self.parent) / (1 - self.swapped)


def mixout(model: nn.Module, p: float, seed: int) -> list[tuple[str, nn.Parameter]]:
    """Every Linear weight of the body goes through `Mixout`; p is the share of entries that is not swapped."""
    for name, module in list(model.base_model.named_modules()):
        if isinstance(module, nn.Linear):
            mixed = Mixout(module.weight, 1 - p, seed, name)
            parametrize.register_parametrization(module, "weight", mixed)
    return list(model.named_parameters())


def pull_to_parent(optimizer: torch.optim.Optimizer, model: nn.Module, pull: float = PULL) -> None:
    """After every step the body's weights shrink toward where they started: w -= lr * pull * (w - w0).

    The decoupled weight decay of AdamW, with the parent w0 in the place of zero (Chelba and Acero, 2004; Wiese et
    al., 2017). The head has no parent and is left alone. Keeps one copy of the body.
    """
    head = head_names(model)
    start = {p: p.detach().clone() for name, p in model.named_parameters() if name not in head}

    @torch.no_grad()
    def pull_back(optimizer, args, kwargs):
        if not step_was_taken(optimizer):
            return
        for group in optimizer.param_groups:
            for param in group["params"]:
                if param in start:
                    param.lerp_(start[param], min(1.0, group["lr"] * pull))

    optimizer.register_step_post_hook(pull_back)


def fold(model: nn.Module) -> nn.Module:
    """Make a tuned network plain again, in place: the parent's class and parameter names, nothing added.

    LoRA's product is added to the weight it belongs to, Mixout's parametrization is taken off. Returns the model.
    """
    for name, module in list(model.named_modules()):
        if hasattr(module, "lora_A"):
            module.merge()
            model.set_submodule(name, module.get_base_layer())
        elif parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
    return model
