"""Anomalies with respect to a harmonic climatology of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import dask
import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.derived import year_angle
from da4dvar.fields.labels.cf import is_dates
from da4dvar.fields.scaling.harmonics import (
    check_season,
    harmonic_basis,
    harmonic_regression,
    harmonic_sums,
    solved_harmonics,
)
from da4dvar.fields.scaling.standard import Arrays, positive

# The next harmonic would be shorter than two days.
MOST_HARMONICS = 182


class Anomaly:
    """(x − climatology) / standard deviation of the anomalies, for data with a seasonal cycle.

    The climatology of a cell consists of its mean and a few harmonics of the year, fitted by least squares to
    the observations. The harmonics of cells with few observations shrink towards those of the whole region. A
    cell that was never observed has no climatology and is not estimated.

    Parameters
    ----------
    harmonics : int
        Number of harmonics of the year; 3 resolve about two months.
    time : str
        Name of the time dimension, whose coordinate must hold dates.
    shrinkage : float
        Weight of the harmonics of the region, as a number of observations.

    Raises
    ------
    ValueError
        If `harmonics` or `shrinkage` is out of range.

    Examples
    --------
    >>> time = xr.date_range("2001-01-01", periods=730)
    >>> season = 15 + 5 * np.cos(year_angle(xr.DataArray(time, dims="time")))
    >>> ds = xr.Dataset({"sst": ("time", season + np.tile([-0.5, 0.5], 365))}, {"time": time})
    >>> round(Anomaly().fit(ds, ["sst"], ["time"]).std["sst"], 2)  # of the anomalies
    0.5
    """

    def __init__(self, harmonics: int = 3, time: str = "time", shrinkage: float = 5.0) -> None:
        if not 0 <= harmonics <= MOST_HARMONICS or not 0 <= shrinkage < np.inf:
            raise ValueError(
                f"harmonics is {harmonics} and shrinkage {shrinkage}, expected from 0 to {MOST_HARMONICS}, "
                "and 0 or more"
            )
        self.harmonics, self.time, self.shrinkage = harmonics, time, shrinkage
        self.coefficients: dict[str, xr.DataArray] = {}
        self.std: dict[str, float] = {}

    def fit(self, ds: xr.Dataset, variables: Sequence[str], dims: Sequence[str]) -> Self:
        """Fit climatologies and the standard deviations of anomalies; see :meth:`Scaling.fit`."""
        for name in variables:
            if ds[name].chunks is None:
                residual = self.fit_climatology(ds, name, dims)
                known = np.isfinite(residual).any()
                std = float(np.nanstd(residual)) if known else np.nan
            else:
                std = self._fit_by_parts(ds, name, dims)
            self.std[name] = positive(std, name)
        return self

    def fit_climatology(self, ds: xr.Dataset, name: str, dims: Sequence[str]) -> np.ndarray:
        """Fit the coefficients of one variable.

        Parameters
        ----------
        ds : Dataset
            Training data, NaN in the gaps.
        name : str
            Name of the variable.
        dims : sequence of str
            Dimensions of the state; entries along other dimensions are additional samples.

        Returns
        -------
        array, shape (row, cell)
            Anomalies, in the units of the variable.
        """
        values, rows, cells = self._rows(ds, name, dims)
        fitted = harmonic_regression(values, rows, self.shrinkage)
        self._keep(ds, name, cells, fitted)
        left: np.ndarray = values - rows @ fitted
        return left

    def _fit_by_parts(self, ds: xr.Dataset, name: str, dims: Sequence[str]) -> float:
        """Fit one variable in two passes over chunks; return the standard deviation of the anomalies."""
        ends = np.cumsum(ds[name].variable.chunksizes[self.time])
        parts = [ds[[name]].isel({self.time: slice(a, b)}) for a, b in pairwise((0, *ends))]
        normal, right = np.zeros(()), np.zeros(())
        for part in parts:
            values, rows, cells = self._rows(part, name, dims)
            sums = harmonic_sums(values, rows)
            normal, right = normal + sums[0], right + sums[1]
        fitted = solved_harmonics(normal, right, self.shrinkage)
        self._keep(ds, name, cells, fitted)
        moments = np.zeros(3)
        for part in parts:
            values, rows, _ = self._rows(part, name, dims)
            left = (values - rows @ fitted)[np.isfinite(values)]
            moments += [left.size, left.sum(), np.square(left).sum()]
        count, first, second = moments
        return float(np.sqrt(second / count - (first / count) ** 2)) if count else np.nan

    def _rows(
        self, ds: xr.Dataset, name: str, dims: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Return values of shape (row, cell), the basis of each row, and the dimensions of the cells."""
        basis = self._basis(ds).values
        cells = [d for d in dims if d in ds[name].dims and d != self.time]
        batch = [d for d in ds[name].dims if d not in (*cells, self.time)]
        with dask.config.set(scheduler="synchronous"):
            stacked = ds[name].transpose(self.time, *batch, *cells).values
        members = int(np.prod(stacked.shape[1 : 1 + len(batch)], dtype=int))
        return stacked.reshape(len(basis) * members, -1), np.repeat(basis, members, axis=0), cells

    def _keep(self, ds: xr.Dataset, name: str, cells: list[str], fitted: np.ndarray) -> None:
        """Store coefficients of shape (harmonic, cell) with their labels."""
        self.coefficients[name] = xr.DataArray(
            fitted.reshape(-1, *(ds.sizes[d] for d in cells)).astype("float32"),
            dims=("harmonic", *cells),
            coords={d: ds[d] for d in cells if d in ds.coords},
        )

    def normalise(self, ds: xr.Dataset) -> xr.Dataset:
        """(x − climatology) / standard deviation; see :meth:`Scaling.normalise`."""
        return ds.assign({n: (ds[n] - self.climatology(ds, n)) / self.std[n] for n in self.std})

    def restore(self, ds: xr.Dataset) -> xr.Dataset:
        """x standard deviation + climatology; see :meth:`Scaling.restore`."""
        return ds.assign({n: ds[n] * self.std[n] + self.climatology(ds, n) for n in self.std})

    def climatology(self, ds: xr.Dataset, name: str) -> xr.DataArray:
        """Return the climatology of a variable at the times and cells of `ds`, lazy if `ds` is.

        Parameters
        ----------
        ds : Dataset
            Data set with dates along the time dimension.
        name : str
            Name of the variable.

        Returns
        -------
        DataArray
            In the units of the variable.
        """
        basis = self._basis(ds)
        # Chunks of the values only: a lazy coordinate may have other chunks.
        chunks = ds[name].variable.chunksizes
        if self.time in chunks:
            basis = basis.chunk({self.time: chunks[self.time]})
        mean: xr.DataArray = xr.dot(basis, self._cells(ds, name), dim="harmonic")
        return mean.transpose(*[d for d in ds[name].dims if d in mean.dims])

    def _cells(self, ds: xr.Dataset, name: str) -> xr.DataArray:
        """Return the coefficients of a variable at the cells of `ds`, matched by coordinates."""
        coefficients = self.coefficients[name]
        for dim in coefficients.dims[1:]:
            if dim not in coefficients.coords:
                continue
            known, wanted = coefficients[dim].values, ds[dim].values
            labels = coefficients.get_index(dim)
            ordered = labels.is_monotonic_increasing or labels.is_monotonic_decreasing
            if known.dtype.kind not in "fiu" or not ordered:
                index = labels.get_indexer(wanted)
            else:
                spacing = np.abs(np.diff(known)).min() if known.size > 1 else 1.0
                index = labels.get_indexer(wanted, method="nearest", tolerance=0.05 * spacing)
            if (index < 0).any():
                outside = wanted[index < 0]
                raise DataError(
                    f"{dim!r} holds {outside[0]}, which is not in the climatology of the model "
                    f"(it has {known.size} from {known[0]} to {known[-1]}); "
                    "select that range, or fill the file without --model"
                )
            coefficients = coefficients.isel({dim: index}).assign_coords({dim: ds[dim]})
        return coefficients

    def arrays(self) -> Arrays:
        """Return coefficients, labels and standard deviations; see :meth:`Scaling.arrays`."""
        out: Arrays = {}
        for name, coefficients in self.coefficients.items():
            out[f"{name}.coefficients"] = coefficients.values
            out[f"{name}.std"] = np.array(self.std[name])
            # A file may return the arrays in another order.
            out[f"{name}.dims"] = np.array(coefficients.dims[1:], dtype=str)
            for dim in coefficients.dims[1:]:
                if dim in coefficients.coords:
                    out[f"{name}.coordinate.{dim}"] = coefficients[dim].values
        return out

    def load(self, arrays: Arrays) -> Self:
        """Restore coefficients, labels and standard deviations; see :meth:`Scaling.load`."""
        for key, value in arrays.items():
            if not key.endswith(".coefficients"):
                continue
            name = key.removesuffix(".coefficients")
            prefix = f"{name}.coordinate."
            coords = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            check_season(key, value, 2 * self.harmonics + 1, coords)
            dims = map(str, arrays.get(f"{name}.dims", list(coords)))
            self.coefficients[name] = xr.DataArray(
                value,
                dims=("harmonic", *dims),
                coords={d: (d, v) for d, v in coords.items() if v.size},
            )
            self.std[name] = positive(float(arrays[f"{name}.std"]), name)
        return self

    def _basis(self, ds: xr.Dataset) -> xr.DataArray:
        if self.time not in ds.coords or not is_dates(ds[self.time]):
            raise DataError(
                f"scaling 'anomaly' needs dates along {self.time!r}; "
                "give the time axis CF units such as 'days since 2000-01-01'"
            )
        time = ds[self.time]
        basis = harmonic_basis(year_angle(time), self.harmonics)
        return xr.DataArray(basis, dims=(self.time, "harmonic"), coords={self.time: time})
