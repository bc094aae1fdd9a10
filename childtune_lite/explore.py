"""Widgets: controls bound to a `View`. Move a control, and the picture and the numbers follow.

The picture is one `widgets.Image` that gets new PNG bytes, so nothing piles up. Tried in JupyterLab in a browser, and
with Colab's versions in the kernel; not in VS Code, Voila or Colab's own page. While a picture is being drawn the
browser keeps moves back and then sends the last one, so a fast drag ends on the right picture. A view that fails shows
its error in the widget's place.

What a cell stores is a picture and a text line as well, so that the demo can be seen where no kernel runs.
"""

import base64
import functools
import html
import threading

from .plots.style import WIDTH, png
from .views.view import Choice, View

_MAX_FRAMES = 256  # pictures kept, so that going back, or playing again, costs nothing
_ONE_AT_A_TIME = threading.Lock()  # newer kernels hear widgets in another thread than cells; matplotlib minds
_HIDDEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
_TABLE = "margin:0;line-height:1.35;font-size:13px;overflow-x:auto;white-space:pre"


class Explorer:
    """The widget of one view. `explore(view)` shows it; tests and the curious reach its parts.

    Attributes:
        settings: the values in force, one for each control.
        controls: {setting: the ipywidget that the reader moves}.
        picture, numbers: the `widgets.Image` and the `widgets.HTML` below it.
        error: what the last redraw raised, or None.
    """

    def __init__(self, view: View):
        import ipywidgets as widgets

        self.view, self.settings, self.error = view, view.defaults, None
        self._frame = functools.lru_cache(_MAX_FRAMES)(self._draw)
        picture, text = self._frame(*self.settings.values())  # a view that fails at its defaults fails in the cell
        self.text = text
        # With no width of its own the picture would be stretched to the page, and blurred.
        layout = widgets.Layout(width=f"{100 * WIDTH:.0f}px", max_width="100%", object_fit="contain")
        self.picture = widgets.Image(value=picture, format="png", layout=layout)
        self.numbers = widgets.HTML(value=self._page(text), layout=widgets.Layout(max_width="100%"))
        self.controls, rows = {}, []
        for name, choice in view.controls.items():
            row, self.controls[name] = _BUILD[choice.kind](self, name, choice)
            row.layout.margin = "2px 18px 2px 0"
            rows.append(row)
        panel = widgets.HBox(rows, layout=widgets.Layout(flex_flow="row wrap", align_items="center", width="100%"))
        self.box = widgets.VBox([panel, self.picture, self.numbers])

    def _draw(self, *values) -> tuple[bytes, str]:
        with _ONE_AT_A_TIME:
            figure, text = self.view.draw(**dict(zip(self.view.controls, values, strict=True)))
            return png(figure, quick=True), text

    def moved(self, name: str, value) -> None:
        """Take over what the reader set one control to. Buttons that count presses start again for new settings."""
        self.settings[name] = value
        for other, choice in self.view.controls.items():
            if choice.kind == "press":
                if other != name:
                    self.settings[other] = choice.options[0]
                self.controls[other].disabled = self.settings[other] == choice.options[-1]
        self.redraw()

    def redraw(self) -> None:
        """Draw the settings in force; an error is shown in the widget, and kept in `error`."""
        try:
            picture, self.text = self._frame(*self.settings.values())
        except Exception as error:
            self.complain(error)
            return
        self.error = None
        self.picture.value = picture
        self.picture.layout.display = None
        self.numbers.value = self._page(self.text)

    def complain(self, error: Exception) -> None:
        """Show an error in the widget's place."""
        self.error = error
        self.picture.layout.display = "none"  # a picture of other settings would mislead
        problem = html.escape(f"{type(error).__name__}: {error}\nat {self.settings}")
        style = f"{_TABLE};color:#B00020;background:white"
        self.numbers.value = f'<pre class="childtune-error" role="alert" style="{style}">{problem}</pre>'

    def forget(self) -> None:
        """Draw every frame anew: what the view shows has changed."""
        self._frame.cache_clear()

    def _page(self, text: str) -> str:
        """The numbers, and for screen readers the description of the picture, which ipywidgets gives no place to."""
        return f'<p style="{_HIDDEN}">{html.escape(self.view.alt)}</p><pre style="{_TABLE}">{html.escape(text)}</pre>'

    def _ipython_display_(self) -> None:
        from IPython.display import display

        widget = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        bundle = {
            "text/plain": f"[Widget] {self.view.alt}\n{self.text}",
            "image/png": base64.b64encode(bytes(self.picture.value)).decode(),
            "application/vnd.jupyter.widget-view+json": widget,
        }
        display(bundle, raw=True, metadata={"image/png": {"alt": self.view.alt}})


def explore(view: View) -> None:
    """Show a view with its controls. Taught in notebook 01; the views are in `childtune_lite.views`."""
    Explorer(view)._ipython_display_()


# ---- one builder for each kind of control: returns (what is laid out, what the reader moves)


def _labelled(choice: Choice) -> dict:
    options = list(zip(choice.shown, choice.options, strict=True))
    return {"options": options, "value": choice.value, "description": choice.label}


def _slider(explorer: Explorer, name: str, choice: Choice):
    import ipywidgets as widgets

    style, layout = {"description_width": "initial"}, widgets.Layout(width="320px")
    control = widgets.SelectionSlider(**_labelled(choice), style=style, layout=layout)
    control.observe(lambda change: explorer.moved(name, change["new"]), "value")
    return control, control


def _buttons(explorer: Explorer, name: str, choice: Choice):
    import ipywidgets as widgets

    style = {"description_width": "initial", "button_width": "auto"}
    control = widgets.ToggleButtons(**_labelled(choice), style=style)
    control.observe(lambda change: explorer.moved(name, change["new"]), "value")
    return control, control


def _press(explorer: Explorer, name: str, choice: Choice):
    import ipywidgets as widgets

    control = widgets.Button(description=choice.label, layout=widgets.Layout(width="auto"))

    def pressed(_):
        explorer.moved(name, choice.options[choice.options.index(explorer.settings[name]) + 1])

    control.on_click(pressed)
    return control, control


def _play(explorer: Explorer, name: str, choice: Choice):
    """A slider, a player that moves it by itself, and a button for one step. The player runs in the browser."""
    import ipywidgets as widgets

    first, step, last = choice.options[0], choice.options[1] - choice.options[0], choice.options[-1]
    span = {"min": first, "max": last, "step": step, "value": choice.value}
    style, layout = {"description_width": "initial"}, widgets.Layout(width="320px")
    slider = widgets.IntSlider(**span, description=choice.label, style=style, layout=layout)
    player = widgets.Play(**span, interval=400)
    once = widgets.Button(description="Step", layout=widgets.Layout(width="auto"))
    widgets.jslink((player, "value"), (slider, "value"))
    slider.observe(lambda change: explorer.moved(name, change["new"]), "value")

    def one_step(_):
        slider.value = slider.value + step if slider.value < last else first

    once.on_click(one_step)
    return widgets.HBox([player, once, slider]), slider


_BUILD = {"slider": _slider, "buttons": _buttons, "press": _press, "play": _play}
