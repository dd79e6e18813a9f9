"""Scores of estimates, error bars and spectra."""
