"""The repository's address, from its one place into everything that carries it.

    python -m childtune_lite.badges           write it
    python -m childtune_lite.badges --check   only say what is out of step (exit status 1)

`pyproject.toml` has the address under `[project.urls] Repository`. From there it goes into the Colab and Binder badges
and the set-up cell's install line of every notebook, and into the badges of the README. After a fork: change the line
in pyproject.toml, then run this.
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r'^Repository = "(https://github\.com/[^/"\s]+/[^/"\s]+)"$', re.M)
INSTALLED_FROM = re.compile(r"git\+https://[^\s\"']+")
README_BADGES = re.compile(r"(<!-- badges -->\n).*?(\n<!-- end of badges -->)", re.S)


def repository(root: Path = ROOT) -> str:
    """The address, such as https://github.com/OWNER/childtune-lite."""
    found = ADDRESS.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError('pyproject.toml: [project.urls] needs a line Repository = "https://github.com/OWNER/NAME"')
    return found[1]


def badges(file: str, address: str, branch: str = "main") -> str:
    """The two badges of a notebook, as markdown. `file` is its path in the repository."""
    place = address.removeprefix("https://github.com/")
    return (
        f"[![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"(https://colab.research.google.com/github/{place}/blob/{branch}/{file}) "
        f"[![Open this notebook in Binder](https://mybinder.org/badge_logo.svg)]"
        f"(https://mybinder.org/v2/gh/{place}/{branch}?urlpath=lab/tree/{file})"
    )


def stamped(root: Path = ROOT) -> dict[Path, str]:
    """Every file that carries the address, as it should be."""
    address, wanted = repository(root), {}
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if "badges" in cell["metadata"].get("tags", []):
                cell["source"] = badges(f"notebooks/{path.name}", address).splitlines(keepends=True)
            cell["source"] = [INSTALLED_FROM.sub(f"git+{address}", line) for line in cell["source"]]
        wanted[path] = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    readme = root / "README.md"
    first = badges("notebooks/00_start_here.ipynb", address)
    text = readme.read_text(encoding="utf-8")
    wanted[readme] = README_BADGES.sub(lambda found: found[1] + first + found[2], text)
    return wanted


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m childtune_lite.badges", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, only say what is out of step")
    parser.add_argument("--root", type=Path, default=ROOT, help="the clone (default: the one this module lies in)")
    given = parser.parse_args(arguments)
    stale = {p: t for p, t in stamped(given.root).items() if p.read_text(encoding="utf-8") != t}
    if given.check:
        for path in stale:
            print(f"{path.relative_to(given.root)} has another address than pyproject.toml: run this without --check")
        return bool(stale)
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    print(f"{repository(given.root)}: {len(stale)} files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
