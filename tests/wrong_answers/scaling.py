"""Wrong answers to the exercises of notebook 09."""

WRONG = {}
