"""Labelled arrays: from data sets to windows of numbers, and back.

Knows xarray, dask and numpy and no tensors; imports `errors` and `layout` only. A gap pattern goes to
`gaps`, a normalisation to `scaling`, a measure of error to `scores`; names of patterns and scalings to
`kinds`.
"""
