"""Learning a model: samples, loss, plan and the training loop.

Imports `analysis` and what lies below it. `loop` is the only module of the package that imports Lightning. A
new way to make samples goes to `dataset`, a new term of the loss to `loss`.
"""
