"""The figures of notebook 09: each draws what it is given, without a warning."""

import pytest
from support import drawn

from childtune_lite import memory, plots

pytestmark = pytest.mark.filterwarnings("error")


def test_bytes_by_part_stacks_every_part_to_its_total():
    rows = {r: memory.training_bytes(1e6, r, 0.2) | {"activations": 5 * 2**20} for r in memory.RECIPES}
    (axis,) = drawn(plots.bytes_by_part(rows)).axes
    totals = [sum(row.values()) / 2**20 for row in rows.values()]
    ends = [max(p.get_x() + p.get_width() for p in axis.patches if round(p.get_y() + 0.4) == i) for i in range(4)]
    assert ends == pytest.approx(totals)
    assert [t.get_text().strip() for t in axis.texts] == [f"{total:.0f} MiB" for total in totals]
    assert [t.get_text() for t in axis.get_yticklabels()] == list(rows)


def test_step_ratios_marks_every_step_and_the_median():
    (axis,) = drawn(plots.step_ratios({"slow": [20.0, 30.0, 25.0], "fast": [1.1, 1.0, 1.2]})).axes
    dots = [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "o"]
    strokes = [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "|"]
    assert dots == [[20.0, 30.0, 25.0], [1.1, 1.0, 1.2]]
    assert strokes == [[25.0], [1.1]]
    assert [t.get_text().strip() for t in axis.texts] == ["25.0x", "1.1x"]
