"""Windows that cover a field, and their sum with a taper."""
