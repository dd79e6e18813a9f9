"""Data sets larger than memory, solved region by region, in parallel if wanted, in runs that can be resumed.

`interpolate_file` is the entry point; `plan` chooses the regions, `tile` solves them, `run` combines the
results, `journal` and `store` keep finished regions, `schedulers` and `cluster` distribute the work. This
package imports `interpolator` and the packages below it.
"""
