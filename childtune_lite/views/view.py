"""What a widget is made of, without any widget: a pure function, and the values its controls may take.

A `View` can be drawn, tested over its whole grid and stored in a notebook where no browser is at hand. `explore.py`
binds it to controls.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KINDS = ("slider", "buttons", "play", "press")


@dataclass(frozen=True)
class Choice:
    """One control: a short list of values, one of which is set.

    Attributes:
        label: what stands beside the control.
        options: the values, in order. Finite, so that a test can visit all of them.
        value: the one that is set at first.
        kind: "slider"; "buttons", one for each value; "play", a slider that can also run by itself, for equally
            spaced whole numbers; "press", a button that moves on to the next value until the last, and back to the
            first when any other control moves.
        names: what the reader sees for each value; None shows the value itself.
    """

    label: str
    options: tuple
    value: object
    kind: str = "slider"
    names: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r}: expected one of {', '.join(KINDS)}")
        if self.value not in self.options:
            raise ValueError(f"value={self.value!r} of {self.label!r} is none of its options {self.options}")
        if self.names is not None and len(self.names) != len(self.options):
            raise ValueError(f"names of {self.label!r}: {len(self.names)} for {len(self.options)} options")
        if self.kind == "play" and len({b - a for a, b in itertools.pairwise(self.options)}) != 1:
            raise ValueError(f"options of {self.label!r}: a player needs two or more values, equally spaced")

    @property
    def shown(self) -> tuple[str, ...]:
        """The text for each option."""
        return self.names or tuple(f"{o:g}" if isinstance(o, (int, float)) else str(o) for o in self.options)


@dataclass(frozen=True)
class View:
    """A pure function of a few settings, and what its controls may be set to.

    Attributes:
        draw: called as draw(**settings), one value for each control; returns (matplotlib Figure, text). The text holds
            the numbers behind the figure. The same settings give the same figure and text.
        controls: {setting: Choice}.
        alt: a description of the figure that fits all settings, for readers who do not see it.
    """

    draw: Callable[..., tuple]
    controls: dict[str, Choice]
    alt: str

    @property
    def defaults(self) -> dict:
        """The settings at first."""
        return {name: choice.value for name, choice in self.controls.items()}

    def grid(self) -> Iterator[dict]:
        """All combinations of settings."""
        for values in itertools.product(*(choice.options for choice in self.controls.values())):
            yield dict(zip(self.controls, values, strict=True))
