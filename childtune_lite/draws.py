"""Random bits without a generator: each one is a pure function of (seed, step, name, index).

An ordinary generator hands out numbers in the order in which they are asked for. A mask drawn from one changes when
anything else draws first, and it differs between a CPU and a GPU, and between ranks that draw different amounts.
Here every entry's number is *computed* from where it stands: a key made of (seed, step, parameter name) and the
entry's flat index go through a mixing function, the same integers on every device. Nothing is stored, nothing is
shared, and drawing a mask cannot disturb data order or dropout.

The mixer is two rounds of shift, XOR and multiply, with the well-known constants of C. Wellons' "lowbias32"
(hash-prospector, public domain). Notebook 01 uses it through `BernoulliMask`; notebook 09 takes it apart.
"""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

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


class Piece(NamedTuple):
    """Entries start .. start + size - 1 of the tensor at place `which`: where they lie in the buffer of bits."""

    which: int
    start: int
    size: int
    offset: int

    @property
    def entries(self) -> slice:
        return slice(self.start, self.start + self.size)

    @property
    def in_buffer(self) -> slice:
        return slice(self.offset, self.offset + self.size)


def _fill_chunks(sizes: Sequence[int], chunk: int) -> Iterator[list[Piece]]:
    """Lay the tensors end to end and cut into chunks: a long tensor spans several, many short ones share one."""
    pieces, offset = [], 0
    for which, size in enumerate(sizes):
        start = 0
        while start < size:
            piece = Piece(which, start, min(size - start, chunk - offset), offset)
            pieces.append(piece)
            start, offset = start + piece.size, offset + piece.size
            if offset == chunk:
                yield pieces
                pieces, offset = [], 0
    if pieces:
        yield pieces


def random_int32_of_many(
    keys: Sequence[tuple[int, int]], sizes: Sequence[int], device: torch.device | str = "cpu"
) -> Iterator[tuple[list[Piece], torch.Tensor]]:
    """Yield (pieces, bits): int32 draws, uniform over all 2^32 values, for every entry of tensors of these sizes.

    An entry's draw depends on its tensor's key and its flat index, not on how tensors share a chunk. `bits` is one
    buffer that the next round overwrites: use it, or change it, before you go on.
    """
    check_entries(max(sizes, default=0))
    # On a GPU a chunk is larger, since each call costs a launch.
    chunk = min(sum(sizes), CHUNK if torch.device(device).type == "cpu" else 8 * CHUNK)
    counter = torch.arange(chunk, dtype=torch.int32, device=device)
    bits, scratch = torch.empty_like(counter), torch.empty_like(counter)
    for pieces in _fill_chunks(sizes, chunk):
        used = slice(0, pieces[-1].in_buffer.stop)
        x, tmp = bits[used], scratch[used]
        # One key is added before the first round, the other XORed in between the rounds. With a XOR at the start
        # alone, two steps could give the same mask with neighbours swapped.
        for piece in pieces:
            torch.add(counter[: piece.size], _int32(keys[piece.which][0] + piece.start), out=x[piece.in_buffer])
        _xor_shifted(x, 16, tmp)
        x.mul_(_MULTIPLY_1)
        for piece in pieces:
            x[piece.in_buffer].bitwise_xor_(keys[piece.which][1])
        _xor_shifted(x, 15, tmp)
        x.mul_(_MULTIPLY_2)
        _xor_shifted(x, 16, tmp)
        yield pieces, x


def random_int32(
    key: tuple[int, int], n: int, device: torch.device | str = "cpu"
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (start, bits) for the entries start, start + 1, ... of one tensor of n entries; see above."""
    for (piece,), bits in random_int32_of_many([key], [n], device):
        yield piece.start, bits


def _mask_(flat, key_0, key_1, threshold, factor) -> None:
    """The draw of `random_int32` as one formula, applied: flat *= factor where bits < threshold, else 0."""

    def xor_shifted(x, shift):
        return x ^ ((x >> shift) & ((1 << (32 - shift)) - 1))

    x = torch.arange(flat.numel(), dtype=torch.int32, device=flat.device) + key_0
    x = (xor_shifted(x, 16) * _MULTIPLY_1) ^ key_1
    x = xor_shifted(xor_shifted(x, 15) * _MULTIPLY_2, 16)
    flat.mul_(torch.where(x < threshold, factor, 0.0))


@functools.cache
def _compiled_mask_():
    return torch.compile(_mask_, dynamic=True)


def apply_compiled_(flat: torch.Tensor, key: tuple[int, int], threshold: int, factor: float) -> None:
    """`_mask_` as one kernel, the same for all steps: its numbers come as 0-dim tensors, since ints are compiled in."""
    check_entries(flat.numel())
    integers = [torch.tensor(_int32(x), dtype=torch.int32) for x in (*key, threshold)]
    _compiled_mask_()(flat, *integers, torch.tensor(factor, dtype=torch.float32))


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
