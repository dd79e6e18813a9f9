"""Tests of maps of casts with levels: values by depth, labels, what is hidden, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from casts import casts, temperature
from satellites import quiet, tracks

from da4dvar.errors import DataError
from da4dvar.fields.points.grid import grid_of
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.points.binned import binned
from da4dvar.workflows.points.compete import compete, groups_of
from da4dvar.workflows.points.estimated import estimated
from da4dvar.workflows.points.frame import Frame
from da4dvar.workflows.points.mapped import map_points

LEVELS = [0.0, 10.0, 25.0, 50.0, 100.0, 200.0]
OPTIONS = {"resolution": 0.5, "every": "10D", "minutes": 1.0, "say": quiet}


def truth(array: xr.DataArray) -> xr.DataArray:
    """The temperature in the cells of a map."""
    depth, lat, lon = xr.broadcast(array.depth, array.lat, array.lon)
    return depth.copy(data=temperature(depth.values, lat.values, lon.values))


@pytest.fixture(scope="module")
def mapped():
    """A map of 60 casts on six levels, and what was said."""
    said: list[str] = []
    asked = {"levels": LEVELS, "interval": 0.9, "std": True, "samples": 20} | OPTIONS | {"say": said.append}
    return map_points(casts(), **asked), said


def test_every_level_is_near_the_truth_and_its_error_is_known(mapped):
    """Errors are a small part of the anomalies, large ones and small ones; the intervals hold the truth."""
    temp, out = mapped[0].data.temp, mapped[0].data
    assert temp.dims == ("time", "depth", "lat", "lon")
    true = truth(temp)
    over = ["time", "lat", "lon"]
    error = np.sqrt(np.square(temp - true).mean(over))
    size = true.std(["lat", "lon"])
    assert (error < 0.25 * size).all()
    assert float(size[0]) > 10 * float(size[-1])
    held = ((out.temp_lower_90 <= true) & (true <= out.temp_upper_90)).mean(over)
    assert (held > 0.8).all()
    assert float(out.temp_std.sel(depth=0).mean()) > 2 * float(out.temp_std.sel(depth=200).mean())
    spread = out.temp_samples.std("realization").mean(over)
    np.testing.assert_allclose(spread, out.temp_std.mean(over), rtol=0.25)


def test_levels_are_labelled(mapped):
    """The vertical coordinate keeps what the casts say of it; scores and lines are as of other maps."""
    out, said = mapped
    np.testing.assert_array_equal(out.data.depth, LEVELS)
    assert out.data.depth.attrs == {
        "axis": "Z",
        "units": "m",
        "positive": "down",
        "standard_name": "depth",
    }
    assert any(line.startswith("temp: 1 m of depth counts as ") for line in said)
    assert out.scores["temp"].left_out["binned_..."] == "methods for grids take no levels"
    assert out.biases == {}
    rmse = out.scores["temp"].rmse[out.method["temp"]][0]
    assert 0.02 < rmse < 0.2


def test_casts_are_hidden_whole():
    """Levels of a cast tell each other: a hidden cast has no level among the others."""
    points = casts(30)
    frame = Frame.of(points, grid_of(points, 0.5, "10D", quiet, LEVELS))
    numbers = groups_of(points, frame)
    assert numbers.max() == 29
    for k in range(30):
        assert np.unique(points.lat[numbers == k]).size == 1


def test_the_vertical_scale_is_that_of_the_data():
    """Depths in centimetres give the same map."""
    outcomes = []
    for factor in (1.0, 100.0):
        points = casts(25)
        points = replace(points, depth=points.depth * factor)
        frame = Frame.of(points, grid_of(points, 1.0, "10D", quiet, [z * factor for z in LEVELS]))
        outcomes.append(compete(points, frame, Clock(1.0), method="neighbours"))
    one, other = outcomes
    assert one.frame.vertical == pytest.approx(100 * other.frame.vertical)
    first, second = (estimated(outcome)[0].values for outcome in outcomes)
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_a_grid_with_levels_is_a_map_with_levels():
    """In its units and direction; cells that are always missing stay empty."""
    field = np.ones((3, 2, 2))
    field[2, 0, 0] = np.nan
    grid = xr.Dataset(
        {"t": (("z", "lat", "lon"), field)},
        {
            "z": ("z", [-0.01, -0.03, -0.1], {"axis": "Z", "units": "km", "positive": "up"}),
            "lat": ("lat", [41.0, 43.0], {"units": "degrees_north"}),
            "lon": ("lon", [1.0, 3.0], {"units": "degrees_east"}),
        },
    )
    out = map_points(casts(), grid, method="neighbours", minutes=0.5, say=quiet).data
    assert out.temp.dims == ("z", "lat", "lon")
    assert out.z.attrs == {"axis": "Z", "units": "km", "positive": "up"}
    true = temperature(np.array([10.0, 30.0, 100.0])[:, None], 41.0, np.array([1.0, 3.0]))
    np.testing.assert_allclose(out.temp.values[:2, 0], true[:2], atol=0.5)
    assert np.isnan(out.temp.values[2, 0, 0])
    assert out.temp_flag.values[2, 0, 0] == 2
    grid.z.attrs["units"] = "dbar"
    with pytest.raises(DataError, match="the depth of 'temp' is in m, which cannot be converted to dbar"):
        map_points(casts(), grid, method="neighbours", minutes=0.5, say=quiet)


def test_casts_are_averaged_in_cells_with_levels():
    """As a model is given them: the mean of each cell and level."""
    points = casts(40)
    grid = grid_of(points, 4.0, "10D", quiet, [0.0, 90.0, 200.0])
    found = binned(points, grid, points.time.min())
    assert found.dims == ("time", "depth", "lat", "lon")
    for level, own in ((0.0, points.depth < 45), (200.0, points.depth > 145)):
        mean = found.sel(depth=level).values
        assert mean.size == 1
        np.testing.assert_allclose(mean, points.value[own].mean())


def test_what_has_no_levels_is_refused():
    """No depth, one place, levels that do not ascend, levels of a grid."""
    alone = casts(1)
    for points, levels, message in (
        (tracks(), LEVELS, "the points of 'sla' have no depth"),
        (alone, LEVELS, "differ in depth only"),
        (casts(), [0.0, 50.0, 10.0], "--levels 0,50,10: expected two levels or more, in ascending order"),
        (casts(), [5.0], "--levels 5: expected two levels or more"),
        (casts(), [0.0, np.nan], "expected two levels or more"),
    ):
        with pytest.raises(DataError, match=message):
            map_points(points, levels=levels, **OPTIONS)
    with pytest.raises(DataError, match="--levels need a resolution"):
        map_points(casts(), xr.Dataset(coords={"lat": [40.0, 41.0], "lon": [1.0, 2.0]}), levels=LEVELS)


def test_what_has_no_depth_is_left_out_of_a_map_with_levels():
    """A value for each cast, next to those at depths."""
    said: list[str] = []
    beside = replace(casts(), name="swell", depth=None)
    asked = {"levels": [0.0, 50.0], "method": "neighbours"} | OPTIONS | {"say": said.append}
    out = map_points({"temp": casts(), "swell": beside}, **asked)
    assert list(out.scores) == ["temp"]
    assert "swell: no depth; left out of a map with levels" in said


def test_casts_without_levels_are_said_to_be_mixed():
    """A map without levels of values at all depths is hardly what is wanted."""
    said: list[str] = []
    map_points(casts(), method="neighbours", **OPTIONS | {"say": said.append, "resolution": 1.0})
    assert any("depths from 0 to 200 are mapped as if they were one" in line for line in said)
