"""The report of a fit: one HTML page about a file before and after its gaps were filled."""
