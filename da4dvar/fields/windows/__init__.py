"""Overlapping windows that cover a field, and their tapered sum."""
