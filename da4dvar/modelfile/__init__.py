"""A model as a file: safetensors with a JSON header.

`write` and `read` are inverse to each other; `header` and `checks` refuse what is broken; `shipped` finds the
models of the package; `summary` and `describe` show what a file holds without loading torch. Imports
`analysis`, `config` and what lies below.
"""
