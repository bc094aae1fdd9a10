"""JupyterLab in a real browser: open a notebook, run it, and move the controls of its widgets as a reader would."""

import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTH = 900
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # all cells are on the page, seen or not
}
KERNEL_STATUS = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status"


@contextmanager
def jupyterlab(base: Path, notebooks: Path):
    """A server on loopback with configuration of its own; yields (address, token)."""
    shutil.copytree(notebooks, base / "root")
    (base / "config/labconfig").mkdir(parents=True)
    (base / "config/labconfig/default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    folders = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "run",
        "IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }  # fmt: skip
    env = dict(os.environ, **{key: str(base / name) for key, name in folders.items()})
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    token = secrets.token_hex(16)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={base / 'root'}",
        "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    with open(base / "log", "w") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as server:
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={token}", timeout=2)
                    break
                except OSError:
                    time.sleep(0.2)
            else:
                raise AssertionError(f"JupyterLab did not start:\n{(base / 'log').read_text()}")
            yield f"http://127.0.0.1:{port}", token
        finally:
            server.terminate()


def open_and_run(context, lab, name: str, timeout: float = 600):
    """The page of a notebook, after all its cells ran."""
    address, token = lab
    page = context.new_page()
    page.goto(f"{address}/lab/workspaces/auto-{name}/tree/{name}.ipynb?token={token}&reset")
    page.wait_for_function(f"{KERNEL_STATUS} === 'idle'", timeout=120_000)
    page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.set_default_timeout(timeout * 1000)
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")  # resolves when all cells ran
    page.set_default_timeout(20_000)
    return page


def settle(page) -> None:
    """Wait until the kernel has drawn what it was asked for."""
    page.wait_for_timeout(150)
    page.wait_for_function(f"{KERNEL_STATUS} === 'idle'", timeout=60_000)
    page.wait_for_timeout(150)


class Widget:
    """One widget on the page: its cell's output, its picture, its controls."""

    def __init__(self, page, output):
        self.page, self.output = page, output

    def picture(self) -> str:
        """A digest of the one picture that is shown when the kernel has come to rest."""
        settle(self.page)
        return self.picture_now()

    def picture_now(self) -> str:
        """A digest of the one picture that is shown. More than one, or none, or an error, is a failure."""
        errors = self.output.locator(".childtune-error")
        assert errors.count() == 0, f"an error is shown: {errors.first.inner_text()}"
        pictures = self.output.locator("img")
        assert pictures.count() == 1, f"{pictures.count()} pictures in one widget"
        pixels = pictures.first.evaluate(
            "img => fetch(img.src).then(r => r.arrayBuffer()).then(b => [...new Uint8Array(b)])"
        )
        return hashlib.sha256(bytes(pixels)).hexdigest()

    def state(self) -> tuple[str, str]:
        """Picture and numbers, when they have come to rest: a drag leaves some redraws under way."""
        last = None
        for _ in range(100):
            now = self.picture(), self.output.locator("pre").inner_text()
            if now == last:
                return now
            last = now
        raise AssertionError("the picture does not come to rest")

    def changed(self, action, what: str) -> tuple[str, str]:
        """Do something, and wait until picture or numbers are others; a busy machine may take its time."""
        before = self.state()
        action()
        for _ in range(8):
            now = self.state()
            if now != before:
                return now
        raise AssertionError(f"picture and numbers stayed as they were: {what}")

    def changes(self, action, what: str) -> None:
        """Do something; the picture must be another one afterwards."""
        before, _ = self.state()
        picture, _ = self.changed(action, what)
        assert picture != before, f"the picture stayed as it was: {what}"

    def exercise(self, but: tuple[str, ...] = ()) -> list[str]:
        """Move every control to both ends, by keyboard and by mouse, `but` some. Returns what was moved."""
        moved = []
        for handle in self.output.locator(".noUi-handle").all():
            moved += self._slider(handle, but)
        for group in self.output.locator(".widget-toggle-buttons").all():
            moved.append(self._toggle_buttons(group))
        for player in self.output.locator(".widget-play").all():
            moved.append(self._player(player))
        return moved + self._press_buttons(but)

    def _slider(self, handle, but: tuple[str, ...]) -> list[str]:
        label = (
            handle.locator("xpath=ancestor::*[contains(@class,'widget-inline-hbox')][1]").locator("label").inner_text()
        )
        if label in but:
            return []
        handle.scroll_into_view_if_needed()
        self._key(handle, "Home")
        self.changes(lambda: self._key(handle, "End"), f"{label}, End key")
        self.changes(lambda: self._key(handle, "Home"), f"{label}, Home key")
        self.changes(lambda: self._drag(handle, 1), f"{label}, dragged to the right end")
        at_right = self.state()
        self._key(handle, "End")
        assert self.state() == at_right, f"{label}: a drag past the right end does not end on the last value"
        self.changes(lambda: self._drag(handle, -1), f"{label}, dragged to the left end")
        return [label]

    def _key(self, handle, key: str) -> None:
        handle.focus()
        self.page.keyboard.press(key)

    def _drag(self, handle, direction: int) -> None:
        box = handle.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + direction * 400, y, steps=12)
        self.page.mouse.up()

    def _toggle_buttons(self, group) -> str:
        """Each button by mouse, and the two at the ends by keyboard. Two values may look alike, never all of them."""
        label, buttons = group.locator("label").inner_text(), group.locator("button").all()
        seen = []
        for by_keyboard, order in ((False, buttons), (True, buttons[::-1])):
            for button in order:
                press = (lambda b=button: b.press("Enter")) if by_keyboard else button.click
                is_set = "mod-active" in button.get_attribute("class")
                seen.append(self.state() if is_set else self.changed(press, f"{label}, {button.inner_text()}"))
        assert len({picture for picture, _ in seen}) > 1, f"the picture stayed as it was: {label}, every button"
        assert seen == seen[::-1], f"{label}: by keyboard is not as by mouse"
        return label

    def _player(self, player) -> str:
        """Start it: the picture moves by itself. Pause it: it stays."""
        button = player.locator("button").first
        button.click()
        for _ in range(2):
            before = self.picture_now()
            for _ in range(100):
                if self.picture_now() != before:
                    break
                self.page.wait_for_timeout(100)
            else:
                raise AssertionError("the player runs, and the picture stays as it was")
        button.click()
        paused = self.state()
        self.page.wait_for_timeout(1500)
        assert self.state() == paused, "the player was paused, and the picture still changes"
        return "player"

    def _press_buttons(self, but: tuple[str, ...]) -> list[str]:
        """Buttons that stand alone: each by mouse, then, where it can still be pressed, by keyboard."""
        moved = []
        for button in self.output.locator("button.jupyter-button:not(.widget-toggle-button)").all():
            label = button.inner_text()
            if not label or label in but or button.is_disabled():  # a player's buttons have a sign and no text
                continue
            self.changes(button.click, f"{label}, by mouse")
            if button.is_enabled():
                self.changes(lambda button=button: button.press("Enter"), f"{label}, by keyboard")
            moved.append(label)
        return moved


def widgets(page) -> list[Widget]:
    """All widgets on the page that hold a picture."""
    outputs = page.locator(".jp-OutputArea-output").filter(has=page.locator(".jupyter-widgets img"))
    return [Widget(page, output) for output in outputs.all()]
