"""Packages that not everyone needs: what says which is missing, and how to get it."""

from __future__ import annotations

import importlib.util

from da4dvar.errors import DataError


def need(what: str, package: str, extra: str) -> None:
    """Refuse something for which a package is not installed.

    Parameters
    ----------
    what : str
        That needs it, for the message.
    package : str
        As it is imported.
    extra : str
        Of this package, which installs it.

    Raises
    ------
    DataError

    Examples
    --------
    >>> need("counting", "math", "train")
    >>> need("counting", "abacus", "train")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: counting needs abacus, which is not installed; pip install 'da4dvar[train]'
    """
    if importlib.util.find_spec(package) is None:
        raise DataError(f"{what} needs {package}, which is not installed; pip install 'da4dvar[{extra}]'")
