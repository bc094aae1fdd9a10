"""What several test files call."""


def backward(model, batch) -> None:
    """Fill `.grad` as a training loop does."""
    model.zero_grad()
    model(**batch).loss.backward()
