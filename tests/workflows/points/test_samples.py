"""Tests of joint samples of maps of points: margins, labels, seeds, and what has none."""

import numpy as np
import pytest
import xarray as xr
from satellites import like, quiet, tracks

from da4dvar.errors import DataError
from da4dvar.fields import sampling
from da4dvar.fields.points.grid import grid_of
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.points.compete import compete
from da4dvar.workflows.points.estimated import draws_of, estimated
from da4dvar.workflows.points.frame import Frame
from da4dvar.workflows.points.mapped import map_points

OPTIONS = {"resolution": 0.5, "every": "1D", "minutes": 0.5, "say": quiet}
WITH_SAMPLES = ("optimal_interpolation", "neighbours", "binned_optimal_interpolation")


@pytest.mark.parametrize("method", WITH_SAMPLES)
def test_samples_have_the_intervals_of_the_map(method):
    """In every cell, as many as promised lie in the intervals; their mean is the map."""
    mapped = map_points(
        tracks(), method=method, std=True, interval=[0.5, 0.9], samples=100, seed=2, **OPTIONS
    )
    out, samples = mapped.data, mapped.data.sla_samples
    assert samples.dims == ("realization", "time", "lat", "lon")
    assert samples.chunks is None
    assert (samples.dtype, samples.units) == (out.sla.dtype, "m")
    assert samples.long_name == "joint samples of sla"
    assert out.realization.standard_name == "realization"
    for level, low, high in ((50, 0.44, 0.6), (90, 0.85, 0.95)):
        lower, upper = out[f"sla_lower_{level}"], out[f"sla_upper_{level}"]
        inside = (lower <= samples) & (samples <= upper)
        assert low < float(inside.mean()) < high
        assert (inside.mean("realization") > low - 0.25).all()
    assert float((abs(samples.mean("realization") - out.sla) / out.sla_std).mean()) < 0.15


def test_errors_of_neighbours_are_correlated_and_the_map_is_the_same():
    """The mean of a box is less certain than that of independent cells; the map has the same bits."""
    options = OPTIONS | {"method": "optimal_interpolation", "seed": 2}
    plain = map_points(tracks(), **options).data
    first = map_points(tracks(), samples=40, **options).data
    assert (plain.sla == first.sla).all()
    errors = (first.sla_samples - first.sla).isel(time=3)
    box = float(errors.mean(["lat", "lon"]).std("realization"))
    alone = float(np.sqrt(np.square(errors.std("realization")).sum())) / errors.isel(realization=0).size
    assert box > 1.5 * alone


def test_a_seed_gives_the_same_samples():
    """To the bit, and the first of many are those of few; another seed gives others."""
    options = OPTIONS | {"method": "neighbours"}
    first, again = (map_points(tracks(), samples=n, seed=5, **options).data.sla_samples for n in (4, 2))
    assert (first[:2].values == again.values).all()
    target = grid_of(tracks(), 0.5, "1D", quiet)
    frame = Frame.of(tracks(), target)
    outcome = compete(tracks(), frame, Clock(0.5), method="neighbours")
    draw = draws_of(outcome, estimated(outcome)[1])
    pairs = [(0, 5), (1, 5), (0, 6), (1, 6)]
    alike = np.corrcoef([draw(*pair).values.ravel() for pair in pairs]) - np.eye(4)
    assert np.abs(alike).max() < 0.5


def test_land_has_no_samples_and_bounds_are_kept():
    """Missing where the map is; within the possible values."""
    sea = np.ones((8, 3, 3))
    sea[:, 1, 1] = np.nan
    grid = like([40.5, 42.0, 43.5], [0.5, 1.5, 2.5], sst=(("time", "lat", "lon"), sea))
    options = {"minutes": 0.05, "say": quiet, "bounds": "sla=-0.5:0.5", "samples": 5}
    for method in WITH_SAMPLES:
        out = map_points(tracks(), grid, method=method, **options).data
        missing = out.sla_samples.isnull()
        assert (missing == out.sla.isnull()).all()
        assert int(missing.sum()) == 5 * 8
        assert float(abs(out.sla_samples).max()) <= 0.5


def test_only_methods_with_a_covariance_have_samples():
    """Others are refused, and do not compete."""
    with pytest.raises(DataError, match=r"binned_linear has no samples, as it has no covariance; those wi"):
        map_points(tracks(), method="binned_linear", samples=5, **OPTIONS)
    scores = map_points(tracks(), samples=2, **OPTIONS).scores["sla"]
    assert set(scores.rmse) <= set(WITH_SAMPLES)
    assert scores.left_out["binned_linear"] == "it has no samples"


def test_samples_that_do_not_fit_are_refused_at_once(monkeypatch):
    """A number that is none, and more than the memory holds."""
    for number, message in ((1, "one sample shows no spread"), (-2, "samples is -2")):
        with pytest.raises((DataError, ValueError), match=message):
            map_points(tracks(), samples=number, **OPTIONS)
    monkeypatch.setattr(sampling, "free_memory", lambda: 10_000)
    with pytest.raises(DataError, match=r"5000 samples need .* of memory, expected .* ask for 0 or fewer"):
        map_points(tracks(), samples=5000, **OPTIONS)


def test_a_series_and_places_without_times_have_samples():
    """A mooring's levels, and a map of one time."""
    generator = np.random.default_rng(0)
    at = generator.uniform(0, 4, (60, 2))
    ds = xr.Dataset(
        {"sla": ("obs", np.sin(at.sum(1)), {"units": "m"})},
        {"lat": ("obs", 40 + at[:, 0]), "lon": ("obs", at[:, 1])},
    )
    out = map_points(ds, resolution=1.0, samples=3, minutes=0.05, say=quiet).data
    assert out.sla_samples.dims == ("realization", "lat", "lon")
    cast = ds.assign_coords(lat=40.0, lon=5.0, depth=("obs", at[:, 0] * 100, {"axis": "Z", "units": "m"}))
    cast = cast.assign(sla=("obs", np.sin(at[:, 0]), {"units": "m"}))
    out = map_points(cast, resolution=50.0, samples=3, minutes=0.05, say=quiet).data
    assert out.sla_samples.dims == ("realization", "depth")
    assert out.sla_samples.notnull().all()
