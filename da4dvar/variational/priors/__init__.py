"""Priors Φ: modules that keep the shape ``(batch, channel, *space)``."""
