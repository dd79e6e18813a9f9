"""Hidden points: observed, reproducible, disjoint, and in the shapes of gaps."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.gaps.holdout import Holdout, apart, hidden_points, own_lengths


def stations(missing: float = 0.3) -> xr.Dataset:
    """Return ten series of 300 steps."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((300, 10))
    values[generator.random(values.shape) < missing] = np.nan
    return xr.Dataset({"pm": (("time", "station"), values)})


def clouds(number: int = 60, last: int = 1, seed: int = 1) -> xr.DataArray:
    """Return fields of which one or the other half is hidden for some steps each time."""
    side = np.random.default_rng(seed).integers(2, size=number).repeat(last)
    seen = (np.arange(12)[None] < 6) == side[:, None].astype(bool)
    return xr.DataArray(np.broadcast_to(seen[:, None], (side.size, 8, 12)).copy(), dims=("time", "y", "x"))


@pytest.mark.parametrize("observed", [stations().pm.notnull(), clouds()], ids=["series", "fields"])
def test_about_as_many_observed_points_as_asked_for(observed):
    """Only observed points are hidden, in about the requested number, reproducibly."""
    hidden = hidden_points(observed, "time", 0.1, 4)
    assert not (hidden & ~observed).any()
    assert 0.1 * int(observed.sum()) <= int(hidden.sum()) <= 0.15 * int(observed.sum()) + 48
    assert hidden.identical(hidden_points(observed, "time", 0.1, 4))
    assert not hidden.equals(hidden_points(observed, "time", 0.1, 5))
    assert hidden.dims == observed.dims


def test_fields_lose_what_another_time_does_not_see():
    """Never cells that are always observed, about as many in each eighth, in any order of dimensions."""
    observed = clouds()
    observed[:, :, 4] = True
    hidden = hidden_points(observed, "time", 0.2, 0)
    assert hidden.any()
    assert not hidden.isel(x=4).any()
    hidden = hidden_points(clouds(40, 10, seed=2), "time", 0.05, 0).coarsen(time=50).sum().sum(("y", "x"))
    assert (hidden > 0.2 * hidden.mean()).all()
    assert (hidden < 3 * hidden.mean()).all()
    turned = hidden_points(clouds().transpose("x", "time", "y"), "time", 0.2, 0)
    assert hidden_points(clouds(), "time", 0.2, 0).equals(turned.transpose("time", "y", "x"))


def test_blocks_are_as_long_as_asked_for():
    """Most hidden runs have the requested length; by default they have the lengths of the gaps."""
    complete = xr.DataArray(np.ones((400, 8), dtype=bool), dims=("time", "station"))
    hidden = hidden_points(complete, "time", 0.05, 0, [7]).values.T
    edges = np.diff(np.pad(hidden, ((0, 0), (1, 1))).astype(int), axis=1)
    runs = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    assert np.median(runs) == 7
    half = xr.DataArray(np.arange(40)[:, None] % 2 == np.zeros((1, 3)), dims=("time", "x"))
    assert set(own_lengths(half, "time")) == {1}
    assert own_lengths(xr.ones_like(half), "time") == [1]


def test_parts_are_disjoint_and_together_everything():
    """Training, validation and test are disjoint and together complete, and parts keep their labels."""
    ds = stations()
    holdout = Holdout(0.1, 0.1, (1, 7))
    left, test = apart(ds, holdout.tests(ds, "time"))
    rest, checked = apart(left, holdout.validations(left, "time"))
    known = [part.pm.notnull() for part in (rest, checked, test)]
    assert (sum(k.astype(int) for k in known) == ds.pm.notnull()).all()
    assert left.pm.notnull().equals(known[0] | known[1])
    assert set(holdout.tests(ds, "time")) == {"blocks of 1", "blocks of 7"}
    ds = stations().assign_coords(station=list("abcdefghij"))
    ds.pm.attrs["units"], ds.pm.encoding = "ug/m3", {"dtype": "int16"}
    for part in apart(ds, Holdout().tests(ds, "time")):
        assert (part.pm.attrs, part.pm.encoding) == (ds.pm.attrs, ds.pm.encoding)
        xr.testing.assert_identical(part.station, ds.station)


@pytest.mark.parametrize(("observed", "fraction", "text"), [
    (stations().pm[:10, :1].notnull(), 0.1, "too few to hide some and learn.*da4dvar baseline"),
    (clouds(), 0.6, r"expected above 0 and below 0\.5"),
])  # fmt: skip
def test_too_few_points_and_invalid_fractions_are_refused(observed, fraction, text):
    """The message for too few points suggests a baseline."""
    with pytest.raises(DataError, match=text):
        hidden_points(observed, "time", fraction, 0)
