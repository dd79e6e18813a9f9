"""Minimisers of U, which compute a `Solution` from a cost and x(0)."""
