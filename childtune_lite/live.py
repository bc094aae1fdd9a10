"""Watch a network train: start and stop it, change p_F while it runs, then go back over the recorded steps.

A cell that runs does not see clicks. So the training is an asyncio task on the kernel's own loop, one step at a time:
between two steps the kernel hears the buttons and the slider. (Some kernels hear them in another thread; what they ask
for is handed to the loop all the same.) So a step never meets a half-made change, and while another cell runs the
training waits. Taught in notebook 05.
"""

import asyncio
import time
from collections.abc import Callable

import torch

from .explore import Explorer
from .finetune import Run
from .views.training import training_progress_view

_P = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_BREATH = 0.01  # seconds between two steps in which the kernel hears its messages


def _check_p(p) -> None:
    if p not in _P:
        raise ValueError(f"p={p!r}: the slider has the values {', '.join(map(str, _P))}")


class Throttle:
    """When to draw: at most 5 times a second, and for at most a tenth of the time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock, self.due = clock, 0.0

    def ready(self) -> bool:
        return self.clock() >= self.due

    def drawn_since(self, start: float) -> None:
        """Note that a redraw began at `start` and ended now."""
        now = self.clock()
        self.due = max(start + 0.2, now + 9 * (now - start))


class LiveTraining:
    """Child-Tuning_F with controls: Start, Stop, New run, p_F, and a player over what was recorded.

    Args:
        parent, task: as `load_parent` and `load_task` return them.
        p: p_F at the start, one of 0.05, 0.1, 0.2, ..., 1.
        record_every: gradient statistics at every so many steps; each costs about half a training step.
        settings: lr, epochs, batch_size, seed, ... as `finetune` takes them.

    Attributes:
        run: the `finetune.Run`; `run.result` holds what was recorded, `run.result.model` the network as it is now.
        p: p_F from the next step on. May be set.
        running: is a training task under way?

    `train(steps)` does without the buttons: it takes the steps at once, in the cell that calls it.
    """

    def __init__(self, parent: torch.nn.Module, task, *, p: float = 0.3, record_every: int = 2, **settings):
        _check_p(p)
        self._new_run = lambda: Run(parent, task, "F", p=self.p, record_every=record_every, **settings)
        self._throttle, self._task, self.running = Throttle(), None, False
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:  # not in a notebook
            self._loop = None
        self._build(p)

    def _build(self, p: float) -> None:
        import ipywidgets as widgets

        style, layout = {"description_width": "initial"}, widgets.Layout(width="320px")
        self.slider = widgets.SelectionSlider(options=_P, value=p, description="p_F", style=style, layout=layout)
        self.slider.observe(lambda change: self._soon(self._show_state), "value")
        self.start_button, self.stop_button, self.new_button = (
            widgets.Button(description=text, layout=widgets.Layout(width="auto"))
            for text in ("Start", "Stop", "New run")
        )
        for button, action in (
            (self.start_button, self.start),
            (self.stop_button, self.stop),
            (self.new_button, self.restart),
        ):
            button.on_click(lambda _, action=action: self._soon(action))
        self.status = widgets.Label()
        self.run = self._new_run()
        self.explorer = Explorer(training_progress_view(self.run))
        row = widgets.Layout(flex_flow="row wrap", align_items="center", width="100%")
        buttons = [self.start_button, self.stop_button, self.new_button, self.slider, self.status]
        self.explorer.box.children = (widgets.HBox(buttons, layout=row), *self.explorer.box.children)
        self._show_state()

    # ---- what the reader does
    @property
    def p(self) -> float:
        return self.slider.value

    @p.setter
    def p(self, value: float) -> None:
        _check_p(value)
        self.slider.value = value

    def start(self) -> None:
        """Go on training in the background, until `stop`, or to the end."""
        if not self.running and not self.finished:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                raise RuntimeError("start() needs a notebook's event loop; elsewhere use train(steps)") from None
            self.running = True
            self.explorer.forget()
            self._task = loop.create_task(self._train_in_background())
            self._show_state()

    def stop(self) -> None:
        """Stop after the step under way. The network can be used as it is; `start` goes on."""
        self.running, self._task = False, None
        self._show()

    def restart(self) -> None:
        """Forget the run, and set up another one with the same seed and the p_F of the slider."""
        self.running, self._task = False, None
        self.run = self._new_run()
        self.explorer.view = training_progress_view(self.run)
        self._show()

    def train(self, steps: int) -> None:
        """Take `steps` steps here and now (fewer at the end of the run), then draw."""
        for _ in range(steps):
            if not self._step():
                break
        self._show()

    # ---- what goes on
    @property
    def finished(self) -> bool:
        return len(self.run.result.steps) == self.run.total

    def _step(self) -> bool:
        self.run.mask.p = self.p  # here, and not when the slider moves: one step has one p
        return self.run.step()

    async def _train_in_background(self) -> None:
        me = asyncio.current_task()
        try:
            while self._task is me and self._step():
                if self._throttle.ready():
                    self._show()
                await asyncio.sleep(_BREATH)
        except Exception as error:  # nobody awaits this task: without this line its error would be lost
            self.running, self._task = False, None
            self.explorer.complain(error)
            self._show_state()
        if self._task is me:
            self.stop()

    def _soon(self, action: Callable[[], None]) -> None:
        """Do something between two steps."""
        if self._loop is None:
            action()
        else:
            self._loop.call_soon_threadsafe(action)

    def _show(self) -> None:
        """Draw what there is, up to the last whole block of steps between two records."""
        if self.finished and not self.run.result.metrics:
            self.run.evaluate()
        start, at = time.monotonic(), self.explorer.controls["at"]
        every, taken = self.run.record_every, len(self.run.result.steps)
        latest = at.max if self.finished else max(taken // every - 1, 0) * every
        self.explorer.forget()  # frames of blocks that were not whole
        if at.value == latest:
            self.explorer.redraw()
        at.value = latest
        self._show_state()
        self._throttle.drawn_since(start)

    def _show_state(self) -> None:
        taken, metrics = len(self.run.result.steps), self.run.result.metrics.get("validation")
        state = "running" if self.running else "finished" if self.finished else "stopped" if taken else "not started"
        self.status.value = f"{state}, {taken} of {self.run.total} steps, p_F = {self.p:g}" + (
            "; validation " + ", ".join(f"{name} {value:.2f}" for name, value in metrics.items()) if metrics else ""
        )
        self.start_button.disabled = self.running or self.finished
        self.stop_button.disabled = not self.running
        self.explorer.controls["at"].disabled = self.running

    def _ipython_display_(self) -> None:
        self.explorer._ipython_display_()
