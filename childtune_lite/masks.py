"""Child-Tuning_F: a fresh Bernoulli mask on the gradient at every step (Xu et al., EMNLP 2021, section 2.2).

Each entry of the gradient is kept with probability p_F and divided by p_F, so that the expected gradient stays what
it was. p_F = 1 is plain fine-tuning. `bernoulli_mask` is the idea in one line; `BernoulliMask` puts it on any
optimizer. Taught in notebook 01.
"""

import hashlib
import weakref
from collections.abc import Callable

import torch

from .draws import (
    CHUNK,
    apply_compiled_,
    bernoulli_threshold,
    check_entries,
    float32_bits,
    make_key,
    random_int32_of_many,
)
from .hooks import Joint, check_scope, check_share, clean_name
from .shards import local_part


def bernoulli_mask(gradient: torch.Tensor, p: float, generator: torch.Generator | None = None) -> torch.Tensor:
    """A 0/1 mask of the gradient's shape, dtype and device: each entry is 1 with probability p.

    Dividing by p is left to the caller, so that the effect of that factor can be seen. For teaching: it draws from an
    ordinary generator (PyTorch's global one unless `generator` is given). Taught in notebook 01.
    """
    # Not `bernoulli_`: PyTorch draws it in another way on some CPUs, and a notebook should show the same mask on all.
    fine = torch.float32 if gradient.device.type == "mps" else torch.float64
    coins = torch.rand(gradient.shape, dtype=fine, device=gradient.device, generator=generator)
    return (coins < check_share(p)).to(gradient.dtype)


_LONG = CHUNK // 8  # entries from which on a tensor is worth a compiled kernel's call of its own


class BernoulliMask:
    """The mask of Child-Tuning_F, attached to an ordinary optimizer.

    Args:
        p: share of the entries that is kept at each step, in (0, 1]; the paper's p_F. May be set while training runs
            (`mask.p = 0.5`): it takes effect at the next step.
        seed: which masks are drawn. Entry i of parameter `name` at step t is kept or not by a pure function of
            (seed, t, name, i): the same on CPU and GPU, on every rank and after every resume, and no random state is
            touched.
        scope: which parameters are masked, a predicate on their names. None masks all that the optimizer holds, as
            Algorithm 1 of the paper and the released code do (ChildTuningOptimizer.py).
        compile: draw and multiply in one kernel made by `torch.compile`: the same masks, sooner, after some seconds of
            compiling at the first step. Needs a C++ compiler for the CPU, Triton for a GPU.

    Example:
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=4e-5)
        >>> handle = ct.BernoulliMask(p=0.3, seed=0).attach(optimizer, model)
    """

    def __init__(self, p: float, seed: int = 0, scope: Callable[[str], bool] | None = None, *, compile: bool = False):
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(f"seed={seed!r}: expected an int")
        if scope is not None:
            check_scope(scope)
        self.p, self.seed, self.scope, self.compile = p, seed, scope, compile
        self.step = 0  # optimizer steps taken since attach
        self._joint = None  # a weak reference: the mask does not keep an optimizer alive

    @property
    def p(self) -> float:
        return self._p

    @p.setter
    def p(self, value: float) -> None:
        self._p = check_share(value)

    def attach(self, optimizer: torch.optim.Optimizer, model: torch.nn.Module | None = None) -> Joint:
        """Mask the gradients each time `optimizer` steps; counting starts at step 0. Returns a handle to `remove()`.

        A parameter is known by its name: the optimizer's own (`param_names`, when it was made from named parameters),
        else its name in `model`, else its place in the optimizer ("0.3": group 0, parameter 3).
        """
        joint = self._joint and self._joint()
        if joint is not None and joint.optimizer is not None:
            raise ValueError("this BernoulliMask is attached already: call handle.remove() first, or make another mask")
        joint = _BernoulliJoint(self, optimizer, model)
        self.step, self._joint = 0, weakref.ref(joint)
        return joint

    @torch.no_grad()
    def keep(self, name: str, shape: tuple[int, ...], step: int | None = None, device="cpu") -> torch.Tensor:
        """The bool mask of parameter `name` at `step` (default: the step that comes next). True is kept."""
        mask = torch.ones(shape, device=device)
        self._apply_([make_key(self.seed, self.step if step is None else step, name)], [mask.view(-1)])
        return mask != 0

    @torch.no_grad()
    def masked(self, name: str, gradient: torch.Tensor) -> torch.Tensor:
        """What the optimizer will see of this gradient at the step that comes next: kept entries / p, else 0."""
        flat = gradient.detach().clone(memory_format=torch.contiguous_format).view(-1)
        if self.scope is None or self.scope(name):
            self._apply_([make_key(self.seed, self.step, name)], [flat])
        return flat.view(gradient.shape)

    def _apply_(self, keys: list[tuple[int, int]], flats: list[torch.Tensor]) -> None:
        """Multiply flat gradients, all on one device, by mask / p, in place."""
        if self.p == 1:
            return  # so that p = 1 is the plain optimizer bit for bit, and costs nothing
        threshold, drawn_p = bernoulli_threshold(self.p)
        if self.compile:  # a kernel for each long tensor; the short ones share their calls below
            for key, flat in zip(keys, flats, strict=True):
                if flat.numel() >= _LONG:
                    apply_compiled_(flat, key, threshold, 1 / drawn_p)
            keys = [key for key, flat in zip(keys, flats, strict=True) if flat.numel() < _LONG]
            flats = [flat for flat in flats if flat.numel() < _LONG]
        if not flats:
            return
        one_over_p = float32_bits(1 / drawn_p)
        for pieces, bits in random_int32_of_many(keys, [flat.numel() for flat in flats], flats[0].device):
            # 0 or 1, times the bit pattern of the float 1/p: the factor 0.0 or 1/p, in one pass without a conversion.
            # It stays float32 for half-precision gradients, too: 1/p would lose digits in bfloat16.
            factor = bits.lt_(threshold).mul_(one_over_p).view(torch.float32)
            torch._foreach_mul_([flats[p.which][p.entries] for p in pieces], [factor[p.in_buffer] for p in pieces])


class _BernoulliJoint(Joint):
    kind = "BernoulliMask"

    def __init__(self, mask: BernoulliMask, optimizer: torch.optim.Optimizer, model: torch.nn.Module | None):
        self.mask, self.model = mask, model
        super().__init__(optimizer)
        try:
            self.names = self._name_parameters()
            if mask.scope is not None and not any(map(mask.scope, self.names.values())):
                raise ValueError(
                    f"scope matches none of the optimizer's {len(self.names)} parameters (the first is called "
                    f"{next(iter(self.names.values()))!r}), so nothing would be masked. Give attach() the model, so "
                    "that parameters have names, or another scope."
                )
        except ValueError:
            self.remove()
            raise

    def _name_parameters(self) -> dict[int, str]:
        in_model = {} if self.model is None else {id(p): clean_name(n) for n, p in self.model.named_parameters()}
        names = {}
        for g, group in enumerate(self.optimizer.param_groups):
            for i, param in enumerate(group["params"]):
                if "param_names" in group:
                    name = clean_name(group["param_names"][i])
                elif self.model is None:
                    name = f"{g}.{i}"
                elif id(param) in in_model:
                    name = in_model[id(param)]
                else:
                    raise ValueError(
                        f"model has no parameter for entry {i} of the optimizer's group {g} (shape "
                        f"{tuple(param.shape)}): attach the mask with the model whose parameters the optimizer holds"
                    )
                names[id(param)] = name
        return names

    @torch.no_grad()
    def before_step(self) -> None:
        params = [param for group in self.optimizer.param_groups for param in group["params"]]
        if any(id(param) not in self.names for param in params):  # a group was added since
            self.names = self._name_parameters()
        grads, keys = [], []
        for param in params:
            name, grad = self.names[id(param)], param.grad
            if grad is None or (self.mask.scope is not None and not self.mask.scope(name)):
                continue
            if grad.layout != torch.strided:
                raise ValueError(f"the gradient of {name!r} is sparse; a mask needs a dense one (sparse=False)")
            check_entries(grad.numel())
            grad, start = local_part(name, grad)
            key_0, key_1 = make_key(self.mask.seed, self.mask.step, name)
            grads.append(grad)
            keys.append((key_0 + start, key_1))  # entry i of a shard is entry start + i of the parameter
        flats = [grad.reshape(-1) for grad in grads]  # views where memory allows, else copies to be written back
        for device in {flat.device for flat in flats}:
            here = [i for i, flat in enumerate(flats) if flat.device == device]
            self.mask._apply_([keys[i] for i in here], [flats[i] for i in here])
        for grad, flat in zip(grads, flats, strict=True):
            if flat.data_ptr() != grad.data_ptr():
                grad.copy_(flat.view_as(grad))

    def after_step(self, taken: bool) -> None:
        self.mask.step += taken

    def state(self) -> dict:
        return {"p": self.mask.p, "seed": self.mask.seed, "step": self.mask.step, "names": self._digest()}

    def load_state(self, state: dict) -> None:
        for setting in ("p", "seed"):
            if state[setting] != getattr(self.mask, setting):
                raise ValueError(
                    f"state_dict was saved with {setting}={state[setting]}, this mask has {setting}="
                    f"{getattr(self.mask, setting)}: make BernoulliMask(p={state['p']}, seed={state['seed']})"
                )
        if state["names"] != self._digest():
            raise ValueError(
                "state_dict was saved with other masked parameters: it belongs to another model, optimizer or scope"
            )
        self.mask.step = state["step"]

    def _digest(self) -> str:
        masked = [name for name in self.names.values() if self.mask.scope is None or self.mask.scope(name)]
        return hashlib.blake2b("\n".join(masked).encode(), digest_size=8).hexdigest()

    def remove(self) -> None:
        super().remove()
        self.mask._joint = None
