"""Gap patterns, hidden points for validation, and the geometry of gaps."""
