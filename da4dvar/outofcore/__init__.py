"""Data sets larger than memory: region by region, in parallel, to be resumed.

`interpolate_file` is the entry; `plan` decides regions, `tile` solves them, `run` puts them together,
`journal` and `store` keep what is finished, `schedulers` and `cluster` share the work. Imports `interpolator`
and what lies below it.
"""
