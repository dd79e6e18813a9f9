"""Hypothesis profile of `make check`: few examples, the same in every run."""

from hypothesis import settings

settings.register_profile("check", max_examples=2, derandomize=True, database=None, deadline=None)
