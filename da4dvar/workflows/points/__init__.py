"""Maps of points: methods compared at hidden tracks and platforms, and the map of the best."""
