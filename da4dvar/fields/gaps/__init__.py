"""Gap patterns, points that are hidden, and the geometry of gaps."""
