"""Wrong answers to the exercises of notebook 02."""

WRONG = {}
