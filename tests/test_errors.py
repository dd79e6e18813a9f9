"""What is said of an error that a library has raised."""

from da4dvar.errors import first_line


def test_the_first_line_of_an_error_is_never_empty_nor_long():
    """Blank lines and what is past 300 characters go; of no message the type is left."""
    assert first_line(ValueError("\n  no such label\nsecond line\n")) == "no such label"
    assert (first_line(ValueError()), first_line(IndexError(" \n"))) == ("ValueError", "IndexError")
    assert first_line(OSError("x" * 1000)) == "x" * 300
