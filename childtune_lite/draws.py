"""Random bits without a generator: each one is a pure function of (seed, step, name, index).

An ordinary generator hands out numbers in the order in which they are asked for. A mask drawn from one changes when
anything else draws first, and it differs between a CPU and a GPU, and between ranks that draw different amounts.
Here every entry's number is *computed* from where it stands: a key made of (seed, step, parameter name) and the
entry's flat index go through a mixing function, the same integers on every device. Nothing is stored, nothing is
shared, and drawing a mask cannot disturb data order or dropout.

The mixer is two rounds of shift, XOR and multiply, with the well-known constants of C. Wellons' "lowbias32"
(hash-prospector, public domain). Notebook 01 uses it through `BernoulliMask`; notebook 09 takes it apart.
"""

import hashlib
from collections.abc import Iterator

import torch

CHUNK = 1 << 19  # entries worked on at a time: few calls, and three int32 buffers of this size stay in a CPU's cache
MAX_ENTRIES = 2**31 - 1  # flat indices are int32 all through the package


def _int32(x: int) -> int:
    """The signed 32-bit integer with the same low 32 bits as x."""
    x &= 0xFFFFFFFF
    return x - (1 << 32) if x >= 1 << 31 else x


_MULTIPLY_1, _MULTIPLY_2 = _int32(0x7FEB352D), _int32(0x846CA68B)


def make_key(seed: int, step: int, name: str) -> tuple[int, int]:
    """Two int32 keys for one parameter at one step. All 64 bits depend on all three arguments."""
    digest = hashlib.blake2b(f"{seed}|{step}|{name}".encode(), digest_size=8).digest()
    return tuple(int.from_bytes(half, "little", signed=True) for half in (digest[:4], digest[4:]))


def _xor_shifted(x: torch.Tensor, shift: int, scratch: torch.Tensor) -> None:
    """x ^= x >> shift, with zeros shifted in. PyTorch's >> copies the sign bit instead, so it is masked off."""
    torch.bitwise_right_shift(x, shift, out=scratch)
    x.bitwise_xor_(scratch.bitwise_and_((1 << (32 - shift)) - 1))


class Workspace:
    """The memory that drawing needs, kept from one parameter to the next: fresh memory costs more than the arithmetic.

    Args:
        n: entries of the largest parameter to be drawn for. On a GPU a chunk is larger, since each call costs a launch.
    """

    def __init__(self, n: int, device: torch.device | str = "cpu"):
        chunk = CHUNK if torch.device(device).type == "cpu" else 8 * CHUNK
        self.counter = torch.arange(min(n, chunk), dtype=torch.int32, device=device)
        self.bits, self.scratch = torch.empty_like(self.counter), torch.empty_like(self.counter)


def random_int32(
    key: tuple[int, int], n: int, device: torch.device | str = "cpu", workspace: Workspace | None = None
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (start, bits): int32 draws, uniform over all 2^32 values, for entries start, start + 1, ... up to n.

    `bits` is a buffer of the workspace that the next round overwrites: use it, or change it, before you go on.
    """
    check_entries(n)
    w = workspace or Workspace(n, device)
    chunk = max(w.counter.numel(), 1)
    for start in range(0, n, chunk):
        size = min(chunk, n - start)
        x, scratch = w.bits[:size], w.scratch[:size]
        # One key is added before the first round, the other XORed in between the rounds. With a XOR at the start
        # alone, two steps could give the same mask with neighbours swapped.
        torch.add(w.counter[:size], _int32(key[0] + start), out=x)
        _xor_shifted(x, 16, scratch)
        x.mul_(_MULTIPLY_1).bitwise_xor_(key[1])
        _xor_shifted(x, 15, scratch)
        x.mul_(_MULTIPLY_2)
        _xor_shifted(x, 16, scratch)
        yield start, x


def check_entries(n: int) -> None:
    """Flat indices are int32 all through the package."""
    if n > MAX_ENTRIES:
        raise ValueError(
            f"a tensor of n={n} entries is too large: flat indices are int32, at most {MAX_ENTRIES} entries"
        )


def bernoulli_threshold(p: float) -> tuple[int, float]:
    """The int32 `t` with P(bits < t) as near to p as 32 bits allow, and that probability itself."""
    count = min(max(round(p * 2**32), 1), 2**32 - 1)
    return count - 2**31, count / 2**32


def float32_bits(x: float) -> int:
    """The bit pattern of x as a float32, read as an int32."""
    return torch.tensor(x, dtype=torch.float32).view(torch.int32).item()
