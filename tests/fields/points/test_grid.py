"""Tests of the grids that points are mapped to."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.points import Points
from da4dvar.fields.points.grid import grid_like, grid_of, on_map

DAYS = pd.date_range("2020-01-01T06:00", "2020-01-10T18:00", 40).to_numpy()


def points(lon=(1.1, 2.9), lat=(40.2, 41.4), time=DAYS) -> Points:
    """Forty points between two corners."""
    return Points("x", np.ones(40), time=time, lat=np.linspace(*lat, 40), lon=np.linspace(*lon, 40))


def made(own: Points, resolution=0.5, every=None):
    """A grid of a resolution, and what was said."""
    said: list[str] = []
    return grid_of(own, resolution, every, said.append), said


def test_cells_cover_the_points():
    """Centres at half cells, from multiples of the resolution; days at noon; the step is said."""
    grid, said = made(points())
    assert grid.array.lon.values.tolist() == [1.25, 1.75, 2.25, 2.75]
    assert grid.array.lat.values.tolist() == [40.25, 40.75, 41.25]
    assert (grid.array.sizes["time"], str(grid.array.time.values[0])[:16]) == (10, "2020-01-01T12:00")
    assert said == [
        "times of the map: every 1D from 2020-01-01 to 2020-01-10; choose another step with --every"
    ]
    assert grid.inside(points()).all()


def test_the_step_in_time():
    """Hours of a short record, months of a long one, and what was asked for."""
    hours = pd.date_range("2020-01-01", periods=40, freq="h").to_numpy()
    assert "every 1h" in made(points(time=hours))[1][0]
    years = pd.date_range("1980-01-01", "2020-01-01", 40).to_numpy()
    assert "every 30D" in made(points(time=years))[1][0]
    grid, said = made(points(), every="12h")
    assert said == []
    assert np.diff(grid.array.time.values).max() == np.timedelta64(12, "h")
    numbers = points(time=np.arange(40.0))
    assert made(numbers, every="2")[0].array.time.values[:3].tolist() == [0.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("own", "resolution", "every", "message"),
    [
        (points(), 0.0, None, "--resolution is 0.0, expected a number of degrees above 0"),
        (points(), 0.5, "soon", "--every 'soon': expected a duration such as 1D or 6h"),
        (points(), 0.5, "-1D", "expected a duration above 0"),
        (points(), 0.0001, "1h", "values, expected at most 50,000,000; give a coarser"),
        (points(time=np.arange(40.0)), 0.5, None, "numbers without dates; give their step with --every"),
        (points(time=np.arange(40.0)), 0.5, "1D", "expected a number, as the times are no dates"),
        (points(time=np.full(40, DAYS[0])), 0.5, "1D", "one time only"),
    ],
)
def test_wrong_options_are_refused(own, resolution, every, message):
    """In one line, with the option."""
    with pytest.raises(DataError, match=message):
        made(own, resolution, every)


def test_longitudes_across_the_date_line_and_greenwich():
    """The narrowest range that holds all points, not the globe."""
    for lon in ((178.0, 182.0), (-2.0, 2.0)):
        own = np.linspace(*lon, 40)
        grid = made(points(lon=lon))[0]
        assert grid.array.sizes["lon"] == 8
        wrapped = Points(
            "x", np.ones(40), time=DAYS, lat=np.linspace(40.2, 41.4, 40), lon=np.mod(own + 180, 360) - 180
        )
        assert made(wrapped)[0].array.sizes["lon"] == 8
        assert grid.inside(wrapped).all()


def like(**coords) -> xr.Dataset:
    """A grid of a file, with land in one cell."""
    own = {
        "time": pd.date_range("2020-01-01", periods=10),
        "lat": [40.0, 41.0],
        "lon": [1.0, 2.0, 3.0],
    } | coords
    values = np.ones([len(c) for c in own.values()])
    values[:, 0, 0] = np.nan
    return xr.Dataset({"sst": (tuple(own), values)}, own)


def test_the_grid_of_a_file_with_its_land():
    """Its times and places; cells that are missing at all times are not estimated, which is said."""
    said: list[str] = []
    grid = grid_like(like(), points(), said.append)
    assert grid.array.sizes == {"time": 10, "lat": 2, "lon": 3}
    assert grid.kept.tolist() == [[False, True, True], [True, True, True]]
    assert said == ["1 of 6 cells are missing at all times in the grid file; they stay empty (flag 2)"]


def test_points_outside_are_counted_and_left_out():
    """In space and in time, by half a cell and by a step; all of them outside is an error."""
    grid = grid_like(like(), points(), print)
    own = points(lon=(1.0, 6.0))
    said: list[str] = []
    kept = on_map(own, grid, said.append)
    assert len(kept) == int((own.lon <= 3.5).sum())
    assert (
        f"x: {40 - len(kept)} of 40 points are outside of the grid (lat 40 to 41, lon 1 to 3, time 2020-01-01"
        in said[0]
    )
    late = points(time=DAYS + np.timedelta64(5, "D"))
    assert (on_map(late, grid, said.append).time <= np.datetime64("2020-01-11")).all()
    with pytest.raises(DataError, match="none of the 40 points is on the grid"):
        on_map(points(lon=(50.0, 60.0)), grid, print)
    around = points(lon=(361.0, 362.0))
    assert len(on_map(around, grid, print)) == 40


def test_grids_that_do_not_fit_are_refused():
    """Without places, without the kind of times of the points."""
    with pytest.raises(DataError, match="no latitude and longitude"):
        grid_like(like().isel(lat=0, lon=0, drop=True), points(), print)
    with pytest.raises(DataError, match="the grid has times without dates"):
        grid_like(like(time=np.arange(10.0)), points(), print)
    with pytest.raises(DataError, match="the grid has dates, and the points of 'x' no times"):
        grid_like(like(), points(time=None), print)


def test_levels_of_a_cast():
    """Points that differ in depth only are mapped to levels."""
    depth = {"depth": np.linspace(0, 100, 40), "depth_attrs": {"name": "PRES", "units": "dbar"}}
    cast = Points("t", np.ones(40), lat=np.full(40, 40.0), lon=np.full(40, 5.0), **depth)
    grid, said = made(cast, 10.0)
    assert (grid.place, grid.vertical, grid.array.sizes, said) == (("PRES",), True, {"PRES": 10}, [])
    assert grid.array.PRES.attrs["units"] == "dbar"
    levels = xr.Dataset(coords={"PRES": ("PRES", [0.0, 50.0, 100.0], {"axis": "Z"})})
    assert grid_like(levels, cast, print).place == ("PRES",)
