"""Tests of maps of points: what is chosen, scored, flagged and said."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from satellites import START, field, like, quiet, tracks

from da4dvar.errors import DataError
from da4dvar.fields.points import Points
from da4dvar.fields.points.grid import grid_of
from da4dvar.workflows.points.binned import OnGrid, binned, coordinates
from da4dvar.workflows.points.compete import folds_of, weights_like
from da4dvar.workflows.points.mapped import map_points


@pytest.fixture(scope="module")
def mapped():
    """The map of the tracks, and what was said."""
    said: list[str] = []
    points = tracks()
    out = map_points(points, resolution=0.5, every="1D", std=True, interval=0.9, minutes=2.0, say=said.append)
    return points, out, said


def test_the_map_is_near_the_truth_and_its_error_is_known(mapped):
    """Better than the mean, with intervals that hold the truth about as often as they say."""
    _, out, _ = mapped
    sla = out.data.sla
    truth = field(*(a.values for a in xr.broadcast(sla.time, sla.lat, sla.lon)))
    close = out.data.sla_flag.values == 1
    assert close.mean() > 0.5
    error = (sla.values - truth)[close]
    assert np.sqrt(np.mean(error**2)) < 0.4 * truth.std()
    inside = (out.data.sla_lower_90.values <= truth) & (truth <= out.data.sla_upper_90.values)
    assert inside[close].mean() > 0.75
    assert (out.data.sla_std > 0).all()


def test_the_scores_are_said_in_the_words_of_other_fits(mapped):
    """A verdict, classes by distance, and attributes of the map."""
    points, out, said = mapped
    text = out.table()
    assert text.startswith(f"sla: filled by {out.method['sla']}; expect an error of ")
    assert "RMSE by distance to an observation, in correlation lengths" in text
    assert out.scores["sla"].shapes >= 2
    attrs = out.data.sla.attrs
    assert (attrs["filled_by"], attrs["units"]) == (out.method["sla"], "m")
    assert attrs["number_of_points"] == len(points)
    assert "valid_min" not in attrs
    assert attrs["rmse_on_hidden_points"] == out.scores["sla"].rmse[out.method["sla"]][0]
    assert any("of each platform" in line or "no bias of any of 2 platforms" in line for line in said)
    assert set(out.errors["sla"]) == {"sat0", "sat1"}


def test_flag_3_marks_what_is_farther_than_what_was_scored(mapped):
    """Far from all tracks, and nowhere else."""
    _, out, _ = mapped
    assert set(np.unique(out.data.sla_flag)) <= {1, 3}
    away = map_points(
        tracks(), like(lat=[42.0, 60.0], lon=[1.0, 2.0]), method="neighbours", minutes=0.02, say=print
    ).data
    assert (away.sla_flag.sel(lat=60.0) == 3).all()
    assert (away.sla_flag.sel(lat=42.0) == 1).any()


def test_land_of_the_grid_stays_empty():
    """Flag 2 where the file of the grid is always missing; error bars are missing there as well."""
    sea = np.ones((8, 3, 3))
    sea[:, 1, 1] = np.nan
    grid = like([40.5, 42.0, 43.5], [0.5, 1.5, 2.5], sst=(("time", "lat", "lon"), sea))
    said: list[str] = []
    points = tracks()
    for method in ("neighbours", "binned_climatology"):
        out = map_points(points, grid, method=method, std=True, minutes=0.05, say=said.append).data
        assert (out.sla_flag.values[:, 1, 1] == 2).all()
        assert np.isnan(out.sla.values[:, 1, 1]).all()
        assert np.isnan(out.sla_std.values[:, 1, 1]).all()
        assert int(out.sla.isnull().sum()) == 8
        assert out.sla.dims == ("time", "lat", "lon")
    assert any("1 of 9 cells are missing at all times" in line for line in said)


def test_given_errors_and_biases():
    """A known bias is subtracted; names and values are checked."""
    points = tracks()
    shifted = replace(points, value=points.value + 2.0 * (points.platform == "sat1"))
    options = {
        "resolution": 1.0,
        "every": "2D",
        "method": "neighbours",
        "minutes": 0.02,
        "say": quiet,
    }
    plain = map_points(points, bias="none", **options).data.sla
    known = map_points(shifted, bias={"sat1": 2.0}, **options)
    assert abs(known.data.sla - plain).max() < 0.3
    with pytest.raises(DataError, match="bias of platform 'sat7': did you mean 'sat"):
        map_points(points, bias={"sat7": 1.0}, **options)
    with pytest.raises(DataError, match=r"error sat1 is 0\.0, expected more than 0"):
        map_points(points, error={"sat1": 0.0}, **options)
    with pytest.raises(DataError, match="error of platform 'x': the points have no platforms"):
        map_points(replace(points, platform=None), error={"x": 1.0}, **options)
    with pytest.raises(DataError, match="expected 'estimated', 'none', or a number"):
        map_points(points, bias="some", **options)


def test_wrong_calls_are_refused():
    """Neither grid nor resolution, both, a step with a grid, unknown methods, directions, few points."""
    points, grid = tracks(), like([40.0, 41.0], [0.0, 1.0])
    for given in ({}, {"grid": grid, "resolution": 1.0}):
        with pytest.raises(DataError, match="give either a grid or a resolution"):
            map_points(points, **given)
    with pytest.raises(DataError, match="the grid has times of its own"):
        map_points(points, grid, every="1D")
    with pytest.raises(DataError, match="--method 'linear': did you mean 'binned_linear'"):
        map_points(points, resolution=1.0, every="1D", method="linear", minutes=0.02, say=quiet)
    wind = replace(points, name="wd", value=np.mod(points.value * 100, 360), attrs={"units": "degrees"})
    with pytest.raises(DataError, match="'wd' is a direction; map its sine and its cosine"):
        map_points(wind, resolution=1.0, every="1D")
    with pytest.raises(DataError, match="5 points in 1 groups are too few to hide some"):
        map_points(points.isel(np.arange(5)), resolution=1.0, every="1D", say=quiet)


def test_bounds_are_kept():
    """Rain is not negative."""
    points = tracks()
    rain = replace(points, name="pr", value=points.value.clip(0), attrs={"units": "mm", "standard_name": ""})
    said: list[str] = []
    out = map_points(
        rain, resolution=1.0, every="2D", method="neighbours", minutes=0.02, interval=0.9, say=said.append
    ).data
    assert out.pr.min() >= 0
    assert out.pr_lower_90.min() >= 0


def test_points_are_averaged_in_cells_and_read_back():
    """The mean of each cell; a map that is linear is read back exactly at the points."""
    points = Points(
        "x",
        np.array([1.0, 3.0, 5.0, 7.0]),
        time=START + np.array([2, 3, 30, 30]).astype("m8[h]").astype("m8[ns]"),
        lat=np.array([40.1, 40.2, 41.4, 41.4]),
        lon=np.array([0.6, 0.7, 359.9, 2.6]),
    )
    grid = grid_of(points, 1.0, "1D", print)
    since = points.time.min()
    cells = binned(points, grid, since)
    assert sorted(cells.values[np.isfinite(cells.values)]) == [2.0, 5.0, 7.0]
    ramp = (0 * cells.fillna(0) + cells.lat + 2 * cells.lon).transpose(*cells.dims)
    method = OnGrid(None, grid, since)
    at = coordinates(points, grid, since)
    np.testing.assert_allclose(method.at(ramp, points), at[:, 1] + 2 * at[:, 2])


def test_folds_hide_whole_tracks():
    """No track is hidden twice, and never all of them."""
    numbers = np.repeat(np.arange(20), 7)
    folds = folds_of(numbers, seed=1)
    taken = np.concatenate(folds)
    assert len({*taken}) == taken.size < 20
    assert all(1 <= fold.size <= 4 for fold in folds)
    assert len(folds_of(np.repeat([0, 1], 50), 0)) == 1


def test_weights_give_hidden_points_the_distances_of_the_map():
    """The weighted share of far points is that of the map."""
    generator = np.random.default_rng(0)
    hidden, missing = generator.uniform(0, 1, 4000), generator.uniform(0, 1, 4000) ** 0.5
    w = weights_like(hidden, missing)
    assert w.mean() == pytest.approx(1)
    far = np.sum(w * (hidden > 0.6)) / np.sum(w)
    assert far == pytest.approx(np.mean(missing > 0.6), abs=0.03)


def test_a_cast_is_mapped_to_levels():
    """Points that differ in depth only, whose groups of neighbours are hidden."""
    depth = np.sort(np.random.default_rng(0).uniform(0, 500, 80))
    value = 20 * np.exp(-depth / 150)
    cast = Points(
        "t", value, lat=np.full(80, 40.0), lon=np.full(80, 5.0), depth=depth, depth_attrs={"name": "z"}
    )
    out = map_points(cast, resolution=25.0, minutes=0.05, say=quiet)
    assert out.data.t.dims == ("z",)
    assert abs(out.data.t - 20 * np.exp(-out.data.z / 150)).max() < 0.5


def test_frames_and_data_sets_are_points():
    """What `from_frame` and `from_dataset` read."""
    points = tracks(8)
    options = {
        "resolution": 1.0,
        "every": "2D",
        "method": "neighbours",
        "minutes": 0.02,
        "say": quiet,
    }
    ds = points.to_dataset()
    first = map_points(ds, **options).data.sla
    other = map_points(ds.to_dataframe().reset_index(drop=True), **options).data.sla
    np.testing.assert_allclose(first, other, atol=1e-5)


def test_a_solve_that_does_not_converge_leaves_the_map_to_other_methods(monkeypatch):
    """The reason is with the scores; asked for by name, the method is refused in one line."""
    for module in ("point_analysis", "point_interpolation"):
        monkeypatch.setattr(f"da4dvar.baselines.{module}.FEW", 20)
    monkeypatch.setattr("da4dvar.baselines.point_analysis.ITERATIONS", 1)
    monkeypatch.setattr("da4dvar.baselines.point_analysis.TOLERANCE", 1e-12)
    options = {"resolution": 0.5, "every": "1D", "minutes": 0.5, "say": quiet}
    scores = map_points(tracks(), **options).scores["sla"]
    assert scores.winner != "optimal_interpolation"
    assert "left a residual" in scores.left_out["optimal_interpolation"]
    with pytest.raises(DataError, match=r"optimal_interpolation cannot map 'sla': .* left a residual"):
        map_points(tracks(), method="optimal_interpolation", **options)
