"""Every control of every widget, moved to both ends in a real browser: JupyterLab in headless Chromium.

Pictures of what was seen go to the folder `artifacts/browser`. Without Chromium these tests are skipped, on CI they
fail instead.
"""

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest
from browser import CHROMIUM, FLAGS, WIDTH, jupyterlab, open_and_run, widgets

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "artifacts" / "browser"
SHOWS = re.compile(r"^(?:ct\.explore\(|live$)", re.M)  # a cell that shows a widget

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="Chromium is not installed"),
]


def code(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


WITH_WIDGETS = {
    path.stem: count
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    if (count := sum(len(SHOWS.findall(source)) for source in code(path)))
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The notebooks with widgets, and two small ones of the tests' own: faulty widgets, and a live training."""
    base = tmp_path_factory.mktemp("lab")
    notebooks = base / "notebooks"
    notebooks.mkdir()
    for name in WITH_WIDGETS:
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        last = max(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and SHOWS.search(cell.source))
        notebook.cells = notebook.cells[: last + 1]  # what comes after the last widget runs under nbval
        nbformat.write(notebook, notebooks / f"{name}.ipynb")
    write_notebook(notebooks / "faulty.ipynb", FAULTY)
    write_notebook(notebooks / "live.ipynb", LIVE)
    with jupyterlab(base, notebooks) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Closed after this file: while it is open, Playwright holds an event loop that other tests would meet."""
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("user")), executable_path=CHROMIUM, headless=True, args=FLAGS,
            viewport={"width": WIDTH, "height": 1000},
        )  # fmt: skip
        yield context
        context.close()


@pytest.fixture
def opened(browser, lab):
    """A function that opens a notebook and runs it; its kernel is shut down afterwards."""
    pages = []

    def run(name):
        pages.append(open_and_run(browser, lab, name))
        return pages[-1]

    yield run
    for page in pages:
        page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.close()


def shoot(widget, name: str) -> None:
    widget.output.scroll_into_view_if_needed()
    widget.output.screenshot(path=SHOTS / f"{name}.png")


@pytest.mark.parametrize("name", WITH_WIDGETS)
def test_every_control_moves_to_both_ends(opened, name):
    page = opened(name)
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    found = widgets(page)
    assert len(found) == WITH_WIDGETS[name]
    for i, widget in enumerate(found):
        shoot(widget, f"{name}-{i}-before")
        # What these four do shows when it trains; the next test moves them.
        is_live = widget.output.get_by_role("button", name="Start").count()
        moved = widget.exercise(but=("p_F", "Start", "Stop", "New run") if is_live else ())
        shoot(widget, f"{name}-{i}-after")
        assert moved
        assert widget.output.evaluate("e => e.scrollWidth <= e.clientWidth"), "wider than its page"


LIVE = [
    "import copy, torch, childtune_lite as ct",
    "parent, tokenizer = ct.load_parent(num_labels=2)\n"
    "parent.bert.encoder.layer = parent.bert.encoder.layer[:2]\n"
    'task = ct.load_task("acceptability", tokenizer, n_train=80, n_validation=16)',
    'live = ct.LiveTraining(parent, task, p=0.3, epochs=2, batch_size=4, device="cpu")\nlive',
    'print("the kernel is free:", live.run.result.model.training, len(live.run.result.steps))',
]


def test_live_training_starts_takes_a_new_p_stops_and_scrubs(opened):
    page = opened("live")
    (widget,) = widgets(page)
    button = {name: widget.output.get_by_role("button", name=name) for name in ("Start", "Stop", "New run")}
    share, scrubber = widget.output.locator(".noUi-handle").all()

    def status():
        return widget.output.locator(".widget-label").filter(has_text="steps").inner_text()

    def wait_for(text):
        for _ in range(300):
            if text in status():
                return
            page.wait_for_timeout(100)
        raise AssertionError(f"waited for {text!r}, the widget says {status()!r}")

    def wait_for_steps(more):
        start = int(re.search(r"(\d+) of", status())[1])
        for _ in range(600):
            if int(re.search(r"(\d+) of", status())[1]) >= start + more:
                return
            page.wait_for_timeout(100)
        raise AssertionError(f"waited for {more} steps, the widget says {status()!r}")

    untrained = widget.picture()
    button["Start"].click()
    wait_for("running")
    wait_for_steps(4)
    share.focus()
    page.keyboard.press("End")  # while it trains
    wait_for("p_F = 1")
    wait_for_steps(4)
    button["Stop"].click()
    wait_for("stopped")
    stopped = widget.picture()
    assert stopped != untrained
    taken = status()
    page.wait_for_timeout(1000)
    assert status() == taken
    shoot(widget, "live-stopped")

    shares = run_python(page, "[s['p'] for s in live.run.result.steps]")
    assert shares == sorted(shares)
    assert shares.count(0.3) >= 4
    assert shares.count(1.0) >= 4
    assert run_python(page, "live.run.result.model.training") is False  # and the kernel answers

    scrubber.focus()
    page.keyboard.press("Home")
    assert widget.picture() != stopped
    shoot(widget, "live-scrubbed")
    button["Start"].press("Enter")
    wait_for("running")
    wait_for_steps(2)
    button["Stop"].press("Enter")
    wait_for("stopped")
    assert status() != taken
    share.focus()
    for key, p in (("Home", "0.05"), ("End", "1")):
        page.keyboard.press(key)
        wait_for(f"p_F = {p}")
    button["New run"].click()
    wait_for("not started, 0 of")
    button["Start"].click()
    wait_for("finished, 40 of 40 steps")
    shoot(widget, "live-finished")
    assert "validation accuracy" in status()
    assert widget.picture() != untrained


def run_python(page, expression: str):
    """The value of an expression in the notebook's kernel."""
    reply = page.evaluate(
        """async code => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const done = await kernel.requestExecute({code: '', user_expressions: {x: code}}).done;
            return done.content.user_expressions.x.data['text/plain'];
        }""",
        expression,
    )
    return ast.literal_eval(reply)


# ---- that a green run means something: three planted faults, each caught

FAULTY = [
    """\
import matplotlib
from matplotlib.figure import Figure
from IPython.display import display
import childtune_lite as ct
from childtune_lite.explore import Explorer
from childtune_lite.plots import show
from childtune_lite.views import Choice, View

def view(draw):
    return View(draw, {"a": Choice("a", (1, 2, 3), 2), "b": Choice("b", ("x", "y"), "x", "buttons")}, "A bar." * 5)

def bar(height):
    figure = Figure(figsize=(3, 1))
    figure.subplots().bar([0, 1], [height, 4])
    return figure""",
    """\
def fails_off_its_default(a, b):
    if a == 3:
        raise ArithmeticError("planted")
    return bar(a + (b == "y")), f"{a} {b}"

ct.explore(view(fails_off_its_default))""",
    """\
stack = Explorer(view(lambda a, b: (bar(a + (b == "y")), f"{a} {b}")))

def pile_up(change):
    from ipywidgets import Image
    stack.box.children = (*stack.box.children, Image(value=stack.picture.value))

stack.controls["a"].observe(pile_up, "value")
stack""",
    """\
dead = Explorer(view(lambda a, b: (bar(a + (b == "y")), f"{a} {b}")))
dead.controls["a"].unobserve_all()
dead""",
    """\
ct.explore(view(lambda a, b: (bar(2), f"{a} {b}")))""",
    """\
ct.explore(view(lambda a, b: (bar(a + 0.5 * (b == "y")), f"{a} {b}")))""",
]


def test_planted_faults_are_caught(opened):
    page = opened("faulty")
    fails, stacks, dead, idle, sound = widgets(page)
    with pytest.raises(AssertionError, match="an error is shown: ArithmeticError: planted"):
        fails.exercise()
    with pytest.raises(AssertionError, match="pictures in one widget"):
        stacks.exercise()
    for widget in (dead, idle):
        with pytest.raises(AssertionError, match=r"stayed as.* a, End key"):
            widget.exercise()
    assert sound.exercise() == ["a", "b"]


def write_notebook(path: Path, sources: list[str]) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
