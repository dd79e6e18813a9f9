"""Labelled arrays: conversion of data sets to windows of numbers, and back.

The modules use xarray, dask and numpy but no tensors, and import only `errors` and `layout` from the rest of
the package. Gap patterns belong in `gaps`, normalisations in `scaling`, error measures in `scores`, and the
names of patterns and scalings in `kinds`.
"""
