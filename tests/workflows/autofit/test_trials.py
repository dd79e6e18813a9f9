"""Trials: parts of a variable, and what is hidden in them."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.workflows.autofit.character import Character, character_of
from da4dvar.workflows.autofit.trials import SIDE, crop_of, only, reach_for, trial_of


def shape_of(sizes: dict[str, int], *space: str) -> tuple[xr.DataArray, Character]:
    """A variable of these sizes that needs no memory, and its character."""
    array = xr.DataArray(np.broadcast_to(np.float32(0), tuple(sizes.values())), dims=tuple(sizes))
    return array, Character("time", space, sizes, 0.5, 3, 5, False, True)


@pytest.mark.parametrize(("sizes", "space", "most"), [
    ({"time": 365, "lat": 720, "lon": 1440}, ("lat", "lon"), 100_000),
    ({"time": 365, "lat": 720, "lon": 1440}, ("lat", "lon"), 20_000),
    ({"lat": 40, "time": 2000, "lon": 900}, ("lat", "lon"), 1_000_000),
    ({"time": 4000, "station": 300}, ("station",), 50_000), ({"time": 90_000}, (), 20_000),
    ({"member": 10, "time": 400, "lat": 30, "lon": 30}, ("lat", "lon"), 200_000),
])  # fmt: skip
def test_a_crop_has_about_the_wanted_number_of_values(sizes, space, most):
    """At most that many, at least a third; sides of 12 cells or more, one entry of a further dimension."""
    array, character = shape_of(sizes, *space)
    crop = crop_of(array, character, most, seed=1)
    part = array.isel(crop)
    assert most / 3 < part.size <= 1.1 * most
    assert all(0 <= s.start < s.stop <= sizes[d] for d, s in crop.items())
    assert all(part.sizes[d] >= min(SIDE, sizes[d]) for d in space)
    assert part.sizes.get("member", 1) == 1


def test_times_are_cut_last():
    """Of a grid, all times are kept as long as the sides are longer than 12 cells."""
    array, character = shape_of({"time": 300, "lat": 200, "lon": 200}, "lat", "lon")
    assert "time" not in crop_of(array, character, 50_000, 0)
    assert crop_of(array, character, 20_000, 0)["time"].stop <= 300


def test_a_crop_lies_anywhere_and_is_the_same_for_a_seed():
    """Twenty seeds give many places; what is small enough is not cut."""
    array, character = shape_of({"time": 50, "lat": 100, "lon": 100}, "lat", "lon")
    crops = [crop_of(array, character, 20_000, seed) for seed in range(20)]
    assert len({c["lat"].start for c in crops}) > 10
    assert crops[3] == crop_of(array, character, 20_000, 3)
    assert crop_of(array, character, array.size, 0) == {}
    assert (
        only(array, crops[0] | {"depth": slice(0, 1)}).sizes["lat"]
        == crops[0]["lat"].stop - crops[0]["lat"].start
    )


def gappy() -> xr.DataArray:
    """Five stations with gaps of one to four steps."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((400, 5))
    for start in generator.integers(0, 396, 60):
        values[start : start + 1 + start % 4, start % 5] = np.nan
    return xr.DataArray(values, dims=("time", "station"), name="x")


def test_a_trial_hides_observed_points_and_remembers_them():
    """What is not hidden stays as it was; each point has its value, its shape and its weight."""
    array = gappy()
    character = character_of(array, "time")
    trial = trial_of(array, character, reach_for(array, character), seed=2)
    np.testing.assert_array_equal(trial.truth, array.values[trial.at])
    assert np.isfinite(trial.truth).all()
    assert np.isnan(trial.seen.values[trial.at]).all()
    np.testing.assert_array_equal(trial.seen.values[~trial.at], array.values[~trial.at])
    assert trial.truth.shape == trial.shape.shape == trial.weight.shape
    assert trial.weight.mean() == pytest.approx(1)
    assert 0.05 < trial.at.sum() / int(array.notnull().sum()) < 0.15
    assert (trial.hidden.length[trial.at] > 0).all()
    assert (trial.missing.length[trial.at] == 0).all()


def test_stations_have_no_distance_to_each_other():
    """Only a grid has a reach in space."""
    array = gappy()
    assert reach_for(array, character_of(array, "time")).space == {}
    grid = array.expand_dims(lat=4).rename(station="lon").transpose("time", "lat", "lon")
    assert set(reach_for(grid, character_of(grid, "time")).space) == {"lat", "lon"}


def test_without_a_gap_there_is_no_trial():
    """There is nothing to imitate."""
    array = gappy().fillna(0.0)
    character = character_of(array, "time")
    with pytest.raises(DataError, match="too few to hide some"):
        trial_of(array, character, reach_for(array, character), 0)


def test_the_hidden_points_of_a_crop_are_removed_from_the_whole():
    """Only the points of the trial are hidden, and the variable itself is unchanged."""
    array = gappy()
    before = array.copy(deep=True)
    character = character_of(array, "time")
    ranges = {"time": slice(100, 300)}
    crop = only(array, ranges)
    trial = trial_of(crop, character, reach_for(crop, character), 2, ranges)
    rest = trial.removed_from(array)
    removed = array.notnull() & rest.isnull()
    assert int(removed.sum()) == trial.at.sum() == int(removed.isel(ranges).sum())
    np.testing.assert_array_equal(array.values[removed.values], trial.truth)
    xr.testing.assert_identical(array, before)
    xr.testing.assert_identical(rest.where(~removed), array.where(~removed))
