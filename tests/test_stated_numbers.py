"""A number that the prose states as a result must come from somewhere: an output or a claim of the same notebook, a
setting in its code, or a source named in the same paragraph.

Decimals, percentages and "N times" count as results. Formulas (`$...$`), code spans and links do not.
"""

import re
from pathlib import Path

import nbformat
import pytest

PATHS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("[0-9]*.ipynb"))
RESULT = re.compile(r"(?<![\w.])(\d+\.\d+|\d+(?= ?%)|\d+(?= times\b))")
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")
SOURCE = re.compile(r"Table \d|[Ss]ection \d|et al\.|arXiv|\bpaper\b|article|re-run|released|reported|\.py\b|Theorem")
# Not results: fenced code, formulas, code spans, link targets, tags, headings, and the level of an interval.
NO_PROSE = re.compile(
    r"\d+ ?%[ -](?:confidence )?interval|```.*?```|\$\$.*?\$\$|\$[^$]+\$|`[^`]*`|\]\([^)]*\)|<[^>]+>|^#+ .*$",
    flags=re.S | re.M,
)


def stated(markdown):
    """(number as written, its paragraph) for every result-like number of the prose."""
    for paragraph in re.split(r"\n\s*\n|\n(?=[-|>])", markdown):
        for found in RESULT.finditer(NO_PROSE.sub(" ", paragraph)):
            yield found[1], paragraph


def numbers(text):
    return [float(n.replace(",", "")) for n in NUMBER.findall(text)]


def supports(value, written):
    """Does `value` round to the number as it is written? Also as a share (0.8 supports "80 %") and in millions."""
    digits = len(written.partition(".")[2])
    unit = 10**-digits
    return any(abs(abs(value) * scale - float(written)) <= 0.5001 * unit for scale in (1, 100, 1e-6))


def evidence(notebook):
    """All numbers that the notebook's code holds or prints."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found += numbers(cell.source)
            for output in cell.outputs:
                data = output.get("data", {})
                found += numbers(
                    "".join([output.get("text", ""), data.get("text/plain", ""), data.get("text/markdown", "")])
                )
    return found


def unsupported(notebook):
    known = evidence(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and not {"badges", "cost"} & set(cell.metadata.get("tags", [])):
            for written, paragraph in stated(cell.source):
                if not SOURCE.search(paragraph) and not any(supports(value, written) for value in known):
                    yield written, paragraph


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_every_stated_number_was_computed_or_has_its_source(path):
    missing = [
        f"{written} in: {paragraph[:100]}" for written, paragraph in unsupported(nbformat.read(path, as_version=4))
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("The share of zeros is 0.81.", ["0.81"]),
        ("It grew by 37 % and was 7 times larger.", ["37", "7"]),
        ("The share is 0.80, or 80 %, as printed: 2.5 times.", []),
        ("The paper reports 1.5 to 8.6 points.", []),
        ("With $p = 0.77$ and `lr=0.66`, see [here](x-0.5.html).", []),
        ("# 3.1 A heading\n\nNo number here.", []),
    ],
)
def test_the_search_finds_what_it_should(prose, found):
    code = nbformat.v4.new_code_cell("print(0.8, 2.5)")
    code.outputs = [nbformat.v4.new_output("stream", text="0.8 2.5\n")]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(prose), code])
    assert [written for written, _ in unsupported(notebook)] == found
