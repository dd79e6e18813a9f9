"""What every baseline promises, whatever its method."""

from __future__ import annotations

from typing import Any, Protocol

import dask
import numpy as np
import pytest
import xarray as xr

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.combination import Combination
from da4dvar.baselines.eof_iteration import EofIteration
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.config.kinds import BY_NAME, class_of
from da4dvar.errors import DataError


class Baseline(Protocol):
    """The face of all of them."""

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset: ...


def sea(dates: bool = True, days: int = 400) -> xr.Dataset:
    """Two gappy variables with everything a file may have: labels, attributes, encoding, land."""
    generator = np.random.default_rng(0)
    season = 5 * np.cos(2 * np.pi * np.arange(days) / 365)[:, None, None]
    values = 15 + season + generator.standard_normal((2, days, 3, 4))
    values[generator.random(values.shape) < 0.5] = np.nan
    values[:, :, 0, 0] = np.nan
    time = xr.date_range("2001-01-01", periods=days) if dates else np.arange(float(days))
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


BASELINES: dict[str, tuple[Baseline, xr.Dataset]] = {
    "linear": (Linear(), sea()),
    "climatology, of dates": (Climatology(), sea()),
    "climatology, without dates": (Climatology(), sea(dates=False)),
    "climatology, of other years": (Climatology(history=sea()), sea(days=30)),
    "optimal interpolation": (OptimalInterpolation(), sea(days=60)),
    "combination": (Combination([Linear(), Climatology()], [2.0, 1.0]), sea()),
    "EOF iteration": (EofIteration(most=3), sea(days=60)),
}
# A kind that needs no settings is tried without an entry above; those that need some have tests of their own.
APART = ("eof_interpolation", "nearest_stations", "sparse_coding")
BASELINES |= {
    kind: (cls(), sea(days=60))
    for kind in BY_NAME["baseline"]
    if kind not in APART
    and (cls := class_of("baseline", kind)) not in {type(b) for b, _ in BASELINES.values()}
}
KEEPS_OBSERVED = ("linear", "EOF iteration")
every = pytest.mark.parametrize("name", BASELINES)


def never(*_: Any, **__: Any) -> Any:
    """A scheduler that must not be asked."""
    raise AssertionError("computed too early")


@every
def test_labels_come_back_as_they_went_in(name: str) -> None:
    """Dimension order, coordinates, attributes, encoding and type, also of the data set."""
    baseline, ds = BASELINES[name]
    out = baseline.interpolate(ds)
    assert [v for v in out.data_vars if not str(v).endswith("_std")] == list(ds.data_vars)
    assert out.attrs == ds.attrs
    assert out.encoding == ds.encoding
    xr.testing.assert_identical(out.coords.to_dataset(), ds.coords.to_dataset())
    for variable in ds.variables:
        assert out[variable].dims == ds[variable].dims
        assert out[variable].dtype == ds[variable].dtype
        assert out[variable].attrs == ds[variable].attrs
        assert out[variable].encoding == ds[variable].encoding


@every
def test_every_gap_is_filled_but_where_nothing_was_ever_seen(name: str) -> None:
    """Land stays NaN; an observed value is kept, or replaced by the analysis if that is the method."""
    baseline, ds = BASELINES[name]
    out = baseline.interpolate(ds)
    for variable in ds.data_vars:
        seen = ds[variable].notnull()
        np.testing.assert_array_equal(*xr.broadcast(out[variable].notnull(), seen.any("time")))
        if name in KEEPS_OBSERVED:
            xr.testing.assert_equal(out[variable].where(seen), ds[variable])


@every
def test_the_input_is_not_changed(name: str) -> None:
    """Neither by the call nor through its result."""
    baseline, ds = BASELINES[name]
    before, encoding = ds.copy(deep=True), dict(ds.sst.encoding)
    out = baseline.interpolate(ds)
    out.sst.values[:] = -1
    out.sst.attrs["units"] = "other"
    out.sst.encoding["dtype"] = "other"
    xr.testing.assert_identical(ds, before)
    assert ds.sst.encoding == encoding


@every
@pytest.mark.parametrize("chunks", [{"time": 7}, {"lat": 1, "lon": 3}, {"time": (1, 5, -1), "lat": 2}])
def test_lazy_in_lazy_out(name: str, chunks: dict[str, Any]) -> None:
    """Whatever the chunks, the answer is that of data in memory, once it is asked for."""
    baseline, ds = BASELINES[name]
    if "time" in chunks and not isinstance(chunks["time"], int):
        chunks = {**chunks, "time": (1, 5, ds.sizes["time"] - 6)}
    lazy = baseline.interpolate(ds.chunk(chunks))
    assert all(lazy[v].chunks is not None for v in lazy.data_vars)
    computed, eager = lazy.compute(), baseline.interpolate(ds)
    for variable in ds.data_vars:
        assert computed[variable].dtype == eager[variable].dtype
        np.testing.assert_allclose(computed[variable].values, eager[variable].values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["linear", "climatology, without dates", "climatology, of other years"])
def test_nothing_is_computed_before_it_is_asked_for(name: str) -> None:
    """Building the answer reads nothing of the data that are to be filled."""
    baseline, ds = BASELINES[name]
    with dask.config.set(scheduler=never):
        baseline.interpolate(ds.chunk(time=50))


@every
def test_an_infinite_value_is_a_gap(name: str) -> None:
    """It spoils nothing: the answer is that of a gap in its place."""
    baseline, ds = BASELINES[name]
    broken, gap = (ds.copy(deep=True) for _ in range(2))
    for value, one in ((np.inf, broken), (np.nan, gap)):
        one.sst[5:9, 1, 1] = value
    xr.testing.assert_identical(baseline.interpolate(broken), baseline.interpolate(gap))


@every
def test_a_cell_does_not_depend_on_the_rest_of_the_data_set(name: str) -> None:
    """A variable alone gives what it gives among others."""
    baseline, ds = BASELINES[name]
    xr.testing.assert_identical(baseline.interpolate(ds[["sss"]]).sss, baseline.interpolate(ds).sss)


@pytest.mark.parametrize("kind", [Linear, Climatology])
def test_the_dimension_of_time_may_have_any_name(kind: Any) -> None:
    """It is an argument."""
    renamed = kind("day").interpolate(sea().rename(time="day"))
    xr.testing.assert_equal(renamed.rename(day="time"), kind().interpolate(sea()))


@pytest.mark.parametrize("kind", [Linear, Climatology])
def test_a_variable_without_time_is_refused(kind: Any) -> None:
    """The message names the variable, and the dimensions that it has."""
    ds = sea().assign(depth=(("lat", "lon"), np.ones((3, 4))))
    with pytest.raises(DataError, match="variable 'depth' has no dimension 'time'; it has lat, lon"):
        kind().interpolate(ds)
    with pytest.raises(DataError, match="variable 'sst' has no dimension 'tiem'; it has time, lat, lon"):
        kind("tiem").interpolate(sea())


@pytest.mark.parametrize("kind", [Linear, Climatology])
def test_a_data_set_without_any_observation_stays_as_it_is(kind: Any) -> None:
    """NaN everywhere, and no error: there was nothing to know."""
    out = kind().interpolate(sea() * np.nan)
    assert out.sst.isnull().all()
    assert out.sss.isnull().all()
