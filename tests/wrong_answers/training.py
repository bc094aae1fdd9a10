"""Wrong answers to the exercises of notebook 05."""

WRONG = {}
