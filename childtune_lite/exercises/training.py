"""The exercises of notebook 05."""

EXERCISES = []
