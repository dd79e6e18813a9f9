"""`python -m da4dvar`: the command line."""

from da4dvar.cli import main

main()
