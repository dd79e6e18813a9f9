"""Structures: what is no grid over time is merged, or refused by name with advice."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.intake.structure import resolved

DAYS = np.arange("2001-01-01", "2001-01-07", dtype="M8[D]").astype("M8[ns]")
OBS = ("obs", np.arange(6.0))


def ragged():
    """Two series one after another."""
    return xr.Dataset({"sst": OBS, "rows": ("station", [2, 4], {"sample_dimension": "obs"})})


def indexed():
    """Series whose entries are mixed."""
    return xr.Dataset({"sst": OBS, "station": ("obs", [0, 1] * 3, {"instance_dimension": "stations"})})


def records():
    """Reports of different stations in the order of their arrival."""
    times = ("obs", DAYS[[0, 1, 0, 2, 1, 2]])
    return xr.Dataset({"t": OBS, "site": ("obs", list("abcabc")), "at": times})


def numbered():
    """Records without a coordinate, at different places."""
    place = ("recNum", np.arange(6.0), {"units": "degrees_north"})
    return xr.Dataset({"t": ("recNum", np.ones(6)), "latitude": place, "at": ("recNum", DAYS)})


def profiles():
    """Casts of different depth."""
    depth = [[5.0, 10.0, 20.0], [5.0, 11.0, np.nan]]
    return xr.Dataset({"t": (("time", "k"), np.ones((2, 3))), "depth": (("time", "k"), depth)})


def declared_profiles():
    """Casts by the feature type alone."""
    return xr.Dataset({"t": (("profile", "z"), np.ones((2, 3)))}, attrs={"featureType": "profile"})


def track():
    """A ship."""
    place = ("time", np.arange(6.0), {"units": "degrees_north"})
    return xr.Dataset({"t": ("time", np.ones(6)), "lat": place}, {"time": DAYS})


def swath():
    """A satellite."""
    place = (("line", "pixel"), np.arange(12.0).reshape(6, 2))
    return xr.Dataset(
        {"t": (("line", "pixel"), np.ones((6, 2)))}, {"time": ("line", DAYS), "latitude": place}
    )


REFUSED = {
    ragged: "ragged array holds 2 series one after another along 'obs' .see 'rows'.*a row of its own",
    indexed: "ragged array holds several series one after another along 'obs'",
    records: "'obs' are records of several stations",
    numbered: "'recNum' are records of several stations",
    profiles: "'depth' gives every entry of 'time' levels of its own .*padded at the end.*common levels",
    declared_profiles: "the file holds profiles .featureType profile.; interpolate them to common levels",
    track: "lie on a track: the position changes along 'time'.*--dim time=time",
    swath: "lie on a swath: the position changes along 'line'.*--dim time=line",
}


@pytest.mark.parametrize(("build", "text"), REFUSED.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_other_structures_are_refused_by_name(build, text):
    """In one line that says what to do."""
    with pytest.raises(DataError, match=text) as raised:
        resolved(build())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("build", "time"), [(track, "time"), (swath, "line")])
def test_a_track_is_accepted_if_its_dimension_is_given(build, time):
    """Its owner knows what it is."""
    assert resolved(build(), {"time": time}) == (build(), [])


def closed():
    """River levels of stations of which one closed: gaps at the end are no padding."""
    return xr.Dataset({"depth": (("time", "station"), np.where(np.eye(6) > 0, np.nan, [3.0, 1, 2, 5, 4, 6]))})


def buoy():
    """A buoy that swings on its chain."""
    place = ("time", 50 + 0.01 * np.arange(6), {"units": "degrees_north"})
    return track().assign(lat=place)


def network():
    """Stations with the date of their installation."""
    coords = {"time": DAYS, "lat": ("station", [1.0, 9.0]), "since": ("station", DAYS[:2])}
    return xr.Dataset({"q": (("station", "time"), np.ones((2, 6)))}, coords)


def records():
    """Deployments of one instrument, out of order, whose records have an identifier each."""
    return xr.Dataset(
        {"pco2": ("time", np.ones(6)), "id": ("time", list("abcdef")), "batch": ("time", list("xxyyzz"))},
        {"time": DAYS[[3, 4, 5, 0, 1, 2]]},
    )


@pytest.mark.parametrize("build", [closed, buoy, network, records])
def test_ordinary_structures_pass(build):
    """Although they have something in common with those that are refused."""
    assert resolved(build())[1] == []


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_versions_of_era5_are_merged(order):
    """The final version first, in whichever order they are; other variables and encodings stay."""
    values = [[1.0, 9.0], [2.0, np.nan], [np.nan, 3.0]]
    ds = xr.Dataset({"t2m": (("time", "expver"), values), "z": ("lat", [0.0])}, {"expver": [1, 5]})
    ds.t2m.encoding = {"dtype": "int16", "chunksizes": (1, 1)}
    merged, notes = resolved(ds.isel(expver=order))
    np.testing.assert_array_equal(merged.t2m, [1.0, 2.0, 3.0])
    assert merged.t2m.encoding == {"dtype": "int16"}
    assert "expver" not in merged.variables
    assert notes == ["merged the versions 1, 5 along 'expver', the final one (ERA5) first"]
