"""Measures of error, of error bars and of spectra."""
