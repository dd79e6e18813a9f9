"""The options of an interpolation, spelled once: for the method, the functions, the accessor and the fit."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypedDict, TypeVar, cast, get_type_hints

import xarray as xr

from da4dvar.errors import nearest
from da4dvar.progress import Progress

Face = TypeVar("Face", bound=Callable[..., Any])


class Options(TypedDict, total=False):
    """Keywords of :meth:`da4dvar.Interpolator.interpolate`, for signatures: ``**options: Unpack[Options]``.

    The second entry of each annotation is the default.

    Parameters
    ----------
    variable : mapping of str to str, or str, optional
        The name in the data of a variable or covariate of the model, where it is another; a single name
        is that of the model's only variable.
    mask : str or DataArray, optional
        Non-zero or true where there is an observation: the name of a variable of the data, or an array
        with the labels of the data.
    dim : mapping of str to str, optional
        The name in the data of a dimension of the model, where it is another.
    keep_observed : bool, default False
        Put the observed values back; by default every cell is the analysis.
    observation_error : float, optional
        Standard deviation of the observation error, in the units of the data, where it is another than in
        training; the attribute ``observation_error_std`` of the variable if not given.
    batch_size : int, default 16
        Windows solved at once; it changes speed and memory, and the answer only by rounding.
    progress : callable, optional
        Called with the number of windows that are done, and the number of all.
    std : bool, default False
        Add standard errors, by an ensemble.
    members : int, optional
        Size of the ensemble, which runs if `std`, `members` or `interval` is given; if not given, that of
        the model's calibration, or 8 without one.
    interval : float or sequence of float, default ()
        Levels of the intervals to add, such as 0.9; they need a model with a calibration.
    seed : int, default 0
        Seed of the ensemble.
    precision : {"float32", "bfloat16"}, default "float32"
        Precision of convolutions and matrix products; bfloat16 is faster on some processors, and less
        exact.
    """

    variable: Annotated[Mapping[str, str] | str | None, None]
    mask: Annotated[str | xr.DataArray | None, None]
    dim: Annotated[Mapping[str, str] | None, None]
    keep_observed: Annotated[bool, False]
    observation_error: Annotated[float | None, None]
    batch_size: Annotated[int, 16]
    progress: Annotated[Progress | None, None]
    std: Annotated[bool, False]
    members: Annotated[int | None, None]
    interval: Annotated[float | Sequence[float], ()]
    seed: Annotated[int, 0]
    precision: Annotated[str, "float32"]


TYPES = get_type_hints(Options)
DEFAULTS = cast(
    Options, {n: hint.__metadata__[0] for n, hint in get_type_hints(Options, include_extras=True).items()}
)
DOCUMENTED = inspect.cleandoc(Options.__doc__ or "").partition("----------\n")[2]


def with_options(function: Face) -> Face:
    """Spell out ``**options`` in a function's signature and docstring, for ``help()`` and editors."""
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=TYPES[name])
        for name, default in DEFAULTS.items()
    ]
    cast(Any, function).__signature__ = signature.replace(parameters=[*own, *more])
    paragraph = re.compile(r"^\*\*options\n(?: +\S.*\n?)+", re.MULTILINE)
    function.__doc__ = paragraph.sub(lambda _: f"{DOCUMENTED}\n", inspect.cleandoc(function.__doc__ or ""))
    return function


def completed(function: Callable[..., Any], options: Options) -> Options:
    """All options, those that were not given with their defaults.

    Parameters
    ----------
    function : callable
        That was called, for the message.
    options : mapping

    Raises
    ------
    TypeError
        If an option is unknown.

    Examples
    --------
    >>> from da4dvar import interpolate
    >>> completed(interpolate, {"std": True})["members"] is None
    True
    >>> completed(interpolate, {"memebrs": 4})
    Traceback (most recent call last):
    ...
    TypeError: interpolate() has no option 'memebrs': did you mean 'members'? (there are: batch_size, ...)
    """
    for name in options:
        if name not in DEFAULTS:
            known = [*inspect.signature(function).parameters]
            raise TypeError(f"{function.__name__}() has no option {name!r}: {nearest(name, known)}")
    return cast(Options, {**DEFAULTS, **options})
