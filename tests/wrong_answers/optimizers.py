"""Wrong answers to the exercises of notebook 04."""

WRONG = {}
