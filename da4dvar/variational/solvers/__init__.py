"""Solvers Γ, one a file."""
