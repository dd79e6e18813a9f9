"""Model files: safetensors with a JSON header.

`write` and `read` are inverse to each other; `header` and `checks` refuse broken files; `shipped` finds the
models of the package; `summary` and `describe` show the content of a file without loading torch. This package
imports `analysis`, `config` and the packages below them.
"""
