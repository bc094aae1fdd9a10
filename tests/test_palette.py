"""The palette, measured as readers with a colour vision deficiency and readers of a grey print see it."""

from itertools import combinations

import numpy as np
import pytest

from childtune_lite.plots import fisher, style

COLOURS = {name: getattr(style, name) for name in ("BLUE", "ORANGE", "GREEN", "PINK", "SKY", "BROWN", "GREY")}
# Linear RGB as seen with a complete deficiency: Machado, Oliveira, Fernandes, "A Physiologically-based Model for
# Simulation of Color Vision Deficiency", 2009, severity 1.0.
SEEN = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, white point D65."""
    x, y, z = (
        np.cbrt(t) if t > 0.008856 else 7.787 * t + 16 / 116 for t in XYZ @ np.clip(rgb, 0, 1) / (0.95047, 1, 1.08883)
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(a: str, b: str, seen: str) -> float:
    """How far apart two colours look (CIE 1976); about 2 is just noticed, side by side."""
    return float(np.linalg.norm(lab(SEEN[seen] @ linear(a)) - lab(SEEN[seen] @ linear(b))))


@pytest.mark.parametrize("name", COLOURS)
def test_a_line_stands_out_from_white(name):
    luminance = linear(COLOURS[name]) @ XYZ[1]
    assert 1.05 / (luminance + 0.05) >= 3, "WCAG 2.1, 1.4.11: graphics want 3 to 1"


@pytest.mark.parametrize("seen", SEEN)
def test_any_two_colours_differ(seen):
    apart = {pair: difference(COLOURS[pair[0]], COLOURS[pair[1]], seen) for pair in combinations(COLOURS, 2)}
    nearest = min(apart, key=apart.get)
    assert apart[nearest] > 12, f"{nearest} are {apart[nearest]:.0f} apart under {seen}"


def test_in_grey_and_everywhere_a_second_sign_tells_the_recipes_apart():
    """In grey several of these colours look alike, so no two recipes may share both marker and line style."""
    greys = [lab(linear(colour))[0] for colour in COLOURS.values()]
    assert min(abs(a - b) for a, b in combinations(greys, 2)) < 5, "were this not so, colour alone would do"
    signs = [(look["marker"], look["linestyle"]) for look in style.RECIPE_STYLE.values()]
    assert len(set(signs)) == len(signs)
    markers = [look["marker"] for look in style.RECIPE_STYLE.values()]
    assert len(set(markers)) == len(markers), "points without lines are told by the marker alone"
    assert len(set(style.MARKERS)) == len(style.MARKERS)
    lines = [line for _, line in fisher._KINDS]
    assert len(set(lines)) == len(lines), "kinds of parameters are told by the line"
    assert set(COLOURS.values()) >= {look["color"] for look in style.RECIPE_STYLE.values()}


def test_the_simulation_confuses_what_it_should():
    """A control: red and green of equal lightness, far apart for most, close for deuteranopes."""
    red, green = "#C04040", "#6F7F20"
    assert difference(red, green, "normal") > 2.5 * difference(red, green, "deuteranopia")
    blue, green = "#0072B2", "#009E73"
    assert difference(blue, green, "normal") > 2.5 * difference(blue, green, "tritanopia")
