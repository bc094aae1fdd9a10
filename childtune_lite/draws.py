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

CHUNK = 1 << 17  # entries worked on at a time: three int32 buffers of this size stay in a core's cache
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


def random_int32(
    key: tuple[int, int], n: int, device: torch.device | str = "cpu"
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (start, bits): int32 draws, uniform over all 2^32 values, for entries start, start + 1, ... up to n.

    `bits` is a buffer of at most CHUNK entries that the next round overwrites: use it before you go on.
    """
    if n > MAX_ENTRIES:
        raise ValueError(
            f"a tensor of n={n} entries is too large: flat indices are int32, at most {MAX_ENTRIES} entries"
        )
    counter = torch.arange(min(n, CHUNK), dtype=torch.int32, device=device)
    bits, scratch = torch.empty_like(counter), torch.empty_like(counter)
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        x, tmp = bits[:size], scratch[:size]
        # One key is added before the first round, the other XORed in between the rounds. With a XOR at the start
        # alone, two steps could give the same mask with neighbours swapped.
        torch.add(counter[:size], _int32(key[0] + start), out=x)
        _xor_shifted(x, 16, tmp)
        x.mul_(_MULTIPLY_1).bitwise_xor_(key[1])
        _xor_shifted(x, 15, tmp)
        x.mul_(_MULTIPLY_2)
        _xor_shifted(x, 16, tmp)
        yield start, x


def bernoulli_threshold(p: float) -> tuple[int, float]:
    """The int32 `t` with P(bits < t) as near to p as 32 bits allow, and that probability itself."""
    count = min(max(round(p * 2**32), 1), 2**32 - 1)
    return count - 2**31, count / 2**32
