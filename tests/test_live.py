"""Live training: what its buttons and its slider do to a run, without a browser."""

import asyncio
import copy

import pytest
from support import visit

import childtune_lite as ct
from childtune_lite.finetune import Run, predict
from childtune_lite.live import LiveTraining, Throttle
from childtune_lite.views import training_progress_view

SETTINGS = {"epochs": 2, "batch_size": 4, "lr": 1e-3, "device": "cpu"}


@pytest.fixture(scope="module")
def parent_and_task(minilm):
    """The real parent's first layer only, so that a step takes a moment; and 16 examples: 8 steps in all."""
    parent, tokenizer = copy.deepcopy(minilm[0]), minilm[1]
    parent.bert.encoder.layer = parent.bert.encoder.layer[:1]
    return parent, ct.load_task("acceptability", tokenizer, n_train=16, n_validation=8)


@pytest.fixture
def live(parent_and_task):
    return LiveTraining(*parent_and_task, p=0.3, **SETTINGS)


def shares(live):
    return [step["p"] for step in live.run.result.steps]


def test_left_alone_it_is_finetune(live, parent_and_task):
    live.train(100)
    plain = ct.finetune(*parent_and_task, "F", p=0.3, progress=False, record_every=2, **SETTINGS)
    assert live.run.result.steps == plain.steps
    assert live.run.result.gradients == plain.gradients
    assert live.run.result.metrics == plain.metrics
    assert "finished, 8 of 8 steps" in live.status.value
    assert live.start_button.disabled


def test_p_takes_effect_at_the_next_step_and_in_the_gradient(live):
    live.train(4)
    live.p = 0.9
    assert live.run.mask.p == 0.3  # not in the middle of anything
    live.train(4)
    assert shares(live) == [0.3] * 4 + [0.9] * 4
    assert not live.run.result.model.training  # usable as it is
    zeros = [record["layers"]["layer 0"]["zeros"] for record in live.run.result.gradients]
    assert zeros == pytest.approx([0.7, 0.7, 0.1, 0.1], abs=0.01)


def in_a_notebook(actions):
    """Run an async function with an event loop under way, as a kernel has one."""
    asyncio.run(actions())


async def until(condition, seconds=60):
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def test_start_stop_and_go_on(parent_and_task):
    async def actions():
        live = LiveTraining(*parent_and_task, p=0.3, **SETTINGS)
        live.start_button.click()
        await until(lambda: len(live.run.result.steps) >= 2)
        live.p = 0.6
        live.stop_button.click()
        await until(lambda: not live.running)
        taken = len(live.run.result.steps)
        await asyncio.sleep(0.2)
        assert len(live.run.result.steps) == taken < 8
        assert "stopped" in live.status.value
        assert not live.explorer.controls["at"].disabled
        logits, _ = predict(live.run.result.model, parent_and_task[1], "validation")  # kernel and model are usable
        assert logits.isfinite().all()
        live.start_button.click()
        await until(lambda: live.finished and not live.running)
        assert shares(live)[-1] == 0.6
        assert "validation accuracy" in live.status.value
        assert live.explorer.error is None

    in_a_notebook(actions)


def test_start_pressed_twice_trains_once(parent_and_task):
    async def actions():
        live = LiveTraining(*parent_and_task, **SETTINGS)
        live.start_button.click()
        live.start_button.click()
        await until(lambda: live.running)
        live.stop_button.click()
        live.start_button.click()  # before the first task has noticed the stop
        await until(lambda: live.finished and not live.running)
        assert [step["step"] for step in live.run.result.steps] == list(range(8))
        assert len([task for task in asyncio.all_tasks() if "_train_in_background" in repr(task)]) == 0

    in_a_notebook(actions)


def test_new_run_starts_over_with_the_sliders_p(live):
    live.train(4)
    first = live.run.result.steps[0]["loss"]
    shown = live.explorer.text
    live.p = 0.1
    live.restart()
    assert "not started, 0 of 8 steps" in live.status.value
    assert live.explorer.text != shown
    live.train(1)
    assert live.run.result.steps[0]["loss"] == first  # same head, same batch
    assert shares(live) == [0.1]


def test_an_error_while_training_is_shown(parent_and_task):
    async def actions():
        live = LiveTraining(*parent_and_task, **SETTINGS)
        live.run.result.model.classifier = None
        live.start_button.click()
        await until(lambda: live.explorer.error is not None)
        assert "childtune-error" in live.explorer.numbers.value
        assert not live.running

    in_a_notebook(actions)


def test_at_most_five_redraws_a_second_and_a_tenth_of_the_time():
    for cost, steps in ((0.001, 2000), (0.15, 400)):
        now, drawing, draws = 0.0, 0.0, 0
        throttle = Throttle(lambda: now)  # noqa: B023
        for _ in range(steps):
            now += 0.01
            if throttle.ready():
                start, now = now, now + cost
                drawing, draws = drawing + cost, draws + 1
                throttle.drawn_since(start)
        assert draws > 1
        assert draws / now <= 5.2
        assert drawing / now <= 0.1 + cost / now


def test_the_player_shows_every_recorded_step(live):
    """Over the full grid of statistics and steps: the text holds that step's own numbers."""
    live.train(6)
    view = training_progress_view(live.run)
    records = {record["step"]: record["layers"] for record in live.run.result.gradients}
    for settings, text in visit(view):
        step = min(settings["at"], 4)
        assert text.startswith(f"step {step} of 8: p_F = 0.3")
        for layer, row in records[step].items():
            label = "whole network" if layer == "all" else layer
            line = next(line for line in text.splitlines() if line.startswith(label))
            assert [float(v) for v in line[len(label) :].split()] == pytest.approx(
                [row["norm"], row["std"], row["zeros"], row["cosine"]], rel=0.06, abs=6e-3
            )


def test_a_frame_is_final(live):
    """Frames of a run under way are those of the finished run: a stale one would be kept by the explorer."""
    live.train(5)
    early = live.explorer.view.draw("zeros", 2)[1]
    live.train(3)
    assert live.explorer.view.draw("zeros", 2)[1] == early
    live.explorer.controls["at"].value = 2
    live.explorer.controls["statistic"].value = "zeros"
    assert live.explorer.text == early


def test_a_look_ahead_is_not_kept(live):
    """A step that is not there yet shows the last there is; once it is there, it shows itself."""
    live.train(3)
    live.explorer.controls["at"].value = 6
    early = live.explorer.text
    live.train(5)
    assert live.explorer.controls["at"].value == 6
    assert live.explorer.text == live.explorer.view.draw("cosine", 6)[1] != early


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda parent, task: LiveTraining(parent, task, p=0.33), "p=0.33"),
        (lambda parent, task: setattr(LiveTraining(parent, task), "p", 0.25), "p=0.25"),
        (lambda parent, task: LiveTraining(parent, task, record_every=0), "record_every=0"),
        (lambda parent, task: training_progress_view(Run(parent, task, "vanilla", device="cpu")), "recipe='vanilla'"),
        (lambda parent, task: LiveTraining(parent, task, record_every=1000), "record_every=1000"),
    ],
)
def test_bad_input_says_what_to_do(parent_and_task, make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(*parent_and_task)


def test_start_outside_a_notebook_says_so_and_leaves_it_stopped(live):
    with pytest.raises(RuntimeError, match=r"use train\(steps\)"):
        live.start()
    assert not live.running
