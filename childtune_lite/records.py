"""Recorded results: where the notebooks find the rows, plans and measurements that took too long for a notebook."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
# In a clone they lie beside the notebooks; an installed package carries a copy (pyproject.toml, package-dir).
PLACES = (HERE.parent / "notebooks" / "results", HERE / "results")


def recorded(name: str) -> Path:
    """The path of a recorded file, such as "study_cpu.jsonl", in a clone and on Colab alike.

    FileNotFoundError names the places that were searched.
    """
    for place in PLACES:
        if (place / name).is_file():
            return place / name
    raise FileNotFoundError(f"name={name!r}: no such record in {' or '.join(map(str, PLACES))}")
