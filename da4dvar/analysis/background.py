"""The background of an assimilation: what one call hands on to the next, as a data set."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from numbers import Real
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from da4dvar.analysis.model import Model
from da4dvar.analysis.options import is_number
from da4dvar.errors import DataError
from da4dvar.fields.labels.cf import is_dates, spacing, steps
from da4dvar.fields.labels.conform import Conformed, readable
from da4dvar.variational.background import Background

# Variables of the data set: the last analysis and its covariance, and x_b and B at the first of its times.
ANALYSIS, COVARIANCE, MEAN, BEFORE = "analysis", "analysis_covariance", "mean", "covariance"
FILTER, FILTER_STD = "filter", "filter_std"
SERIES = (ANALYSIS, FILTER, FILTER_STD)
LAG = 40
STATE, OTHER = "state", "other_state"


@dataclass(frozen=True)
class Settings:
    """Numbers that shape an analysis; see :meth:`da4dvar.Interpolator.assimilate`. None is the default.

    Attributes
    ----------
    lag : int, optional
        Number of steps over which an observation acts on earlier states.
    inflation, background_error, model_error, observation_error : float, optional
        Inflation and standard deviations.

    Raises
    ------
    DataError
        If a number is out of range.
    """

    lag: int | None = None
    inflation: float | None = None
    background_error: float | None = None
    model_error: float | None = None
    observation_error: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is None:
                continue
            if name == "lag":
                right = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 0
                expected = "a number of steps, 0 or more"
            else:
                right, expected = is_number(value, Real) and 0 < value < math.inf, "a number above 0"
            if not right:
                raise DataError(f"{name} is {value!r}, expected {expected}")

    def completed(self, kept: Settings | None) -> Settings:
        """Return these settings with those of an earlier call, or the default lag.

        Raises
        ------
        DataError
            If a number is given that is not that of the earlier call.
        """
        if kept is None:
            return self if self.lag is not None else replace(self, lag=LAG)
        for name, value in asdict(self).items():
            before = getattr(kept, name)
            if value is not None and value != before:
                had = "the default" if before is None else f"{before:g}"
                raise DataError(f"{name} is {value:g}, but that of the background is {had}; leave it out")
        return kept


@dataclass(frozen=True)
class Carried:
    """What an assimilation hands on: the window of its last times.

    Attributes
    ----------
    observed : Dataset
        Observations of the times of the window, under the model's names and in its units.
    background : Background
        Distribution of the first state of the window, normalised.
    x : Tensor, shape ``(batch, channel, *space, time)``
        Analysis of the window, normalised.
    covariance : Tensor, shape (batch, n, n)
        Covariance of the error of the last state, normalised.
    filtered, filtered_std : Tensor, shape of `x`
        Analyses of the times of the window from the observations up to each, and their standard errors.
    settings : Settings
        Settings with which a later call goes on.
    """

    observed: xr.Dataset
    background: Background
    x: Tensor
    covariance: Tensor
    filtered: Tensor
    filtered_std: Tensor
    settings: Settings

    def to_dataset(self, model: Model) -> xr.Dataset:
        """Return the data set to save: exact, and in normalised units apart from the observations."""
        first = self.observed[model.layout.variables[0]]
        batch = [d for d in first.dims if d not in model.layout.dims]
        shape = [first.sizes[d] for d in batch]

        def named(values: Tensor, dims: list[str]) -> xr.DataArray:
            array = values.cpu().numpy().reshape(*shape, *values.shape[1:])
            return xr.DataArray(array, dims=[*batch, *dims])

        mean = self.background.mean.flatten(1)
        series = {ANALYSIS: self.x, FILTER: self.filtered, FILTER_STD: self.filtered_std}
        out = self.observed.assign(
            {
                MEAN: named(mean, [STATE]),
                BEFORE: named(self.background.covariance, [STATE, OTHER]),
                COVARIANCE: named(self.covariance, [STATE, OTHER]),
                **{name: named(x.flatten(1, -2), [STATE, model.time]) for name, x in series.items()},
            }
        )
        return out.assign_attrs({k: v for k, v in asdict(self.settings).items() if v is not None})

    def to(self, like: Tensor) -> Carried:
        """Return the same with the data type and on the device of a tensor."""
        return replace(
            self,
            background=self.background.to(like),
            x=self.x.to(like),
            covariance=self.covariance.to(like),
            filtered=self.filtered.to(like),
            filtered_std=self.filtered_std.to(like),
        )

    @classmethod
    def of(cls, ds: xr.Dataset, model: Model) -> Carried:
        """Return what a data set of :meth:`to_dataset` holds.

        Raises
        ------
        DataError
            If the data set is of another model.
        """
        names = list(model.layout.variables)
        missing = [n for n in (*names, MEAN, BEFORE, *SERIES, COVARIANCE) if n not in ds]
        if missing:
            raise DataError(
                f"the background has no variable {missing[0]!r}; give that of an assimilation with this model"
            )
        first = ds[names[0]]
        batch = [d for d in first.dims if d not in model.layout.dims]
        space = [first.sizes[d] for d in model.layout.dims if d != model.time]
        channels = len(names) * int(np.prod(space[: len(model.layout.channels)], dtype=int))
        shape = (channels, *space[len(model.layout.channels) :])

        def tensor(name: str, *dims: str) -> Tensor:
            array = ds[name].transpose(*batch, *dims).values
            return torch.from_numpy(np.ascontiguousarray(array).reshape(-1, *array.shape[len(batch) :]))

        mean = tensor(MEAN, STATE)
        if mean.shape[1] != np.prod(shape):
            raise DataError(
                f"the background has {mean.shape[1]} components, expected {np.prod(shape)}; give that of an "
                "assimilation with this model"
            )
        x, filtered, std = (tensor(name, STATE, model.time).reshape(len(mean), *shape, -1) for name in SERIES)
        kept: dict[str, Any] = {f.name: number(ds.attrs.get(f.name)) for f in fields(Settings)}
        return cls(
            ds[names],
            Background(mean.reshape(-1, *shape), tensor(BEFORE, STATE, OTHER)),
            x,
            tensor(COVARIANCE, STATE, OTHER),
            filtered,
            std,
            Settings(**kept),
        )


def number(value: Any) -> int | float | None:
    """Return a number that a file has kept, as Python's own type."""
    return None if value is None else int(value) if isinstance(value, int | np.integer) else float(value)


def is_carried(ds: xr.Dataset) -> bool:
    """Whether a data set is what an assimilation hands on, rather than a state with an error."""
    return BEFORE in ds and ANALYSIS in ds


def check_grid(given: xr.Dataset, conformed: Conformed, model: Model) -> None:
    """Refuse a background whose cells or series are not those of the observations.

    Raises
    ------
    DataError
        If a dimension other than time differs in its size or its labels.
    """
    name = model.layout.variables[0]
    ours, theirs = conformed.data[name], given[name]
    for dim in (d for d in ours.dims if d != model.time):
        user = conformed.dims.get(str(dim), str(dim))
        sizes = theirs.sizes.get(dim), ours.sizes[dim]
        if sizes[0] != sizes[1]:
            had = "no such dimension" if sizes[0] is None else f"{sizes[0]} entries"
            raise DataError(
                f"background: {user!r} has {sizes[1]} entries in the data, but the background has {had}; "
                "give a background on the grid of the data"
            )
        if dim in ours.indexes and dim in theirs.indexes and not same_labels(ours[dim], theirs[dim]):
            raise DataError(
                f"background: the labels of {user!r} are not those of the data; give a background on the "
                "grid of the data"
            )


def same_labels(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Whether two coordinates hold the same labels, apart from rounding."""
    if one.dtype.kind in "iuf" and other.dtype.kind in "iuf":
        return bool(np.allclose(one, other, rtol=1e-6, atol=0))
    return bool((one.values == other.values).all())


def continued(kept: xr.Dataset, new: xr.Dataset, model: Model, lag: int) -> xr.Dataset:
    """Return observations with later ones appended, and absent steps in between as gaps.

    Parameters
    ----------
    kept : Dataset
        Observations of the last window.
    new : Dataset
        Observations to append; those of times that were assimilated before are left out.
    model : Model
        Fitted model.
    lag : int
        Number of steps that may be absent.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If the data have no times, no time is new, or the new times do not fit the step of the model.
    """
    time = model.time
    if time not in kept.coords or time not in new.coords:
        raise DataError(
            f"there is no coordinate {time!r}, which tells what is new; give the data their times"
        )
    last = kept[time].values[-1]
    try:
        later = new.isel({time: np.flatnonzero(new[time].values > last)})
    except TypeError as error:
        raise DataError(
            f"the times of the background and of the data cannot be compared ({error})"
        ) from error
    if not later.sizes[time]:
        raise DataError(
            f"no time is later than the last analysis, at {label(kept[time], -1)}; give newer observations"
        )
    step = model.fitted_signature().dims[time].spacing or spacing(xr.concat([kept[time], later[time]], time))
    between = xr.concat([kept[time][-1:], later[time][:1]], time)
    found = steps(between)
    assert step is not None
    assert found is not None
    count = round(float(found[0]) / step)
    if count < 1 or abs(found[0] / step - count) > 0.1:
        raise DataError(
            f"the first new time is {readable(found[0], between)} after the last analysis, expected a "
            f"multiple of the step of {readable(step, between)}"
        )
    if count > lag + 1:
        raise DataError(too_long(between, 0, 1, count - 1, lag))
    parts = [kept]
    if count > 1:
        absent = kept.isel({time: [-1] * (count - 1)}).copy()
        absent = absent.where(xr.zeros_like(absent[time], dtype=bool))
        parts.append(absent.assign_coords({time: following(kept[time], step, count - 1)}))
    return xr.concat([*parts, later], time, coords="minimal", compat="override", combine_attrs="override")


def following(coordinate: xr.DataArray, step: float, count: int) -> xr.DataArray:
    """Return the next labels of a time coordinate, `step` apart, in seconds for dates."""
    last: Any = coordinate.values[-1]
    if coordinate.dtype.kind == "M":
        values = last + (step * 1e9 * np.arange(1, count + 1)).round().astype("m8[ns]")
    elif is_dates(coordinate):
        values = np.array([last + timedelta(seconds=step * k) for k in range(1, count + 1)])
    else:
        values = last + step * np.arange(1, count + 1)
    name: Hashable = coordinate.name
    return xr.DataArray(values, dims=[name], name=name, attrs=coordinate.attrs)


def too_long(times: xr.DataArray, i: int, k: int, absent: int, lag: int) -> str:
    """Return the message about a gap between two times that is longer than a window."""
    return (
        f"there is no observation for {absent} steps between {label(times, i)} and {label(times, k)}, "
        f"longer than the window of {lag} steps; give a longer lag (--lag {absent}), or begin a new analysis"
    )


def label(coordinate: xr.DataArray, index: int) -> str:
    """Return a label of a coordinate as text."""
    value = coordinate.values[index]
    return str(value)[:19] if is_dates(coordinate) else f"{value:g}"
