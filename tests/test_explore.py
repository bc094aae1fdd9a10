"""The widgets in the kernel: what moving a control does. The browser's side is in test_browser.py."""

import base64
import itertools

import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from test_views_examples import fewer_examples
from test_views_vision import vision_tradeoff

import childtune_lite as ct
from childtune_lite.explore import Explorer
from childtune_lite.plots.style import styled
from childtune_lite.views import Choice, View


@styled
def bars(*heights):
    figure = Figure(figsize=(3, 2))
    figure.subplots().bar(range(len(heights)), heights)
    return figure


def small_view(draws=None):
    """A view with one control of each kind. It fails where a is 3 and b is "y"."""

    def draw(a, b, at, drawn):
        if draws is not None:
            draws.append((a, b, at, drawn))
        if a == 3 and b == "y":
            raise ArithmeticError("no such <place>")
        return bars(a, ord(b) - ord("w"), at, drawn), f"a {a}, b {b}, at {at}, drawn {drawn}"

    controls = {
        "a": Choice("a", (1, 2, 3), 1),
        "b": Choice("b", ("x", "y"), "x", "buttons"),
        "at": Choice("at", (0, 5, 10), 0, "play"),
        "drawn": Choice("draw", (0, 1, 2), 0, "press"),
    }
    return View(draw, controls, "Three bars, for the tests.")


def move(explorer, name, value):
    """Set a control to a value, as its reader would."""
    choice = explorer.view.controls[name]
    if choice.kind != "press":
        explorer.controls[name].value = value
    else:
        while explorer.settings[name] != value:
            explorer.controls[name].click()


VIEWS = [
    small_view, ct.views.mask_explorer, ct.views.update_cloud, ct.views.escape_walk, ct.views.two_entries,
    ct.views.memory_calculator, fewer_examples, vision_tradeoff,
]  # fmt: skip


@pytest.mark.parametrize("make", VIEWS, ids=lambda make: make.__name__)
def test_every_control_changes_picture_and_numbers_at_both_ends(make):
    view = make()
    for name, choice in view.controls.items():
        explorer = Explorer(view)
        seen = [(bytes(explorer.picture.value), explorer.numbers.value)]
        ends = choice.options[1:] if choice.kind == "press" else (choice.options[-1], choice.options[0])
        for value in (end for end in ends if end != explorer.settings[name]):
            move(explorer, name, value)
            assert explorer.settings == {**view.defaults, name: value}
            assert explorer.error is None
            seen.append((bytes(explorer.picture.value), explorer.numbers.value))
        for (picture, numbers), (next_picture, next_numbers) in itertools.pairwise(seen):
            assert picture != next_picture, name
            assert numbers != next_numbers, name
    assert not pyplot.get_fignums()


def test_what_is_shown_is_what_the_view_draws():
    explorer = Explorer(small_view())
    move(explorer, "a", 2)
    move(explorer, "at", 10)
    from childtune_lite.plots.style import png

    figure, text = small_view().draw(2, "x", 10, 0)
    assert explorer.picture.value == png(figure, quick=True)
    assert text in explorer.numbers.value
    assert explorer.view.alt in explorer.numbers.value  # for screen readers


def test_an_error_is_shown_in_place_and_goes_away():
    explorer = Explorer(small_view())
    move(explorer, "a", 3)
    move(explorer, "b", "y")
    assert isinstance(explorer.error, ArithmeticError)
    assert "no such &lt;place&gt;" in explorer.numbers.value
    assert 'role="alert"' in explorer.numbers.value
    assert explorer.picture.layout.display == "none"
    move(explorer, "a", 2)
    assert explorer.error is None
    assert "childtune-error" not in explorer.numbers.value
    assert explorer.picture.layout.display is None


def test_a_view_that_fails_at_once_fails_in_the_cell():
    view = small_view()
    broken = View(view.draw, {**view.controls, "a": Choice("a", (3,), 3), "b": Choice("b", ("y",), "y", "buttons")}, "")
    with pytest.raises(ArithmeticError):
        Explorer(broken)


def test_a_button_counts_to_its_end_and_starts_again_when_another_control_moves():
    explorer = Explorer(small_view())
    button = explorer.controls["drawn"]
    button.click()
    button.click()
    assert explorer.settings["drawn"] == 2
    assert button.disabled
    move(explorer, "a", 2)
    assert explorer.settings["drawn"] == 0
    assert not button.disabled
    button.click()
    assert explorer.settings["drawn"] == 1


def test_a_frame_is_drawn_once():
    draws = []
    explorer = Explorer(small_view(draws))
    for a in (2, 1, 2, 1):
        move(explorer, "a", a)
    assert len(draws) == 2
    explorer.forget()
    explorer.redraw()
    assert len(draws) == 3


def test_one_step_of_the_player():
    explorer = Explorer(small_view())
    player, once, slider = explorer.box.children[0].children[2].children
    assert slider is explorer.controls["at"]
    for expected in (5, 10, 0):
        once.click()
        assert slider.value == expected == explorer.settings["at"]
    assert (player.min, player.max, player.step) == (0, 10, 5)


def test_the_cell_keeps_a_picture_and_a_text_beside_the_widget(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *args, **kwargs: shown.append((args, kwargs)))
    ct.explore(small_view())
    ((bundle,), options) = shown[0]
    assert set(bundle) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "[Widget] Three bars, for the tests.\na 1, b x, at 0, drawn 0"
    assert options == {"raw": True, "metadata": {"image/png": {"alt": "Three bars, for the tests."}}}
