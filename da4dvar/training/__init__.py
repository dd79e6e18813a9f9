"""Training of a model: samples, loss, plan and the training loop.

This package imports `analysis` and the packages below it. `loop` is its only module that imports Lightning.
A new way to make samples belongs in `dataset`, a new term of the loss in `loss`.
"""
