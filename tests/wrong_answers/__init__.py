"""Planted wrong answers, a file a notebook: for each exercise (answer, words that its report must hold).

Written apart from the module's own list of mistakes, as learners would write them.
"""
