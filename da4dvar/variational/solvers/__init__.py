"""Minimisers of U: from a cost and x(0) to a `Solution`."""
