"""Notebook 07's widget: over all its settings, the text holds the paired differences of what it was given."""

import pytest
from support import visit

import childtune_lite as ct
from childtune_lite.evidence import paired_interval


def example_curves():
    """Two splits, three arms, three numbers of examples, four seeds; no two runs alike."""
    return {
        split: {
            arm: {
                n: {s: 50 + 7 * i + (3 * k + 5 * s + 2 * j * s) % 11 + 0.1 * j for s in range(4)}
                for i, n in enumerate((100, 500, 2000))
            }
            for k, arm in enumerate(("vanilla", "F", "D"))
        }
        for j, split in enumerate(("validation", "ood"))
    }


def fewer_examples():
    return ct.views.fewer_examples(example_curves())


def test_it_tells_the_paired_differences_everywhere():
    curves = example_curves()
    for settings, text in visit(fewer_examples()):
        arms, n = curves[settings["split"]], settings["n"]
        for line, arm in zip(text.splitlines()[1:], arms, strict=True):
            values = arms[arm][n]
            assert f"mean {sum(values.values()) / 4:6.1f}" in line
            if arm != "vanilla":
                expected = paired_interval([v - arms["vanilla"][n][s] for s, v in values.items()])
                assert "minus vanilla {:+.1f}, 95% interval {:+.1f} to {:+.1f}".format(*expected) in line


def test_the_figure_shows_every_run_and_every_pair():
    curves, view = example_curves(), fewer_examples()
    left, right = view.draw(n=500, split="ood")[0].axes
    marks = [line for line in left.lines if line.get_linestyle() == "None"]
    assert sorted(y for line in marks for y in line.get_ydata()) == sorted(
        v for points in curves["ood"].values() for runs in points.values() for v in runs.values()
    )
    base = curves["ood"]["vanilla"][500]
    assert list(right.lines[0].get_xdata()) == [v - base[s] for s, v in curves["ood"]["F"][500].items()]


@pytest.mark.parametrize("lost", ["seed", "number", "baseline"])
def test_runs_that_do_not_pair_are_refused(lost):
    curves = example_curves()
    if lost == "seed":
        del curves["ood"]["F"][500][2]
    elif lost == "number":
        del curves["ood"]["D"][100]
    else:
        del curves["ood"]["vanilla"]
    with pytest.raises(ValueError, match=r"curves\['ood'\]"):
        ct.views.fewer_examples(curves)
