"""Wrong answers to the exercises of notebook 08."""

WRONG = {}
