"""The collection as a static site: one page a notebook, and an index; made offline, read without a kernel.

    python -m childtune_lite.site --out DIR [--notebooks DIR] [--mathjax URL]

Formulas are drawn by MathJax, which a page loads from `--mathjax` (default: nbconvert's own address on the web; a
relative path works, too). All else is inside the page. Needs nbconvert.
"""

import argparse
import re
import sys
from pathlib import Path

from .course_cells import HERE, notebook_paths, title_and_question

# Against nbconvert's own style sheet, where its colours are too pale to read or a link is told by colour alone.
STYLE = """
main { max-width: 60rem; margin: 0 auto; padding: 0 1rem; }
nav { padding: .5rem 1rem; font: 1rem/1.5 sans-serif; }
a { color: #0b4a8f !important; text-decoration: underline !important; }
a.anchor-link { text-decoration: none !important; }
.jp-InputPrompt, .jp-OutputPrompt { color: #595959 !important; opacity: 1 !important; }
.highlight pre, .highlight span { color: #1b1b1b !important; }
.highlight .k, .highlight .kn, .highlight .kc, .highlight .kd, .highlight .ow { color: #00527a !important; }
.highlight .s1, .highlight .s2, .highlight .sd, .highlight .sa, .highlight .si { color: #8a2500 !important; }
.highlight .c1, .highlight .c { color: #465246 !important; font-style: italic; }
"""
INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>childtune-lite</title><style>body {{ font: 1rem/1.5 sans-serif; color: #1b1b1b; }}{style}
li {{ margin: .6rem 0; }}</style></head><body><main><h1>childtune-lite</h1>
<p>Teaching notebooks on Child-Tuning: fine-tune a large pretrained network, the parent, by updating only a part of it,
the child.</p><ol start="0">{rows}</ol></main></body></html>
"""


def build(out: Path, notebooks: Path = HERE, mathjax: str | None = None) -> list[Path]:
    """Write index.html and a page for every notebook into `out`; returns the pages, the index first."""
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(**({"mathjax_url": mathjax} if mathjax else {}))
    out.mkdir(parents=True, exist_ok=True)
    pages, rows = [], []
    for path in notebook_paths(notebooks):
        notebook = nbformat.read(path, as_version=4)
        title, question = title_and_question(notebook)
        page, _ = exporter.from_notebook_node(notebook)
        pages.append(out / f"{path.stem}.html")
        pages[-1].write_text(readable(page, notebook, title), encoding="utf-8")
        rows.append(f'<li><a href="{path.stem}.html">{title}</a><br>{question}</li>')
    index = out / "index.html"
    index.write_text(INDEX.format(style=STYLE, rows="\n".join(rows)), encoding="utf-8")
    return [index, *pages]


def readable(page: str, notebook, title: str) -> str:
    """The exported page with what it lacks for a screen reader, and links that lead to pages.

    nbconvert 7 writes "No description has been provided for this image" in place of our descriptions, gives scrolling
    boxes no way in by keyboard, and knows neither a title nor a language.
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "html.parser")
    soup.html["lang"] = "en"
    soup.title.string = f"{title} | childtune-lite"
    soup.head.append(soup.new_tag("style", string=STYLE))
    made = [image for image in soup.find_all("img") if image.get("src", "").startswith("data:image/png")]
    for image, alt in zip(made, descriptions(notebook), strict=True):
        image["alt"] = alt
    for link in soup.find_all("a", href=True):
        link["href"] = re.sub(r"^(\d\d_\w+)\.ipynb", r"\1.html", link["href"])
        if "anchor-link" in link.get("class", []):
            link["aria-hidden"], link["tabindex"] = "true", "-1"  # a second, unnamed link to a heading just read
    for box in soup.select("pre, .jp-OutputArea-output, .highlight"):
        box["tabindex"] = "0"  # what scrolls sideways must be within reach of the keyboard
    body = soup.body.find("main") or soup.body
    back = soup.new_tag("a", href="index.html", string="All notebooks")
    navigation = soup.new_tag("nav", **{"aria-label": "Collection"})
    navigation.append(back)
    body.insert(0, navigation) if body is soup.body else body.insert_before(navigation)
    return str(soup)


def descriptions(notebook) -> list[str]:
    """The alt text of every picture that the notebook's code made, in order."""
    return [
        output.metadata["image/png"]["alt"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m childtune_lite.site", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; made if it is not there")
    parser.add_argument("--notebooks", type=Path, default=HERE, help="folder of the notebooks (default: this clone's)")
    parser.add_argument("--mathjax", help="where a page finds MathJax (default: nbconvert's address on the web)")
    given = parser.parse_args(arguments)
    try:
        pages = build(given.out, given.notebooks, given.mathjax)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(pages)} pages in {given.out}; open {pages[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
