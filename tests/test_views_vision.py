"""Notebook 08's widget: over all its settings, it tells what it was given."""

import pytest
from support import visit

import childtune_lite as ct

SHARES, STEPS = (0.01, 0.1, 1.0), (2, 10, 40)


def measured():
    """Two children, three sizes, three seeds; no two measurements alike."""
    return {
        kind: {
            p: {
                seed: [
                    {
                        "step": step,
                        "new": 0.1 * i + 0.02 * k + 0.03 * j + 0.01 * seed + 0.2,
                        "old": 0.9 - 0.2 * i - 0.02 * j - 0.03 * k - 0.01 * seed,
                        "old_back": 0.95 - 0.1 * i - 0.01 * j - 0.04 * k - 0.005 * seed,
                    }
                    for i, step in enumerate(STEPS)
                ]
                for seed in range(3)
            }
            for j, p in enumerate(SHARES)
        }
        for k, kind in enumerate(("highest scores", "random"))
    }


def vision_tradeoff():
    return ct.views.vision_tradeoff(measured(), 0.1)


def test_it_tells_means_and_ranges_everywhere():
    table = measured()
    for settings, text in visit(vision_tradeoff()):
        head, *lines = text.splitlines()
        assert f"p_D = {settings['p']:g}, child: {settings['kind']}, mean of 3 seeds" in head
        ways = table[settings["kind"]][settings["p"]].values()
        for k, (step, line) in enumerate(zip(STEPS, lines, strict=True)):
            assert line.startswith(f"step {step:>3}")
            for name, key in (("new", "new"), ("old", settings["old"])):
                values = [way[k][key] for way in ways]
                assert f"{name} {sum(values) / 3:.2f} ({min(values):.2f} to {max(values):.2f})" in line


@pytest.mark.parametrize("old", ["old", "old_back"])
def test_the_figure_shows_the_mean_way_and_every_end(old):
    table = measured()
    left, right = vision_tradeoff().draw(p=0.01, kind="random", old=old)[0].axes
    ways = table["random"][0.01]
    means = [[sum(way[k][key] for way in ways.values()) / 3 for k in range(3)] for key in (old, "new")]
    assert [list(left.lines[1].get_xdata()), list(left.lines[1].get_ydata())] == [pytest.approx(m) for m in means]
    assert list(zip(*left.lines[2].get_data(), strict=True)) == [(w[-1][old], w[-1]["new"]) for w in ways.values()]
    marks = [y for line in right.lines if line.get_linestyle() == "None" for y in line.get_ydata()]
    assert sorted(marks) == sorted(
        way[-1][key] for ends in table["random"].values() for way in ends.values() for key in ("new", old)
    )


def test_the_largest_child_can_be_chosen_too():
    figure, text = vision_tradeoff().draw(p=1.0, kind="random", old="old")
    assert "p_D = 1," in text
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["p_D = 1", "seeds, step 40"]


@pytest.mark.parametrize("lost", ["size", "seed", "step", "all steps"])
def test_children_that_do_not_match_are_refused(lost):
    table = measured()
    if lost == "size":
        del table["random"][0.1]
    elif lost == "seed":
        del table["random"][0.1][2]
    elif lost == "step":
        table["random"][0.1][2].pop()
    else:
        table = {kind: {p: {0: []} for p in SHARES} for kind in table}
    with pytest.raises(ValueError, match="other p_D, seeds or steps"):
        ct.views.vision_tradeoff(table)
