"""Solving region by region gives the field of the computation in memory, with each window solved once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from examples import gappy_sst
from streams import in_regions

import da4dvar
from da4dvar.analysis.window_solver import WindowSolver
from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.outofcore import tile as tile_solver
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.lstm import ConvLSTM


def assert_same(streamed: xr.Dataset, usual: xr.Dataset) -> None:
    """Check values up to rounding, and all labels except the history."""
    xr.testing.assert_allclose(streamed, usual, rtol=1e-4, atol=1e-4)
    for name in usual.data_vars:
        assert streamed[name].dims == usual[name].dims, name
        assert streamed[name].dtype == usual[name].dtype, name
        for key, value in usual[name].attrs.items():
            np.testing.assert_array_equal(streamed[name].attrs[key], value)


FORMS = {
    "as it is": lambda ds: ds,
    "another order": lambda ds: ds.transpose("lon", "time", "lat"),
    "latitude from the north": lambda ds: ds.isel(lat=slice(None, None, -1)),
    "time from the end": lambda ds: ds.isel(time=slice(None, None, -1)),
    "members": lambda ds: xr.concat([ds, ds.roll(lon=1, roll_coords=False)], "member"),
    "lazy": lambda ds: ds.chunk(time=5, lat=4),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_field_is_that_of_the_usual_way(model, tmp_path, form):
    """Whatever the order, the direction or further dimensions of the data."""
    ds = FORMS[form](gappy_sst(18))
    usual = model.interpolate(ds.compute())
    assert_same(in_regions(model, ds, tmp_path / "out.zarr"), usual)
    assert [p.name for p in tmp_path.iterdir()] == ["out.zarr"]


@pytest.mark.parametrize("periodic", [[], ["lon"]])
@pytest.mark.parametrize("days", [4, 20])
def test_covariates_circles_and_short_series(tmp_path, periodic, days):
    """Covariates, periodic dimensions and series shorter than a window are supported."""
    generator, boundary, count = np.random.default_rng(1), ("zero", "zero"), 1 + 6 + 2 * 6 + 1
    ds = gappy_sst(70).assign(
        depth=(("lat", "lon"), generator.random((9, 8))),
        wind=(("time", "lat", "lon"), generator.random((70, 9, 8))),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = da4dvar.Interpolator(
            UNet(6, boundary, width=4, covariates=count),
            ConvLSTM(6, boundary, width=6, iterations=2, covariates=count),
            da4dvar.Layout(
                ["sst"], ["lat", "lon"], ["time"], periodic, window={"time": 6, "lat": 5, "lon": 6}
            ),
            Anomaly(harmonics=1),
            covariates=["depth", "wind"],
            derived=["day_of_year", "latitude"],
        ).prepare(ds)
    part = ds.isel(time=slice(0, days), lat=slice(None, None, -1))
    assert_same(in_regions(model, part, tmp_path / "out.zarr"), model.interpolate(part))


def test_each_window_is_solved_once(model, tmp_path, monkeypatch):
    """The solver gets as many windows as the grid has."""
    solved = []
    solve = WindowSolver.__call__

    def counted(self, windows):
        solved.extend(w.tobytes() for w in windows)
        return solve(self, windows)

    monkeypatch.setattr(WindowSolver, "__call__", counted)
    ds = gappy_sst(20)
    streamed = in_regions(model, ds, tmp_path / "out.zarr")
    assert len(solved) == len(set(solved)) == streamed.prior_term.size


def test_a_gap_that_no_window_reaches_is_told_as_in_memory(model, tmp_path):
    """The note counts over all regions what it counts at once."""
    ds = gappy_sst(40)
    ds.sst[9:34] = np.nan
    with pytest.warns(Da4dvarWarning) as usual:
        model.interpolate(ds)
    with pytest.warns(Da4dvarWarning) as streamed:
        in_regions(model, ds, tmp_path / "out.zarr")
    assert [str(w.message) for w in streamed] == [str(w.message) for w in usual]


def test_a_data_set_without_any_observation_is_refused(model, tmp_path):
    """Data without observations are refused, and no output is written."""
    with pytest.raises(DataError, match="no observation at all"):
        in_regions(model, gappy_sst(32).where(False), tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()


def test_infinite_values_are_refused(model, tmp_path):
    """Wherever they are."""
    ds = gappy_sst(32)
    ds.sst[20, 4, 4] = np.inf
    with pytest.raises(DataError, match="infinite values"):
        in_regions(model, ds, tmp_path / "out.zarr")


def test_a_tile_can_be_solved_elsewhere(model, tmp_path):
    """Model, job and sums can be pickled, which is all that a worker needs."""
    import pickle

    from streams import small_plan

    from da4dvar.outofcore.run import tiles_of
    from da4dvar.outofcore.source import Source

    gappy_sst(32).to_netcdf(tmp_path / "in.nc")
    with xr.open_dataset(tmp_path / "in.nc") as ds:
        source = Source.of(ds, model.signature)
        plan = small_plan(model, source)
        job = tile_solver.Job(source, tiles_of(source, plan), plan.dims)
        here = tile_solver.solve_tile(model, job, (1, 0, 0))
        there = pickle.loads(
            pickle.dumps(tile_solver.solve_tile(*pickle.loads(pickle.dumps((model, job))), (1, 0, 0)))
        )
    np.testing.assert_array_equal(there.total, here.total)
    np.testing.assert_array_equal(there.terms, here.terms)
