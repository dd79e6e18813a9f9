"""A model fitted to one gappy data set: what it is like, what fits it, how good that is."""
