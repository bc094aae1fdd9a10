"""The pages around the notebooks: links alive without a network, commands that exist, a teacher's guide in step."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

from childtune_lite.course_cells import groups

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
PAGES = [ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md", ROOT / "notebooks" / "TEACHING.md"]
TEACHING = (ROOT / "notebooks" / "TEACHING.md").read_text(encoding="utf-8")


def markdown(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def anchors(text: str) -> set[str]:
    """The places that GitHub makes of headings."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def dead_links(path: Path, text: str) -> list[str]:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`|\$[^$]*\$", "", text, flags=re.S)):
        file, _, place = target.partition("#")
        if re.match(r"https://", target):
            continue
        there = path.parent / file if file else path
        if not there.exists() or (place and place not in anchors(markdown(there))):
            dead.append(target)
    return dead


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda p: p.stem)
def test_links_lead_to_files_and_places_that_exist(path):
    text = markdown(path)
    assert dead_links(path, text) == []
    assert not re.findall(r"\[(?:here|this|link|click[^\]]*)\]\(", text, flags=re.I), "a link says where it goes"


def test_the_search_for_dead_links_finds_them():
    text = "[a](#run-the-tests) [b](#nowhere) [c](LICENSE) [d](lost.md) [e](https://x.org) `[f](code.md)`"
    assert dead_links(ROOT / "README.md", text) == ["#nowhere", "lost.md"]
    assert dead_links(ROOT / "notebooks" / "TEACHING.md", "[x](../README.md#the-study) [y](../README.md#a)") == [
        "../README.md#a"
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_commands_that_are_named_exist(path):
    named = set(re.findall(r"python -m (childtune_lite[\w.]*)", markdown(path)))
    assert [name for name in named if importlib.util.find_spec(name) is None] == []


def test_the_teachers_guide_has_every_exercise_under_its_title():
    rows = re.findall(r"^\| (\d\d\.\d) (.+?) \|", TEACHING, flags=re.M)
    wanted = [(g.name, g.title) for path in NOTEBOOKS for g in groups(nbformat.read(path, as_version=4))]
    assert rows == wanted


def test_the_teachers_guide_answers_every_think_box():
    answers = TEACHING.split("## Answers to the Think! boxes")[1]
    for path, said in zip(NOTEBOOKS, re.split(r"\*\*\d\d\*\*", answers)[1:], strict=True):
        boxes = markdown(path).count("**Think!**")
        assert len(re.split(r"[;.](?=\s)", said.strip())) >= boxes, f"{path.stem} has {boxes} boxes"
