"""The mathematics of the paper: tensors in, tensors out, and no labels."""
