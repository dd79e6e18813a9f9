"""Contracts of the parts that take labelled data: baselines, gap patterns and scalings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import dask
import numpy as np
import pytest
import xarray as xr

from da4dvar.baselines import Baseline
from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.gaps.patterns import GapPattern
from da4dvar.fields.scaling.standard import Scaling


def labelled_sea(days: int = 40, dates: bool = True) -> xr.Dataset:
    """Return two gappy variables with labels, attributes, encoding and land, as in a real file.

    Parameters
    ----------
    days : int
        Number of days.
    dates : bool
        Whether the times are dates; otherwise they are numbers.

    Returns
    -------
    Dataset
        ``sst(time, lat, lon)`` and ``sss(lon, time, lat)``, with half of their values missing. The first
        cell is land, which is never observed.

    Examples
    --------
    >>> dict(labelled_sea(days=30).sst.sizes)
    {'time': 30, 'lat': 3, 'lon': 4}
    """
    generator = np.random.default_rng(0)
    season = 5 * np.cos(2 * np.pi * np.arange(days) / 365)[:, None, None]
    values = 15 + season + generator.standard_normal((2, days, 3, 4))
    values[generator.random(values.shape) < 0.5] = np.nan
    values[:, :, 0, 0] = np.nan
    time: Any = xr.date_range("2001-01-01", periods=days) if dates else np.arange(float(days))
    ds = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), values[0].astype("float32"), {"units": "degC"}),
            "sss": (("lon", "time", "lat"), values[1].transpose(2, 0, 1), {"units": "1e-3", "comment": "b"}),
        },
        coords={
            "time": ("time", time, {"long_name": "day"}),
            "lat": ("lat", [2.0, 1.0, 0.0], {"axis": "Y"}),
            "area": (("lat", "lon"), np.ones((3, 4))),
            "basin": ("basin", ["a", "b"]),
        },
        attrs={"title": "a small sea", "history": "made by hand"},
    )
    ds.encoding = {"unlimited_dims": {"time"}}
    ds.sst.encoding = {"dtype": np.dtype("int16"), "scale_factor": 0.01, "_FillValue": -1}
    if dates:
        ds.time.encoding = {"units": "days since 1950-01-01"}
    return ds


def never(*_: Any, **__: Any) -> Any:
    """Scheduler of dask that raises an error, for graphs that must not be computed yet."""
    raise AssertionError("computed before the result was asked for")


class BaselineContract(ABC):
    """Contract of the baselines: inherit it in a class named Test..., and define :meth:`make`.

    Attributes
    ----------
    keeps_observed : bool
        Whether observed values are kept bit for bit; an analysis may replace them.
    waits : bool
        Whether a chunked data set is not computed before the result is.

    Examples
    --------
    >>> from da4dvar.baselines.linear import Linear
    >>> class TestMyBaseline(BaselineContract):
    ...     keeps_observed = True
    ...
    ...     def make(self):
    ...         return Linear()
    >>> TestMyBaseline().test_labels_come_back_as_they_went_in()  # one of the tests that pytest runs
    """

    keeps_observed: ClassVar[bool] = False
    waits: ClassVar[bool] = True

    @abstractmethod
    def make(self) -> Baseline:
        """Return a baseline with settings that suit :meth:`data`.

        Returns
        -------
        Baseline
        """

    def data(self) -> xr.Dataset:
        """Return a gappy data set with a dimension ``time``; a class may override this.

        Returns
        -------
        Dataset
        """
        return labelled_sea()

    def owed(self, array: xr.DataArray) -> xr.DataArray:
        """Return where the baseline has to provide an estimate; a class may override this.

        Parameters
        ----------
        array : DataArray
            Variable of :meth:`data`.

        Returns
        -------
        DataArray of bool
            By default, true in cells that are observed at some time.
        """
        return array.notnull().any("time")

    def test_labels_come_back_as_they_went_in(self) -> None:
        """Order, coordinates, attributes, encoding and type are kept, also by a standard error."""
        ds = self.data()
        out = self.make().interpolate(ds)
        assert [v for v in out.data_vars if not str(v).endswith("_std")] == list(ds.data_vars)
        assert (out.attrs, out.encoding) == (ds.attrs, ds.encoding)
        xr.testing.assert_identical(out.coords.to_dataset(), ds.coords.to_dataset())
        for name in ds.variables:
            assert (out[name].dims, out[name].dtype) == (ds[name].dims, ds[name].dtype)
            assert (out[name].attrs, out[name].encoding) == (ds[name].attrs, ds[name].encoding)
            if f"{name}_std" in out:
                std = out[f"{name}_std"]
                assert (std.dims, std.dtype) == (ds[name].dims, ds[name].dtype)
                assert std.attrs["units"] == ds[name].attrs["units"]
                assert "scale_factor" not in std.encoding

    def test_every_gap_is_filled_but_where_nothing_was_ever_seen(self) -> None:
        """Estimate and standard error, if any, are finite where :meth:`owed` is true, and NaN elsewhere."""
        ds = self.data()
        out = self.make().interpolate(ds)
        for name, array in ds.data_vars.items():
            for one in (n for n in (name, f"{name}_std") if n in out):
                owed = self.owed(array).broadcast_like(out[one]).transpose(*out[one].dims)
                np.testing.assert_array_equal(out[one].notnull(), owed)
                assert not np.isinf(out[one]).any()
            if self.keeps_observed:
                xr.testing.assert_equal(out[name].where(array.notnull()), array)

    def test_the_input_is_not_changed(self) -> None:
        """The call does not change the input, and neither do changes of its result."""
        ds = self.data()
        before, encodings = ds.copy(deep=True), {n: dict(a.encoding) for n, a in ds.variables.items()}
        out = self.make().interpolate(ds)
        for name in ds.data_vars:
            out[name].values[:] = -1
            out[name].attrs["units"] = out[name].encoding["dtype"] = "other"
        xr.testing.assert_identical(ds, before)
        assert {n: dict(a.encoding) for n, a in ds.variables.items()} == encodings

    @pytest.mark.parametrize("chunks", [{"time": 7}, {"lat": 1, "lon": 3}, {"time": (1, 5, -1), "lat": 2}])
    def test_lazy_in_lazy_out(self, chunks: dict[str, Any]) -> None:
        """The result for chunked data is lazy, and equal to that for data in memory."""
        ds, baseline = self.data(), self.make()
        known = {d: n for d, n in chunks.items() if d in ds.dims}
        if isinstance(known.get("time"), tuple):
            known["time"] = (1, 5, ds.sizes["time"] - 6)
        with dask.config.set(scheduler=never if self.waits else "synchronous"):
            lazy = baseline.interpolate(ds.chunk(known))
        assert all(lazy[name].chunks is not None for name in lazy.data_vars)
        computed, eager = lazy.compute(), baseline.interpolate(ds)
        for name in eager.data_vars:
            assert computed[name].dtype == eager[name].dtype
            np.testing.assert_allclose(computed[name], eager[name], rtol=1e-5, atol=1e-5)

    def test_an_infinite_value_is_a_gap(self) -> None:
        """An infinite value has the effect of a gap, or is rejected."""
        ds = self.data()
        name = next(iter(ds.data_vars))
        at = {d: n // 2 for d, n in ds[name].sizes.items()}
        broken, gap = ds.copy(deep=True), ds.copy(deep=True)
        broken[name][at], gap[name][at] = np.inf, np.nan
        try:
            found = self.make().interpolate(broken)
        except DataError:
            return
        xr.testing.assert_identical(found, self.make().interpolate(gap))

    def test_a_variable_does_not_depend_on_the_others(self) -> None:
        """A variable is filled in the same way alone and together with others."""
        ds = self.data()
        together = self.make().interpolate(ds)
        for name in ds.data_vars:
            alone = self.make().interpolate(ds[[name]])
            xr.testing.assert_identical(alone[name], together[name])

    def test_without_any_observation_there_is_no_more_than_owed(self) -> None:
        """Data without any observation give NaN where no estimate is due, or are rejected."""
        ds = self.data().where(False)
        try:
            out = self.make().interpolate(ds)
        except DataError:
            return
        for name, array in ds.data_vars.items():
            np.testing.assert_array_equal(*xr.broadcast(out[name].notnull(), self.owed(array)))


class GapPatternContract(ABC):
    """Contract of the gap patterns: inherit it in a class named Test..., and define :meth:`make`.

    Attributes
    ----------
    sizes : dict of str to int
        Number of cells along each dimension of the fields on which the pattern is tested.
    needs : tuple of str
        Dimensions that the pattern requires.

    Examples
    --------
    >>> from da4dvar.fields.gaps.patterns import Blocks
    >>> class TestMyPattern(GapPatternContract):
    ...     needs = ("lat",)
    ...
    ...     def make(self):
    ...         return Blocks(0.5, {"lat": 3})
    >>> TestMyPattern().test_a_seed_decides_the_draw()  # one of the tests that pytest runs
    """

    sizes: ClassVar[Mapping[str, int]] = {"time": 12, "lat": 9, "lon": 10}
    needs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def make(self) -> GapPattern:
        """Return a pattern that hides some, but not all, cells of a field of `sizes`.

        Returns
        -------
        GapPattern
        """

    def draw(self, seed: int, sizes: Mapping[str, int] | None = None) -> np.ndarray:
        """Return the cells that a new pattern leaves observed."""
        return self.make().draw(np.random.default_rng(seed), dict(self.sizes if sizes is None else sizes))

    def test_a_draw_has_an_axis_for_each_size(self) -> None:
        """A draw is boolean and follows the order of the dimensions."""
        for sizes in (self.sizes, {d: self.sizes[d] for d in reversed(list(self.sizes))}):
            drawn = self.draw(0, sizes)
            assert drawn.dtype == bool
            assert drawn.shape == tuple(sizes.values())

    def test_some_cells_are_hidden_and_some_are_not(self) -> None:
        """A few draws together contain both hidden and observed cells."""
        drawn = np.stack([self.draw(seed) for seed in range(8)])
        assert drawn.any()
        assert not drawn.all()

    def test_a_seed_decides_the_draw(self) -> None:
        """Draws depend on the seed alone; the global generator is not used."""
        state = str(np.random.get_state())  # noqa: NPY002
        np.testing.assert_array_equal(self.draw(1), self.draw(1))
        assert any((self.draw(1) != self.draw(seed)).any() for seed in range(2, 8))
        assert str(np.random.get_state()) == state  # noqa: NPY002

    def test_keeps_nothing_between_draws(self) -> None:
        """A pattern that has already been drawn from gives the same draw as a new one."""
        pattern = self.make()
        pattern.draw(np.random.default_rng(1), dict(self.sizes))
        np.testing.assert_array_equal(pattern.draw(np.random.default_rng(2), dict(self.sizes)), self.draw(2))

    def test_a_dimension_that_is_needed_is_named_where_it_is_missing(self) -> None:
        """The error for a missing dimension names it and the dimensions of the field."""
        for dim in self.needs:
            sizes = {d if d != dim else "other": n for d, n in self.sizes.items()}
            with pytest.raises(RecipeError, match=f"need a dimension '{dim}'; there are .*other"):
                self.draw(0, sizes)


class ScalingContract(ABC):
    """Contract of the scalings: inherit it in a class named Test..., and define :meth:`make`.

    Examples
    --------
    >>> from da4dvar.fields.scaling.standard import Standard
    >>> class TestMyScaling(ScalingContract):
    ...     def make(self):
    ...         return Standard()
    >>> TestMyScaling().test_restore_is_the_inverse_of_normalise()  # one of the tests that pytest runs
    """

    @abstractmethod
    def make(self) -> Scaling:
        """Return a scaling that has not been fitted.

        Returns
        -------
        Scaling
        """

    def data(self) -> xr.Dataset:
        """Return a gappy data set with ``time``, ``lat`` and ``lon``; a class may override this.

        Returns
        -------
        Dataset
        """
        return labelled_sea(days=800).drop_vars(["area", "basin"]).assign_coords(lon=[0.0, 1.0, 2.0, 3.0])

    def fitted(self, ds: xr.Dataset) -> Scaling:
        """Return a scaling that is fitted to all variables of a data set."""
        return self.make().fit(ds, [str(name) for name in ds.data_vars], ["time", "lat", "lon"])

    def test_restore_is_the_inverse_of_normalise(self) -> None:
        """Normalised and restored data are the original data, of the same type."""
        ds = self.data()
        scaling = self.fitted(ds)
        back = scaling.restore(scaling.normalise(ds))
        for name in ds.data_vars:
            assert (back[name].dims, back[name].dtype) == (ds[name].dims, ds[name].dtype)
            np.testing.assert_allclose(back[name].values, ds[name].values, atol=2e-4)

    def test_std_is_what_a_normalised_value_is_multiplied_by(self) -> None:
        """A difference of 1 in normalised units is `std` in the units of the variable."""
        ds = self.data()
        scaling = self.fitted(ds)
        normalised = scaling.normalise(ds)
        step = scaling.restore(normalised + 1) - scaling.restore(normalised)
        for name in ds.data_vars:
            size = scaling.std.get(str(name), 1.0)
            np.testing.assert_allclose(step[name].where(ds[name].notnull(), size), size, rtol=1e-3)

    def test_arrays_hold_all_of_a_scaling(self) -> None:
        """A scaling that is loaded from its arrays, in any order, is the same scaling."""
        ds = self.data()
        scaling = self.fitted(ds)
        loaded = self.make().load(dict(reversed(scaling.arrays().items())))
        xr.testing.assert_identical(loaded.normalise(ds), scaling.normalise(ds))
        xr.testing.assert_identical(loaded.restore(ds), scaling.restore(ds))
        assert loaded.std == scaling.std

    @pytest.mark.parametrize("chunks", [{"time": 100}, {"lat": 1, "time": 300}, {"lon": 2}])
    def test_lazy_data_stay_lazy(self, chunks: dict[str, int]) -> None:
        """Nothing is computed, chunks are kept, and the values are those for data in memory."""
        ds = self.data()
        scaling, lazy = self.fitted(ds), ds.chunk(chunks)
        with dask.config.set(scheduler=never):
            normalised = scaling.normalise(lazy)
            restored = scaling.restore(normalised)
        for name in ds.data_vars:
            assert normalised[name].chunksizes == restored[name].chunksizes == lazy[name].chunksizes
            np.testing.assert_allclose(normalised[name], scaling.normalise(ds)[name], atol=3e-4)

    def test_lazy_data_are_fitted_alike(self) -> None:
        """Fitted parameters do not depend on chunks."""
        ds = self.data()
        eager, lazy = self.fitted(ds).arrays(), self.fitted(ds.chunk(time=90, lat=2)).arrays()
        assert eager.keys() == lazy.keys()
        for name, array in eager.items():
            if array.dtype.kind == "f":
                np.testing.assert_allclose(lazy[name], array, rtol=1e-6, atol=1e-6)

    def test_the_input_is_not_changed(self) -> None:
        """Neither a fit nor either direction of the transformation changes the input."""
        ds = self.data()
        before = ds.copy(deep=True)
        scaling = self.fitted(ds)
        scaling.restore(scaling.normalise(ds))
        xr.testing.assert_identical(ds, before)
