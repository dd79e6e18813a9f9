"""The contract of every baseline, and what those of one dimension of time have in common."""

from importlib.util import find_spec

import numpy as np
import pytest
import xarray as xr
from guarantees import classical

from da4dvar.baselines import Baseline
from da4dvar.baselines.climatology import Climatology
from da4dvar.config.kinds import KINDS, class_of
from da4dvar.errors import DataError
from da4dvar.testing import BaselineContract, labelled_sea

HISTORY = labelled_sea(400)
METHODS = {**classical.METHODS, "climatology of other years": lambda: Climatology(history=HISTORY)}
TIMED = ("linear", "climatology", "optimal interpolation", "EOF iteration", "EOF interpolation")
# A climatology of whole numbers is a real number.
CLIMATOLOGIES = ("climatology", "climatology of other years")
timed = pytest.mark.parametrize("name", [*TIMED, "nearest stations", "joint Gaussian", "window Gaussian"])


def test_every_kind_is_tried():
    """A kind that a recipe may name is among them."""
    tried = {type(make()) for make in METHODS.values()}
    known = {class_of("baseline", kind) for kind in KINDS["baseline"]}
    assert tried == {cls for cls in known if find_spec(getattr(cls, "needs", "numpy")) is not None}


class TestEvery(BaselineContract):
    """Each of them on the small sea."""

    name: str

    @pytest.fixture(autouse=True, params=METHODS)
    def of_a_kind(self, request):
        self.name = request.param
        self.keeps_observed = self.name in classical.KEEPS_OBSERVED  # type: ignore[misc]

    def make(self) -> Baseline:
        return METHODS[self.name]()

    def owed(self, array: xr.DataArray) -> xr.DataArray:
        if self.name == "climatology of other years":
            return HISTORY[array.name].notnull().any("time")
        # LETKS knows the law of the system, whatever was observed.
        return xr.ones_like(array, bool) if self.name == "LETKS" else classical.estimable(self.name, array)


class TestWithoutDates(BaselineContract):
    """A climatology of times that are numbers is the mean."""

    def make(self) -> Baseline:
        return Climatology()

    def data(self) -> xr.Dataset:
        return labelled_sea(dates=False)


@timed
def test_the_dimension_of_time_may_have_any_name(name):
    """It is an argument."""
    renamed = classical.METHODS[name](time="day").interpolate(labelled_sea().rename(time="day"))
    xr.testing.assert_equal(renamed.rename(day="time"), classical.METHODS[name]().interpolate(labelled_sea()))


@timed
def test_a_variable_without_time_is_refused(name):
    """The message names the variable, the dimension and those that there are."""
    ds = labelled_sea().assign(depth=(("lat", "lon"), np.ones((3, 4))))
    with pytest.raises(DataError, match=r"variable 'depth' has no dimension 'time'.* lat, lon"):
        classical.METHODS[name]().interpolate(ds)


@pytest.mark.parametrize("name", METHODS)
def test_what_has_no_gaps_is_left(name):
    """Whole numbers, flags and names, with time or without, have no gaps and are not made real numbers."""
    values = np.arange(160).reshape(40, 4) % 2
    types = ["bool", "<U3"] if name in CLIMATOLOGIES else ["int16", "bool", "<U3"]
    flags = {dtype: (("time", "lon"), values.astype(dtype)) for dtype in types}
    flags |= {"station": ("lon", list("abcd")), "author": ((), "someone")}
    ds = labelled_sea().assign(flags)
    for given in (ds, ds.chunk(time=9)):
        out = METHODS[name]().interpolate(given).compute()
        xr.testing.assert_identical(out[list(flags)], ds[list(flags)])


@pytest.mark.parametrize("name", METHODS)
def test_a_standard_error_says_what_it_is_and_overwrites_nothing(name):
    """A variable of its name is the user's."""
    ds = labelled_sea()
    out = METHODS[name]().interpolate(ds)
    if "sst_std" in out:
        assert out.sst_std.attrs == {"long_name": "standard error of sst", "units": "degC"}
        if name != "climatology of other years":
            with pytest.raises(DataError, match="already a variable 'sst_std'"):
                METHODS[name]().interpolate(ds.assign(sst_std=ds.sst))


@pytest.mark.parametrize("name", classical.BY_SAMPLE)
def test_further_dimensions_are_solved_one_by_one(name):
    """A member gives alone what it gives among others."""
    ds = labelled_sea().sss.assign_coords(lon=("lon", np.arange(4.0), {"axis": "X"})).to_dataset()
    both = xr.concat([ds, 20 + 0.5 * ds], "member").transpose("lat", "member", ...)
    alone = classical.METHODS[name]().interpolate(both.isel(member=1))
    xr.testing.assert_allclose(classical.METHODS[name]().interpolate(both).isel(member=1), alone, rtol=1e-5)


def test_linear_gaps_are_on_the_line_between_observations():
    """The result is that of numpy's interp: linear between observations, constant beyond."""
    generator = np.random.default_rng(0)
    hours = 6 * np.arange(50)
    values = generator.standard_normal((50, 6))
    seen = generator.random(values.shape) < 0.4
    time = np.datetime64("2001-01-01", "ns") + hours.astype("timedelta64[h]")
    ds = xr.Dataset({"t2m": (("time", "x"), np.where(seen, values, np.nan))}, coords={"time": time})
    expected = [np.interp(hours, hours[s], v[s]) for v, s in zip(values.T, seen.T, strict=True)]
    np.testing.assert_allclose(
        METHODS["linear"]().interpolate(ds).t2m, np.transpose(expected), rtol=1e-5, atol=1e-8
    )
