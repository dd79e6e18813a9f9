"""Files that hold the same cells are compared on them, however their labels are written."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.evaluation.matching import aligned
from da4dvar.evaluation.scores import evaluate_files


def field(days: int = 8, lon: float = 10.1) -> xr.DataArray:
    """Return values that tell where they are."""
    shape = (days, 5, 6)
    return xr.DataArray(
        np.arange(np.prod(shape), dtype="float64").reshape(shape),
        {
            "time": pd.date_range("2010-01-01", periods=days),
            "lat": 28.1 + 0.1 * np.arange(5),
            "lon": lon + 0.1 * np.arange(6),
        },
        name="sst",
    )


def with_small_changes() -> dict[str, xr.DataArray]:
    """Return the field with its labels written in other ways."""
    one = field()
    single = {d: one[d].astype("float32") for d in ("lat", "lon")}
    noleap = one.isel(time=slice(0, 8)).convert_calendar("standard", use_cftime=True)
    return {
        "single precision": one.assign_coords(single),
        "rounding": one.assign_coords(lat=one.lat + 0.0004),
        "another order": one.isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat"),
        "seconds of difference": one.assign_coords(time=one.time + np.timedelta64(30, "s")),
        "dates of cftime, with themselves": noleap,
    }


@pytest.mark.parametrize("change", with_small_changes())
def test_labels_that_differ_by_little_match(change):
    """All cells match, without a note."""
    other = with_small_changes()[change]
    first = other if "cftime" in change else field()
    with warnings.catch_warnings():
        warnings.simplefilter("error", Da4dvarWarning)
        one, two = aligned([first, other])
    assert one.size == field().size
    np.testing.assert_array_equal(one, two)
    assert one.indexes["lat"].equals(two.indexes["lat"])


@pytest.mark.parametrize(("one", "other"), [(-10.0, 350.0), (350.0, -10.0), (179.8, -180.2)])
def test_longitudes_may_differ_by_a_turn(one, other):
    """0..360 against −180..180, in both directions, and across the date line; it is said."""
    first, second = field(lon=one), field(lon=other)
    second = second.assign_coords(lon=np.where(second.lon < -180, second.lon + 360, second.lon))
    with pytest.warns(Da4dvarWarning, match="'lon' of one file was turned by 360 degrees"):
        found = aligned([first, second])
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0].size == first.size


def test_a_part_is_said():
    """The number of cells that are compared, and of how many."""
    with pytest.warns(
        Da4dvarWarning, match="sst: compared on the 150 cells that the files share, of up to 240"
    ):
        one, other = aligned([field().isel(time=slice(3, None)), field()])
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (field().assign_coords(time=pd.date_range("2010-01-06", periods=8)), "only 90 of 240 cells"),
        (field().assign_coords(time=field().time + np.timedelta64(12, "h")), "no coordinates in common"),
        (field().assign_coords(lat=field().lat + 0.003), "no coordinates in common"),
        (field().assign_coords(time=np.arange(8)), "'time' holds dates in one file"),
        (field().isel(time=[0, 0, 1]), "'time' has duplicates"),
        (field().isel(time=slice(3)).drop_vars("time"), "no labels to match them"),
        (field().rename(lat="y"), "rename the dimensions"),
        (field().convert_calendar("360_day", align_on="date"), "another calendar"),
    ],
)
def test_little_in_common_is_refused_in_a_line(other, message):
    """A score over a few cells would be taken for that of all."""
    with pytest.raises(DataError, match=message) as caught:
        aligned([field(), other])
    assert "\n" not in str(caught.value)


def test_text_labels_and_none():
    """Names of stations match as they are; dimensions without labels by their order."""
    one = xr.DataArray([1.0, 2.0, 3.0], {"station": ["a", "b", "c"]}, name="q")
    found = aligned([one, one.isel(station=[2, 0, 1])])
    np.testing.assert_array_equal(found[0], found[1])
    bare = one.drop_vars("station")
    assert [array.size for array in aligned([one, bare])] == [3, 3]


def test_files_in_single_and_double_precision_are_scored_on_all_cells(tmp_path):
    """The cells of the score are all cells of the files."""
    truth = field().to_dataset()
    estimate = (truth + 0.1).assign_coords({d: truth[d].astype("float32") for d in ("lat", "lon")})
    truth.to_netcdf(tmp_path / "truth.nc")
    estimate.to_netcdf(tmp_path / "estimate.nc")
    table = evaluate_files(str(tmp_path / "estimate.nc"), str(tmp_path / "truth.nc"))
    assert table["sst"]["all"]["cells"] == truth.sst.size
    assert table["sst"]["all"]["rmse"] == pytest.approx(0.1)
