"""Common ground of the tests: a tiny network with real transformer layers, and the real parent, loaded once."""

import runpy
from pathlib import Path

# Offline, no progress bars: the settings of the notebooks' runs, in one place. Before anything imports transformers.
runpy.run_path(str(Path(__file__).parents[1] / "notebooks" / "conftest.py"))

import pytest  # noqa: E402
import torch  # noqa: E402
from support import tiny_bert  # noqa: E402


def pytest_collection_modifyitems(items):
    for item in items:
        if type(item).__name__ == "IPyNbCell":
            item.add_marker(pytest.mark.notebook)


@pytest.fixture
def tiny():
    """A BERT classifier of two layers, 16 wide, with random weights; about 5,000 entries in its masked scope."""
    return tiny_bert()


@pytest.fixture
def batches():
    """Three batches of 6, 6 and 4 examples for `tiny`, with padding; always the same."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for size in (6, 6, 4):
        mask = torch.ones(size, 10, dtype=torch.long)
        mask[size // 2 :, 6:] = 0
        made.append(
            {
                "input_ids": torch.randint(1, 50, (size, 10), generator=generator),
                "attention_mask": mask,
                "labels": torch.randint(0, 3, (size,), generator=generator),
            }
        )
    return made


@pytest.fixture(scope="session")
def minilm():
    """The real parent and its tokenizer. Tests must not change it."""
    import childtune_lite as ct

    return ct.load_parent("minilm", num_labels=2)
