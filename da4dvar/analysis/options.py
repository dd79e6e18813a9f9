"""Options of an interpolation, defined once for the method, the functions, the accessor and the fit."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Annotated, Any, TypedDict, TypeVar, cast, get_type_hints

import numpy as np
import xarray as xr

from da4dvar.errors import nearest
from da4dvar.progress import Progress

Face = TypeVar("Face", bound=Callable[..., Any])


class Options(TypedDict, total=False):
    """Keywords of :meth:`da4dvar.Interpolator.interpolate`, for signatures with ``**options``.

    A function declares them as ``**options: Unpack[Options]``. The second entry of each annotation is the
    default.

    Parameters
    ----------
    variable : mapping of str to str, or str, optional
        Maps names of variables and covariates of the model to their names in the data, where these
        differ. A single name is that of the model's only variable.
    mask : str or DataArray, optional
        Where there is an observation: the name of a variable in the data that is true or non-zero there,
        a condition such as ``"quality_level>=4"``, or an array with the coordinates of the data.
    dim : mapping of str to str, optional
        Maps names of dimensions of the model to their names in the data, where these differ.
    fill_value : str or float, default "auto"
        Value that stands for a gap. ``"auto"`` also finds undeclared ones, which repeat and lie apart
        from all other values; ``"none"`` takes only what attributes declare.
    times : {"insert", "keep", "sort"}, default "insert"
        Insert absent time steps as gaps, keep the times as they are, or sort and merge them first.
    analysis : bool, default False
        Return the analysis in every cell. By default observed values are kept, to the last bit.
    observation_error : float, optional
        Standard deviation of the observation error, in the units of the data, if it differs from that in
        training. By default the attribute ``observation_error_std`` of the variable, if there is one.
    batch_size : int, optional
        Number of windows solved at once, by default 16, and 256 on a GPU, halved until its memory is
        enough. It affects speed and memory, and the result only by rounding.
    progress : callable, optional
        Function called with the number of finished windows and their total number.
    std : bool, default False
        Add standard errors, estimated from an ensemble.
    members : int, optional
        Size of the ensemble, which is run if `std`, `members` or `interval` is given. By default the size
        used in the model's calibration, or 8 without a calibration.
    interval : float or sequence of float, default ()
        Levels of the prediction intervals to add, such as 0.9. They require a calibrated model.
    samples : int, default 0
        Number of joint samples to add, whose errors are correlated like those of the estimate. The model
        must be calibrated, have dynamics, or start from optimal interpolation with its own covariance.
        Observed values are the same in all samples, unless `analysis` is set.
    seed : int, default 0
        Seed of the ensemble and of the samples.
    precision : {"float32", "bfloat16"}, default "float32"
        Precision of convolutions and matrix products. bfloat16 is faster on some processors, and less
        accurate.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Where windows are solved: on a GPU (cuda) or on the processor. "auto" is a GPU if there is one.
    force : bool, default False
        Continue although the values lie far outside those that the model was trained on.
    """

    variable: Annotated[Mapping[str, str] | str | None, None]
    mask: Annotated[str | xr.DataArray | None, None]
    dim: Annotated[Mapping[str, str] | None, None]
    fill_value: Annotated[str | float, "auto"]
    times: Annotated[str, "insert"]
    analysis: Annotated[bool, False]
    observation_error: Annotated[float | None, None]
    batch_size: Annotated[int | None, None]
    progress: Annotated[Progress | None, None]
    std: Annotated[bool, False]
    members: Annotated[int | None, None]
    interval: Annotated[float | Sequence[float], ()]
    samples: Annotated[int, 0]
    seed: Annotated[int, 0]
    precision: Annotated[str, "float32"]
    device: Annotated[str, "auto"]
    force: Annotated[bool, False]


TYPES = get_type_hints(Options)
DEFAULTS = cast(
    Options, {n: hint.__metadata__[0] for n, hint in get_type_hints(Options, include_extras=True).items()}
)
DOCUMENTED = inspect.cleandoc(Options.__doc__ or "").partition("----------\n")[2]


def check_options(**options: object) -> None:
    """Check the types of options before they are used.

    Parameters
    ----------
    **options
        Options of :class:`Options` by name; those that other functions check are ignored.

    Raises
    ------
    TypeError
        If an option has a wrong type.

    Examples
    --------
    >>> check_options(members=4, seed=0, std=True)
    >>> check_options(members="4")
    Traceback (most recent call last):
    ...
    TypeError: members is '4', expected a whole number
    """
    for name, value in options.items():
        default = DEFAULTS.get(name)
        if isinstance(default, bool):
            right, expected = isinstance(value, bool | np.bool_), "True or False"
        elif name in ("members", "batch_size", "samples", "seed"):
            right, expected = is_number(value, Integral) and not str(value).startswith("-"), "a whole number"
        elif name == "observation_error":
            right, expected = is_number(value, Real), "a number"
        elif name == "progress":
            right, expected = callable(value), "a function of two numbers: windows that are done, and all"
        else:
            continue
        if not right and not (value is None and default is None):
            raise TypeError(f"{name} is {value!r:.60}, expected {expected}")


def is_number(value: object, kind: type[Integral] | type[Real]) -> bool:
    """Whether a value is a number of a kind, and not a truth value."""
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_)


def with_options(function: Face) -> Face:
    """List the options in the signature and the docstring of a function, for ``help()`` and editors.

    Used as a decorator of functions with ``**options: Unpack[Options]``.
    """
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
    """Return all options, with the defaults of those that were not given.

    Parameters
    ----------
    function : callable
        Function that was called, for the error message.
    options : mapping
        Options that were given.

    Returns
    -------
    mapping

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
    TypeError: interpolate() has no option 'memebrs': did you mean 'members'? (there are: analysis, ...)
    """
    for name in options:
        if name not in DEFAULTS:
            known = [*inspect.signature(function).parameters]
            raise TypeError(f"{function.__name__}() has no option {name!r}: {nearest(name, known)}")
    return cast(Options, {**DEFAULTS, **options})
