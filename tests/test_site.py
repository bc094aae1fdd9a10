"""The static site: every page whole without a kernel, its links alive, its pictures described, and read by axe-core.

axe-core is no Python package. The environment variable CHILDTUNE_AXE names its `axe.min.js` (from `npm pack axe-core`);
without it, or without Chromium, that test is skipped.
"""

import os
import re
from pathlib import Path

import nbformat
import pytest
from browser import CHROMIUM, FLAGS

from childtune_lite import site

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
AXE = os.environ.get("CHILDTUNE_AXE")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """All pages as text, by their names, and the folder they lie in."""
    folder = tmp_path_factory.mktemp("site")
    made = site.build(folder)
    return folder, {path.name: path.read_text(encoding="utf-8") for path in made}


def test_there_is_a_page_for_every_notebook_and_an_index_to_them(pages):
    _, texts = pages
    assert list(texts) == ["index.html", *(f"{path.stem}.html" for path in NOTEBOOKS)]
    assert re.findall(r'href="([^"]+)"', texts["index.html"]) == list(texts)[1:]


def test_every_picture_has_the_description_that_the_notebook_stores(pages):
    _, texts = pages
    for path in NOTEBOOKS:
        page = texts[f"{path.stem}.html"]
        wanted = site.descriptions(nbformat.read(path, as_version=4))
        assert page.count('src="data:image/png;base64,') == len(wanted) > 0
        assert "No description has been provided" not in page
        assert page.count('alt="') >= len(wanted)


def test_links_lead_to_pages_and_places_that_exist(pages):
    folder, texts = pages
    for name, page in texts.items():
        for target in re.findall(r'<a [^>]*href="([^"]+)"', page):
            if re.match(r"https?:|data:", target):
                continue
            file, _, place = target.partition("#")
            assert not file or (folder / file).exists(), f"{name}: {target}"
            if place and not file:
                assert f'id="{place}"' in page, f"{name}: {target}"


def test_a_page_says_its_language_and_its_title(pages):
    _, texts = pages
    for page in texts.values():
        assert re.search(r'<html[^>]* lang="en"', page)
        assert page.count("<main") == 1
    titles = [re.search(r"<title>(.+?)</title>", page)[1] for page in texts.values()]
    assert len(set(titles)) == len(titles)


def test_a_folder_without_notebooks_is_named(tmp_path, capsys):
    assert site.main(["--out", str(tmp_path), "--notebooks", str(tmp_path)]) == 1
    assert "no notebooks there" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not AXE, reason="CHILDTUNE_AXE names no axe.min.js")
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_axe_finds_nothing_serious_and_every_picture_is_shown(pages):
    from playwright.sync_api import sync_playwright

    folder, texts = pages
    script, found = Path(AXE).read_text(encoding="utf-8"), []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1100, "height": 1000})
        for name in [*texts, "planted.html"]:
            if name == "planted.html":  # a control: a page with faults must not pass
                (folder / name).write_text('<html><body><img src="x.png"><p style="color:#ccc">pale</p></body></html>')
            page.goto((folder / name).as_uri(), wait_until="domcontentloaded")
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            page.evaluate(script)
            report = page.evaluate("axe.run({resultTypes: ['violations']})")
            faults = [one["id"] for one in report["violations"] if one["impact"] in ("serious", "critical")]
            shown = page.evaluate(
                "[...document.images].filter(i => i.src.startsWith('data:') && !i.naturalWidth).length"
            )
            found.append((name, faults, shown))
        browser.close()
    *real, (_, planted, _) = found
    assert {"image-alt", "color-contrast", "html-has-lang"} <= set(planted)
    assert [one for one in real if one[1] or one[2]] == []
