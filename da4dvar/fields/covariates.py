"""Covariates: complete fields that are given with the observations and are not estimated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, RecipeError, nearest
from da4dvar.fields.derived import DERIVED, derived
from da4dvar.fields.scaling.standard import Arrays, Standard
from da4dvar.layout import Layout

# Already between -1 and 1; the statistics of a month do not represent the year.
CIRCLES = ("day_of_year_", "hour_of_day_")


class Covariates:
    """c = (value − mean) / standard deviation, with one mean and one deviation for each covariate.

    The day of the year and the hour of the day are not scaled, because their sine and cosine already have the
    size of a normalised field.

    Parameters
    ----------
    names : sequence of str
        Variables of the data set. Each may lack dimensions of the state, such as topography without time.
    derived : sequence of {"day_of_year", "hour_of_day", "latitude", "longitude"}
        Covariates to derive from the coordinates.
    layout : Layout
        Layout of the state.
    time : str
        Name of the time dimension.
    like : str, optional
        Variable of the data set that has the dimensions of the state. By default the layout's first variable.

    Raises
    ------
    RecipeError
        If a covariate is also an estimated variable, is named twice, or cannot be derived.

    Examples
    --------
    >>> layout = Layout(["sst"], axes=["lat"], channels=["time"], window={"time": 2})
    >>> ds = xr.Dataset({"sst": (("time", "lat"), np.ones((3, 2))), "depth": ("lat", [10.0, 30.0])})
    >>> covariates = Covariates(["depth"], [], layout, "time").fit(ds)
    >>> covariates.normalised(ds).depth.values
    array([-1.,  1.], dtype=float32)
    """

    def __init__(
        self,
        names: Sequence[str],
        derived: Sequence[str],
        layout: Layout,
        time: str,
        like: str | None = None,
    ) -> None:
        for key, given in (("covariates", names), ("derived", derived)):
            if isinstance(given, str) or not all(isinstance(n, str) for n in given):
                raise RecipeError(f"data: {key} is {given!r}, expected a list of names: [{given!r}]")
            if twice := [n for n in given if list(given).count(n) > 1]:
                raise RecipeError(f"data: {key} contains {twice[0]!r} twice; remove one of them")
        if both := [n for n in names if n in layout.variables]:
            raise RecipeError(
                f"data: covariate {both[0]!r} is also a variable of the layout, which is estimated; "
                "remove it from one of the two"
            )
        for name in derived:
            if name not in DERIVED:
                raise RecipeError(f"data: unknown derived covariate {name!r}; {nearest(name, DERIVED)}")
        self.names, self.derived = tuple(names), tuple(derived)
        self.layout, self.time = layout, time
        self.like = layout.variables[0] if like is None else like
        self.scaling = Standard()

    def __bool__(self) -> bool:
        return bool(self.names or self.derived)

    def fit(self, ds: xr.Dataset) -> Covariates:
        """Compute the means and standard deviations of the covariates.

        Parameters
        ----------
        ds : Dataset
            Data set with the covariates.

        Returns
        -------
        Covariates
            This object.

        Raises
        ------
        DataError
            See :meth:`normalised`; also if a covariate does not vary.
        """
        fields = self._fields(ds)
        scaled = [str(n) for n in fields if not str(n).startswith(CIRCLES)]
        self.scaling.fit(fields, scaled, self.layout.dims)
        return self

    def normalised(self, ds: xr.Dataset) -> xr.Dataset:
        """Return the normalised covariates of a data set, each with its own dimensions.

        Parameters
        ----------
        ds : Dataset
            Data set with the covariates.

        Returns
        -------
        Dataset
            Dimensionless values of type float32.

        Raises
        ------
        DataError
            If a covariate does not exist, has missing values, or has a dimension that the state lacks. The
            values of lazy data are checked when they are used.
        """
        return self.scaling.normalise(self._fields(ds)).astype("float32")

    def channels(self, ds: xr.Dataset, sizes: Mapping[str, int]) -> int:
        """Return the number of tensor channels of the covariates.

        A covariate without folded dimensions has a single channel.

        Parameters
        ----------
        ds : Dataset
            Data set with the covariates.
        sizes : mapping of str to int
            Sizes of the folded dimensions that are not cut into windows.

        Returns
        -------
        int
        """
        lengths = {d: self.layout.window.get(d, sizes.get(d, 1)) for d in self.layout.channels}
        fields = self._fields(ds, checked=False).values()
        return sum(math.prod(lengths.get(str(d), 1) for d in field.dims) for field in fields)

    def arrays(self) -> Arrays:
        """Return the means and standard deviations, for a model file.

        Returns
        -------
        dict of str to array
        """
        return self.scaling.arrays()

    def load(self, arrays: Arrays) -> None:
        """Restore the result of :meth:`arrays`.

        Parameters
        ----------
        arrays : dict of str to array
            Means and standard deviations.
        """
        self.scaling.load(arrays)

    def _fields(self, ds: xr.Dataset, checked: bool = True) -> xr.Dataset:
        first = self.like
        known = ds[first].dims if first in ds else None
        # Coordinates of other variables do not locate the state.
        own = ds[[first]] if first in ds else ds
        out = {}
        for name in self.names:
            if name not in ds.variables:
                raise DataError(f"there is no covariate {name!r}: {nearest(name, map(str, ds.data_vars))}")
            if ds[name].dtype.kind not in "fiub":
                raise DataError(f"covariate {name!r} holds {ds[name].dtype}, expected numbers")
            out[name] = ds[name].reset_coords(drop=True).drop_attrs().astype("float32")
        fields = xr.Dataset(out).merge(derived(own, self.derived, self.time), join="override")
        for label, field in fields.data_vars.items():
            for dim in field.dims:
                if known is not None and dim not in known:
                    raise DataError(
                        f"covariate {label!r} has a dimension {dim!r}, which {first!r} "
                        f"({', '.join(map(str, known))}) lacks; select one of its entries, or rename it"
                    )
            if checked and field.chunks is None and (missing := int((~np.isfinite(field)).sum())):
                raise DataError(incomplete(str(label), missing))
        return fields


def incomplete(name: str, missing: int) -> str:
    """Return the error message for a covariate with missing or infinite values."""
    return (
        f"covariate {name!r} has {missing} missing value{'' if missing == 1 else 's'}; covariates must be "
        "complete, on land and at all times: fill it first (ds.fillna or da4dvar baseline), or leave it out"
    )


def beside(y: xr.DataArray, covariates: xr.Dataset, short: Mapping[str, tuple[int, int]]) -> xr.DataArray:
    """Append the covariates to normalised observations, broadcast to the same cells.

    Parameters
    ----------
    y : DataArray, dims ``(variable, *batch, *layout.dims)``
        Normalised observations, already padded by `short`. The covariates are padded with their edge values.
    covariates : Dataset
        Normalised covariates.
    short : mapping of str to (int, int)
        Padding of each dimension that is shorter than a window, in cells.
    """
    if not covariates:
        return y
    like = y.isel(variable=0).reset_coords(drop=True).drop_vars(list(y.indexes), errors="ignore")
    chunks = like.chunksizes
    fields = []
    for field in covariates.drop_vars(list(covariates.coords)).values():
        width = {d: n for d, n in short.items() if d in field.dims}
        field = field.pad(width, mode="edge") if width else field
        field = (
            field.chunk({d: c for d, c in chunks.items() if d in field.dims}) if chunks else field.compute()
        )
        fields.append(field.broadcast_like(like).transpose(*like.dims))
    return xr.concat([y.drop_vars(list(y.coords)), *(f.expand_dims("variable") for f in fields)], "variable")
