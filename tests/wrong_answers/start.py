"""Wrong answers to the exercises of notebook 00."""

WRONG = {}
