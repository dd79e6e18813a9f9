"""Benchmarks: folders of recipes that are the rows of a table of scores."""
