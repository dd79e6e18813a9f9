"""Errors that users can fix; each message is one line: what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
import importlib.util
import sys
import warnings
from collections.abc import Iterable


class Da4dvarError(ValueError):
    """Base class of errors in the input; the command line prints the message and exits with status 2.

    Examples
    --------
    >>> try:
    ...     raise DataError("there is no variable 'sst'; it has t2m")
    ... except Da4dvarError as error:
    ...     print(error)
    there is no variable 'sst'; it has t2m
    """


class DataError(Da4dvarError):
    """Error in a data set.

    Examples
    --------
    >>> import xarray as xr
    >>> from da4dvar.baselines.linear import Linear
    >>> Linear(time="day").interpolate(xr.Dataset({"t2m": ("time", [1.0])}))
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: variable 't2m' has no dimension 'day'; it has time
    """


class RecipeError(Da4dvarError):
    """Error in a recipe or another configuration.

    Examples
    --------
    >>> from da4dvar.layout import Layout
    >>> Layout(["sst"], axes=[])
    Traceback (most recent call last):
    ...
    da4dvar.errors.RecipeError: layout: got 0 axes, expected 1, 2 or 3; fold further ...
    """


class ModelError(Da4dvarError):
    """Error in a model file.

    Examples
    --------
    >>> from da4dvar.api import load
    >>> load("nowhere.safetensors")
    Traceback (most recent call last):
    ...
    da4dvar.errors.ModelError: nowhere.safetensors: no such model file
    """


class Da4dvarWarning(UserWarning):
    """Warning issued by this package.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", Da4dvarWarning)  # every warning raises an error
    ...     warnings.warn("there is nothing to resume; the run begins", Da4dvarWarning)
    Traceback (most recent call last):
    ...
    da4dvar.errors.Da4dvarWarning: there is nothing to resume; the run begins
    """


def warn(message: str) -> None:
    """Issue a warning at the line that called this package, at whatever depth it is raised.

    Parameters
    ----------
    message : str
        Text of the warning.

    Warns
    -----
    Da4dvarWarning
        With the message.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warn("there is nothing to resume; the run begins")
    >>> caught[0].category.__name__
    'Da4dvarWarning'
    """
    package = __name__.partition(".")[0]
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, Da4dvarWarning, stacklevel=level)


def first_line(error: BaseException) -> str:
    """Return the first line of the message of an error, to be quoted in another message.

    Parameters
    ----------
    error : BaseException
        The error to quote.

    Returns
    -------
    str
        The first line, at most 300 characters; the name of the exception type if there is no message.

    Examples
    --------
    >>> first_line(OSError("HDF error\\n  at the end of the file"))
    'HDF error'
    >>> first_line(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def check_least(least: float, **arguments: float) -> None:
    """Reject numbers below a bound.

    Parameters
    ----------
    least : float
        Lowest value that is allowed.
    **arguments : float
        Numbers by name.

    Raises
    ------
    ValueError
        If a number is below the bound or NaN.

    Examples
    --------
    >>> check_least(1, width=8, kernel=0)
    Traceback (most recent call last):
    ValueError: kernel is 0, expected 1 or more
    """
    for name, value in arguments.items():
        if not value >= least:
            raise ValueError(f"{name} is {value}, expected {least} or more")


def nearest(name: str, names: Iterable[str]) -> str:
    """Suggest the most similar of the valid names, for the end of an error message.

    Parameters
    ----------
    name : str
        Unknown name.
    names : iterable of str
        Valid names.

    Returns
    -------
    str
        The name most similar to `name`, if any, and a list of all valid names.

    Examples
    --------
    >>> nearest("itertions", ["iterations", "width"])
    "did you mean 'iterations'? (there are: iterations, width)"
    """
    known = sorted(map(str, names))
    listed = f"there are: {', '.join(known)}" if known else "there are none"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}? ({listed})" if close else listed


def need(what: str, package: str) -> None:
    """Check that an optional package is installed.

    Parameters
    ----------
    what : str
        Feature that needs the package, for the message.
    package : str
        Import name of the package, which is also the name of the extra that installs it.

    Raises
    ------
    DataError
        If the package is not installed.

    Examples
    --------
    >>> need("counting", "math")
    >>> need("counting", "abacus")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: counting needs abacus, which is not installed; pip install 'da4dvar[abacus]'
    """
    if importlib.util.find_spec(package) is None:
        raise DataError(f"{what} needs {package}, which is not installed; pip install 'da4dvar[{package}]'")
