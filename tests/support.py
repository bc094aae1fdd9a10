"""What several test files call."""

import warnings


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
