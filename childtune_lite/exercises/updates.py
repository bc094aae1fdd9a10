"""The exercises of notebook 02."""

EXERCISES = []
