"""The repository's address stands in one place, and a fork needs one line and one command."""

import json
import shutil
from pathlib import Path

import pytest

from childtune_lite import badges

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def fork(tmp_path):
    """A clone in small: the settings, the README, two notebooks; the address changed in pyproject.toml."""
    (tmp_path / "notebooks").mkdir()
    for name in ("README.md", "notebooks/00_start_here.ipynb", "notebooks/09_scaling_up.ipynb"):
        shutil.copy(ROOT / name, tmp_path / name)
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    changed = settings.replace(badges.repository(), "https://github.com/somebody/a-course")
    assert changed != settings
    (tmp_path / "pyproject.toml").write_text(changed, encoding="utf-8")
    return tmp_path


def test_everything_here_has_the_address_of_pyproject():
    assert badges.main(["--check"]) == 0


def test_a_fork_is_stamped_by_one_command(fork, capsys):
    assert badges.main(["--check", "--root", str(fork)]) == 1
    assert capsys.readouterr().out.count("another address") == 3
    assert badges.main(["--root", str(fork)]) == 0
    assert badges.main(["--check", "--root", str(fork)]) == 0
    for path in (fork / "README.md", *fork.glob("notebooks/*.ipynb")):
        text = path.read_text(encoding="utf-8")
        assert "OWNER" not in text
        assert "somebody/a-course/blob/main/notebooks/" in text
        assert "mybinder.org/v2/gh/somebody/a-course/main" in text
    notebook = json.loads((fork / "notebooks" / "09_scaling_up.ipynb").read_text(encoding="utf-8"))
    assert "git+https://github.com/somebody/a-course gt-all" in json.dumps(notebook["cells"][3])


def test_stamping_changes_nothing_but_the_address(fork):
    badges.main(["--root", str(fork)])
    for path in (fork / "README.md", *fork.glob("notebooks/*.ipynb")):
        back = path.read_text(encoding="utf-8").replace("somebody/a-course", "OWNER/childtune-lite")
        assert back == (ROOT / path.relative_to(fork)).read_text(encoding="utf-8")


@pytest.mark.parametrize("line", ["", 'Repository = "github.com/a/b"', 'Repository = "https://github.com/a"'])
def test_an_address_that_is_none_is_refused(fork, line):
    (fork / "pyproject.toml").write_text(f"[project.urls]\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"pyproject\.toml"):
        badges.main(["--root", str(fork)])
