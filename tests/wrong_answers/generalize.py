"""Wrong answers to the exercises of notebook 07."""

WRONG = {}
