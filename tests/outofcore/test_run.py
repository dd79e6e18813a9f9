"""Solving region by region gives the field of the computation in memory, whose bytes are counted."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from examples import gappy_sst
from streams import in_regions

import da4dvar
from da4dvar.analysis.quantiles import Known
from da4dvar.analysis.window_solver import WindowSolver
from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.fields.channels import Entries
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.outofcore.memory import Living, window_bytes
from da4dvar.testing import seeded
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
    usual = model.interpolate(ds.compute(), analysis=True)
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
    layout = da4dvar.Layout(["sst"], ["lat", "lon"], ["time"], periodic, {"time": 6, "lat": 5, "lon": 6})
    networks = seeded(lambda: (
        UNet(6, boundary, width=4, covariates=count),
        ConvLSTM(6, boundary, width=6, iterations=2, covariates=count),
    ))  # fmt: skip
    names = {"covariates": ["depth", "wind"], "derived": ["day_of_year", "latitude"]}
    model = da4dvar.Interpolator(*networks, layout, Anomaly(harmonics=1), **names).prepare(ds)
    part = ds.isel(time=slice(0, days), lat=slice(None, None, -1))
    assert_same(in_regions(model, part, tmp_path / "out.zarr"), model.interpolate(part, analysis=True))


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
    # Values beyond those of the training are counted by window in memory, and by block in regions.
    model = model.replaced(known=Known())
    with pytest.warns(Da4dvarWarning) as usual:
        model.interpolate(ds)
    with pytest.warns(Da4dvarWarning) as streamed:
        in_regions(model, ds, tmp_path / "out.zarr")
    assert [str(w.message) for w in streamed] == [str(w.message) for w in usual]


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda sst: sst.where(False), "no observation at all"), (lambda sst: sst / 0, "infinite values")],
)
def test_what_cannot_be_filled_is_refused(model, tmp_path, change, message):
    """Data without observations and infinite values are refused, and no output is written."""
    ds = gappy_sst(32)
    with pytest.raises(DataError, match=message):
        in_regions(model, ds.assign(sst=change(ds.sst)), tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()


def test_the_peak_is_that_of_the_tensors_that_live_together():
    """The peak counts live tensors, but neither released tensors nor views."""
    with Living() as living:
        first = torch.ones(1000)
        view = first.view(10, 100)
        assert living.peak == 4000
        del first, view
        assert living.bytes == 0
        second = torch.ones(500) + 1
    assert (living.peak, second.numel()) == (4000, 500)


def test_a_window_takes_the_same_each_time(model):
    """The count is reproducible, above the window's own size, and does not import torch's compiler."""
    solve = WindowSolver(model.frozen(), model.layout, model.initial, model.time, Entries(1))
    taken = [window_bytes(solve, 1, (6, 5, 6)) for _ in range(2)]
    assert taken[0] == taken[1] > np.zeros((6, 5, 6), "float32").nbytes
    code = (
        "import sys, torch; from da4dvar.outofcore.memory import window_bytes; "
        "window_bytes(lambda x: torch.from_numpy(x) + 1, 1, (2, 2)); print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
