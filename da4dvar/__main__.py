"""The command line, as ``python -m da4dvar``."""

from da4dvar.cli import main

main()
