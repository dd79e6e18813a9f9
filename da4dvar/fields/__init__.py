"""Labelled data: data sets in, arrays out, and back; no tensors."""
