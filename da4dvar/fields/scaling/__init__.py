"""Normalisation of variables, and its inverse."""
