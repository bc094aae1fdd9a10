"""Recorded results are found in a clone, and are part of what is installed."""

import fnmatch
import sys
from pathlib import Path

import pytest

import childtune_lite as ct
from childtune_lite import records

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def test_a_record_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ct.recorded("study_cpu.jsonl").read_text(encoding="utf-8").startswith("{")


def test_an_installed_package_has_its_own_copy(tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "rows.jsonl").write_text("{}")
    monkeypatch.setattr(records, "PLACES", (tmp_path / "nowhere", tmp_path / "results"))
    assert ct.recorded("rows.jsonl") == tmp_path / "results" / "rows.jsonl"


def test_a_missing_record_is_named_with_the_places():
    with pytest.raises(FileNotFoundError, match=r"'study_moon\.jsonl': no such record in .*results"):
        ct.recorded("study_moon.jsonl")


def test_every_folder_of_code_is_installed_and_so_are_the_records():
    folders = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "childtune_lite").rglob("*.py")}
    assert folders | {"childtune_lite.results"} == set(SETUPTOOLS["packages"])
    (name, place), *others = SETUPTOOLS["package-dir"].items()
    assert not others
    patterns = SETUPTOOLS["package-data"][name]
    left_out = [
        p.name for p in (ROOT / place).iterdir() if not any(fnmatch.fnmatch(p.name, pattern) for pattern in patterns)
    ]
    assert sorted(left_out) == ["idea.png", "mask_explorer.png"], "the README's pictures are for the README"
