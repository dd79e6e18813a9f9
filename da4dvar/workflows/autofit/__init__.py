"""Automatic fit of a model to one gappy data set: its properties, the choice of a recipe, and the scores."""
