"""Priors Φ, one a file."""
