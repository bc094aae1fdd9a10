"""What several test files call."""

import warnings

import torch

# Peak memory that a notebook's kernel may need on a Binder, which ends at 2 GB: 1.5 GB.
BINDER_MIB = dict.fromkeys(("00", "01", "02", "03", "04", "05", "08"), 1_500_000_000 // 2**20)


def tiny_bert():
    """A BERT classifier of two layers, 16 wide, with random weights, always the same."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, num_labels=3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BertForSequenceClassification(config).eval()


def backward(model, batch) -> None:
    """Fill `.grad` as a training loop does."""
    model.zero_grad()
    model(**batch).loss.backward()


def drawn(fig):
    """The figure, after it was drawn for real with every warning an error: some warnings come only then."""
    from matplotlib.figure import Figure

    from childtune_lite.plots.style import png

    assert isinstance(fig, Figure)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert png(fig).startswith(b"\x89PNG")
    return fig


def visit(view):
    """Draw a view at every combination of its settings; yields (settings, text). Nothing may stay open."""
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    for settings in view.grid():
        figure, text = view.draw(**settings)
        assert isinstance(figure, Figure), settings
        assert text.strip(), settings
        yield settings, text
    assert not pyplot.get_fignums()
