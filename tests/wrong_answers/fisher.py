"""Wrong answers to the exercises of notebook 03."""

WRONG = {}
