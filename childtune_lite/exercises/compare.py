"""Compare a learner's result with the wanted one: exact, approximate, largest difference, shape.

A result may be a tensor, a number, a bool, a string, None, or a list, tuple or dict of these.
"""

from dataclasses import dataclass

import torch

# Relative to the largest wanted value: what rounding in a few operations may leave in each dtype.
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


@dataclass(frozen=True)
class Comparison:
    """Of one case. `problem` is None for a right result, else what is wrong with it in one sentence."""

    exact: bool
    close: bool
    difference: float
    shape: str
    problem: str | None = None

    def line(self) -> str:
        """Exact / approximate / largest difference / shape, as one line."""
        words = {True: "yes", False: "no"}
        return (
            f"exact: {words[self.exact]}; approximate: {words[self.close]}; "
            f"largest difference: {self.difference:.2g}; shape: {self.shape}"
        )


def leaves(result, path="your result"):
    """Every tensor, number or other value inside `result`, with words that say where it stands."""
    if isinstance(result, dict):
        for key, value in result.items():
            yield from leaves(value, f"{path}[{key!r}]")
    elif isinstance(result, list | tuple):
        for place, value in enumerate(result):
            yield from leaves(value, f"{path}[{place}]")
    else:
        yield path, result


def compare(got, wanted, tolerance: float | None = None, dtypes: bool = True) -> Comparison:
    """Compare two results. `tolerance` (absolute) replaces the dtype's rounding; `dtypes` asks for equal dtypes."""
    if isinstance(wanted, list | tuple) and hasattr(got, "tolist") and got.ndim == 1:
        got = got.tolist()  # three numbers in an array are three numbers
    have, want = dict(leaves(got)), dict(leaves(wanted))
    if got is None and wanted is not None:
        return unlike("your function returned None: does its last line begin with `return`?")
    if set(have) != set(want):
        return unlike(f"the result has other parts: {_names(have)} where {_names(want)} was wanted")
    parts = [_one(path, have[path], want[path], tolerance, dtypes) for path in want]
    problem = next((part.problem for part in parts if part.problem), None)
    shapes = {part.shape for part in parts}
    return Comparison(
        exact=all(part.exact for part in parts),
        close=all(part.close for part in parts),
        difference=max((part.difference for part in parts), default=0.0),
        shape=shapes.pop() if len(shapes) == 1 else "as wanted",
        problem=problem,
    )


def unlike(problem: str) -> Comparison:
    """A result that cannot be compared with the wanted one, and why."""
    return Comparison(False, False, float("inf"), "not comparable", problem)


def _name(path: str) -> str:
    """How a part is called: `mean` in code style, "share of ones" as it is, a lone result as it stands."""
    short = path.removeprefix("your result").replace("['", "").replace("']", "")
    return f"`{short}`" if short and " " not in short else short or path


def _names(parts, most: int = 6) -> str:
    named = ["one value" if path == "your result" else _name(path) for path in parts]
    rest = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + rest or "nothing"


def _one(path, got, want, tolerance, dtypes) -> Comparison:
    if isinstance(want, bool) and isinstance(got, bool) and got != want:  # a fact about what was observed
        yes = {True: "yes", False: "no"}
        return unlike(f"{_name(path)}: {yes[got]}, wanted {yes[want]}")
    if isinstance(want, str | None) or isinstance(got, str | None):
        same = got == want
        problem = None if same else f"{_name(path)} is {got!r}, wanted {want!r}"
        return Comparison(same, same, 0.0 if same else float("inf"), "-", problem)
    try:
        a = torch.as_tensor(got)
    except (TypeError, ValueError, RuntimeError):
        return unlike(f"{_name(path)} is a {type(got).__name__}, which is no tensor or number")
    b = torch.as_tensor(want)
    if a.shape != b.shape:
        shape = f"{tuple(a.shape)}, wanted {tuple(b.shape)}"
        return Comparison(False, False, float("inf"), shape, f"{_name(path)} has shape {shape}")
    shape = f"{tuple(b.shape)} as wanted"
    if dtypes and isinstance(want, torch.Tensor) and a.dtype != b.dtype:
        name = str(a.dtype).removeprefix("torch."), str(b.dtype).removeprefix("torch.")
        return Comparison(False, False, float("inf"), shape, f"{_name(path)} is {name[0]}, wanted {name[1]}")
    allowed = tolerance
    x, y = a.detach().double(), b.detach().double()
    if allowed is None:
        largest = y[y.isfinite()].abs().max().item() if y.isfinite().any() else 0.0
        allowed = ROUNDING.get(b.dtype if isinstance(want, torch.Tensor) else torch.float32, 0.0) * largest
    if not torch.equal(x.isfinite(), y.isfinite()):
        return Comparison(False, False, float("inf"), shape, f"{_name(path)} holds NaN or infinite values")
    off = (x - y)[y.isfinite()].abs().max().item() if y.isfinite().any() else 0.0
    problem = None if off <= allowed else f"{_name(path)} {_away(x, y, off, allowed)}"
    return Comparison(off == 0, off <= allowed, off, shape, problem)


def _away(x: torch.Tensor, y: torch.Tensor, off: float, allowed: float) -> str:
    """What the difference looks like: the same factor everywhere, a wrong sign, or how many entries are wrong."""
    where = y != 0
    factors = (x[where] / y[where]) if bool(where.any()) and torch.equal(x[~where], y[~where]) else torch.tensor([])
    if len(factors) and torch.allclose(factors, factors[:1].expand_as(factors), rtol=1e-2):
        factor, everywhere = factors[0].item(), ", everywhere" if len(factors) > 1 else ""
        if abs(factor) < 1e-6:
            return f"is zero{everywhere}"
        if abs(factor - 1) < 0.05:
            return f"is near, but off by up to {(factors - 1).abs().max():.1g} of itself. Was it simulated, or rounded?"
        return f"is {factor:.3g} times what was wanted{everywhere}"
    if x.numel() == 1:
        return f"is {x.item():.4g}, wanted {y.item():.4g}"
    return f"differs in {int(((x - y).abs() > allowed).sum())} of {x.numel()} entries, by up to {off:.2g}"
