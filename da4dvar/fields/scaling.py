"""Normalisation of each variable, and its inverse."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, Self

import dask
import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.derived import year_angle
from da4dvar.fields.signature import is_dates

Arrays = dict[str, np.ndarray]


class Scaling(Protocol):
    """Makes variables comparable to a network, and their estimates physical again."""

    def fit(self, ds: xr.Dataset, variables: Sequence[str], dims: Sequence[str]) -> Self: ...
    def normalise(self, ds: xr.Dataset) -> xr.Dataset: ...
    def restore(self, ds: xr.Dataset) -> xr.Dataset: ...
    def arrays(self) -> Arrays: ...
    def load(self, arrays: Arrays) -> Self: ...


class Unscaled:
    """Values as they are, for a prior that is written in physical units."""

    def fit(self, ds: xr.Dataset, variables: Sequence[str], dims: Sequence[str]) -> Self:
        return self

    def normalise(self, ds: xr.Dataset) -> xr.Dataset:
        return ds

    def restore(self, ds: xr.Dataset) -> xr.Dataset:
        return ds

    def arrays(self) -> Arrays:
        return {}

    def load(self, arrays: Arrays) -> Self:
        return self


class Standard:
    """(x − mean) / standard deviation, one of each for a variable."""

    def __init__(self) -> None:
        self.mean: dict[str, float] = {}
        self.std: dict[str, float] = {}

    def fit(self, ds: xr.Dataset, variables: Sequence[str], dims: Sequence[str]) -> Self:
        # By one thread: lazy data are read a chunk at a time.
        with dask.config.set(scheduler="synchronous"):
            for name in variables:
                self.mean[name] = float(ds[name].mean(dtype="float64"))
                self.std[name] = positive(float(ds[name].std(dtype="float64")), name)
        return self

    def normalise(self, ds: xr.Dataset) -> xr.Dataset:
        return ds.assign({n: (ds[n] - self.mean[n]) / self.std[n] for n in self.mean})

    def restore(self, ds: xr.Dataset) -> xr.Dataset:
        return ds.assign({n: ds[n] * self.std[n] + self.mean[n] for n in self.mean})

    def arrays(self) -> Arrays:
        return {f"{n}.{k}": np.array(getattr(self, k)[n]) for n in self.mean for k in ("mean", "std")}

    def load(self, arrays: Arrays) -> Self:
        for key, value in arrays.items():
            name, _, kind = key.rpartition(".")
            getattr(self, kind)[name] = float(value)
        return self


class Anomaly:
    """(x − climatology) / standard deviation of what is left, for data with a season.

    The climatology of a cell is its mean and a few harmonics of the year, fitted by least squares
    to what was observed. Cells with few observations are drawn towards the harmonics of the whole
    region. A cell that was never observed has none: it is not estimated.

    Parameters
    ----------
    harmonics : int
        Harmonics of the year; 3 follow a season to about two months.
    time : str
        The dimension of time; its coordinate holds dates.
    shrinkage : float
        Weight of the region's harmonics, in observations.
    """

    def __init__(self, harmonics: int = 3, time: str = "time", shrinkage: float = 5.0) -> None:
        self.harmonics, self.time, self.shrinkage = harmonics, time, shrinkage
        self.coefficients: dict[str, xr.DataArray] = {}
        self.std: dict[str, float] = {}

    def fit(self, ds: xr.Dataset, variables: Sequence[str], dims: Sequence[str]) -> Self:
        for name in variables:
            if ds[name].chunks is None:
                residual = self.fit_climatology(ds, name, dims)
                known = np.isfinite(residual).any()
                std = float(np.nanstd(residual)) if known else np.nan
            else:
                std = self.fit_by_parts(ds, name, dims)
            self.std[name] = positive(std, name)
        return self

    def fit_climatology(self, ds: xr.Dataset, name: str, dims: Sequence[str]) -> np.ndarray:
        """Fit the coefficients of one variable; what they leave of it is returned."""
        values, rows, cells = self._rows(ds, name, dims)
        fitted = harmonic_regression(values, rows, self.shrinkage)
        self._keep(ds, name, cells, fitted)
        return values - rows @ fitted

    def fit_by_parts(self, ds: xr.Dataset, name: str, dims: Sequence[str]) -> float:
        """The same in two passes over the chunks of lazy data; the standard deviation of what is left."""
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
        """Values, shape (row, cell), the basis of each row, and the dimensions of the cells."""
        basis = self._basis(ds).values
        cells = [d for d in dims if d in ds[name].dims and d != self.time]
        batch = [d for d in ds[name].dims if d not in (*cells, self.time)]
        with dask.config.set(scheduler="synchronous"):
            stacked = ds[name].transpose(self.time, *batch, *cells).values
        members = int(np.prod(stacked.shape[1 : 1 + len(batch)], dtype=int))
        return stacked.reshape(len(basis) * members, -1), np.repeat(basis, members, axis=0), cells

    def _keep(self, ds: xr.Dataset, name: str, cells: list[str], fitted: np.ndarray) -> None:
        """Keep coefficients, shape (harmonic, cell), with their labels."""
        self.coefficients[name] = xr.DataArray(
            fitted.reshape(-1, *(ds.sizes[d] for d in cells)).astype("float32"),
            dims=("harmonic", *cells),
            coords={d: ds[d] for d in cells if d in ds.coords},
        )

    def normalise(self, ds: xr.Dataset) -> xr.Dataset:
        return ds.assign({n: (ds[n] - self.climatology(ds, n)) / self.std[n] for n in self.std})

    def restore(self, ds: xr.Dataset) -> xr.Dataset:
        return ds.assign({n: ds[n] * self.std[n] + self.climatology(ds, n) for n in self.std})

    def climatology(self, ds: xr.Dataset, name: str) -> xr.DataArray:
        """The climatology of a variable at the times and cells of `ds`, lazy where that is lazy."""
        basis = self._basis(ds)
        # Of the values alone: a lazy coordinate may be in other chunks.
        chunks = ds[name].variable.chunksizes
        if self.time in chunks:
            basis = basis.chunk({self.time: chunks[self.time]})
        mean = xr.dot(basis, self.cells(ds, name), dim="harmonic")
        return mean.transpose(*[d for d in ds[name].dims if d in mean.dims])

    def cells(self, ds: xr.Dataset, name: str) -> xr.DataArray:
        """The coefficients of a variable at the cells of `ds`, matched by their coordinates."""
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
                    f"{dim!r} holds {outside[0]}, which the model's climatology does not know "
                    f"(it has {known.size} from {known[0]} to {known[-1]}); "
                    "select that range, or train a model on this grid"
                )
            coefficients = coefficients.isel({dim: index}).assign_coords({dim: ds[dim]})
        return coefficients

    def arrays(self) -> Arrays:
        out: Arrays = {}
        for name, coefficients in self.coefficients.items():
            out[f"{name}.coefficients"] = coefficients.values
            out[f"{name}.std"] = np.array(self.std[name])
            # A file may hand the arrays back in another order.
            out[f"{name}.dims"] = np.array(coefficients.dims[1:], dtype=str)
            for dim in coefficients.dims[1:]:
                if dim in coefficients.coords:
                    out[f"{name}.coordinate.{dim}"] = coefficients[dim].values
        return out

    def load(self, arrays: Arrays) -> Self:
        for key, value in arrays.items():
            if not key.endswith(".coefficients"):
                continue
            name = key.removesuffix(".coefficients")
            prefix = f"{name}.coordinate."
            coords = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            dims = map(str, arrays.get(f"{name}.dims", list(coords)))
            self.coefficients[name] = xr.DataArray(
                value,
                dims=("harmonic", *dims),
                coords={d: (d, v) for d, v in coords.items() if v.size},
            )
            self.std[name] = float(arrays[f"{name}.std"])
        return self

    def _basis(self, ds: xr.Dataset) -> xr.DataArray:
        if self.time not in ds.coords or not is_dates(ds[self.time]):
            raise DataError(
                f"the scaling needs dates along {self.time!r} to know the season; "
                "give the time axis CF units such as 'days since 2000-01-01'"
            )
        time = ds[self.time]
        angle = year_angle(time)
        columns = [np.ones_like(angle)]
        for k in range(1, self.harmonics + 1):
            columns += [np.cos(k * angle), np.sin(k * angle)]
        return xr.DataArray(
            np.stack(columns, 1).astype("float32"),
            dims=(self.time, "harmonic"),
            coords={self.time: time},
        )


def harmonic_regression(values: np.ndarray, basis: np.ndarray, shrinkage: float) -> np.ndarray:
    """Least squares of every column of `values` on `basis`, NaN left out.

    Parameters
    ----------
    values : array, shape (time, cell)
    basis : array, shape (time, harmonic)
    shrinkage : float
        Weight that draws a cell's coefficients, but for its mean, to those of all cells.

    Returns
    -------
    array, shape (harmonic, cell)
        NaN for a cell without any observation.
    """
    return solved_harmonics(*harmonic_sums(values, basis), shrinkage)


def harmonic_sums(values: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The normal matrix of every cell, shape (cell, harmonic, harmonic), and the right side.

    Those of all times are the sums of those of parts of them.
    """
    observed = np.isfinite(values)
    filled = np.where(observed, values, 0.0).astype("float64")
    basis = basis.astype("float64")
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    count = basis.shape[1]
    return (observed.T.astype("float64") @ products).reshape(-1, count, count), filled.T @ basis


def solved_harmonics(normal: np.ndarray, right: np.ndarray, shrinkage: float) -> np.ndarray:
    """The coefficients of :func:`harmonic_regression`, from its sums."""
    count = normal.shape[-1]
    small = 1e-6 * np.eye(count)
    # About each cell's own mean: a warm cell that is seen in summer only is no season of the region.
    mean = normal[:, 0] / np.maximum(normal[:, :1, 0], 1)
    within = normal - mean[:, :, None] * normal[:, :1]
    region = np.linalg.solve(within.sum(0) + small, (right - mean * right[:, :1]).sum(0))
    penalty = np.diag([1e-6] + [shrinkage] * (count - 1))
    fitted = np.linalg.solve(normal + penalty, (right + penalty @ region)[..., None])[..., 0].T
    # The first column of the basis is one: its sum counts the observations.
    return np.where(normal[:, 0, 0] > 0, fitted, np.nan)


def positive(std: float, name: str) -> float:
    """`std`, if the variable varies at all."""
    if not std > 0:
        raise DataError(f"variable {name!r} has no spread (standard deviation {std}); nothing to learn")
    return std
