"""Conversion of units in CF spelling."""

import dask.array
import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.units import conversion, converted, same_units


def quantity(units: str | None, values: object = (1.0, 2.0)) -> xr.DataArray:
    """Return numbers with a unit."""
    attrs = {} if units is None else {"units": units}
    return xr.DataArray(np.asarray(values, "float32"), dims="x", name="q", attrs={"long_name": "q"} | attrs)


@pytest.mark.parametrize(("got", "wanted", "value", "expected"), [
    ("K", "degC", 300.0, 26.85), ("degC", "K", 20.0, 293.15), ("kelvin", "celsius", 273.15, 0.0),
    ("degree_Celsius", "K", 0.0, 273.15), ("degF", "degC", 212.0, 100.0), ("m s-1", "km h-1", 10.0, 36.0),
    ("m s-1", "m/s", 3.0, 3.0), ("hPa", "Pa", 1013.0, 101300.0), ("kg m-2 s-1", "g m-2 s-1", 2.0, 2000.0),
    ("m2 s-2", "cm2 s-2", 1.0, 1e4), ("cm", "m", 150.0, 1.5), ("mg m-3", "kg m-3", 5.0, 5e-6),
])  # fmt: skip
def test_values_are_converted(got, wanted, value, expected):
    """Values are converted with a note; dtype and other attributes are kept."""
    result, note = converted(quantity(got, [value, np.nan]), wanted)
    np.testing.assert_allclose(result.values, [expected, np.nan], rtol=1e-5, atol=1e-4)
    assert (result.dtype, result.attrs["long_name"]) == (np.float32, "q")
    if value == expected:
        assert note is None
    else:
        assert note == f"q: converted from {got} to {wanted}"
        assert result.attrs["units"] == wanted


SPELLINGS = {
    "degC": "Celsius|celsius|degree_C|degrees_C|deg_C|°C|ºC|C|degree_Celsius|degrees C|deg C|degrees Celsius",
    "K": "kelvin|Kelvin|degK|degree_K|degrees_K|deg K",
    "m s-1": "m/s|meters/second|meter/sec|m.s-1|m s^-1|m s**-1|meters per second|m s⁻¹",
    "mm/day": "mm/d|mm d-1|mm day-1|mm day^-1",
    "kg m-2 s-1": "kg/m^2/s|kg/m2/s|kg m**-2 s**-1|kg m^-2 s^-1",
    "psu": "PSU|PSS-78|1e-3|0.001|g/kg|g kg-1",
    "%": "percent|Percent|pct",
    "1": "dimensionless|unitless|none|kg/kg|kg kg**-1|(0 - 1)|m m-1",
    "mg m-3": "mg/m3|mg/m^3|mg.m-3|mg m^-3|mg m**-3",
    "ug m-3": "ug/m3|µg/m³|μg m-3|µg m-3",
    "dBZ": "dBz",
    "hPa": "mb|mbar|millibar",
    "m3 s-1": "m3/s|m^3/s|cms",
    "m": "metres|Meters|m of water equivalent|m w.e.",
    "degree": "degrees|deg|°|degrees_true",
}


@pytest.mark.parametrize(
    ("wanted", "got"),
    [(unit, spelling) for unit, line in SPELLINGS.items() for spelling in line.split("|")],
)
def test_spellings_of_one_unit(got: str, wanted: str) -> None:
    """Products spell units in many ways; values, units and notes stay as they are."""
    assert conversion(got, wanted) == conversion(wanted, got) == (1.0, 0.0)
    array = quantity(got)
    result, note = converted(array, wanted)
    assert note is None
    xr.testing.assert_identical(result, array)


@pytest.mark.parametrize(
    ("one", "other"),
    [("K", "degC"), ("m", "cm"), (None, "m"), ("1", "%"), ("blue", "green"), ("dBZ", "m"), ("mm", "mm/d")],
)
def test_what_is_not_one_unit(one: str | None, other: str) -> None:
    """A unit that is missing, unknown or of another size is not the same."""
    assert not same_units(one, other)
    assert same_units(one, one)


@pytest.mark.parametrize(("got", "wanted"), [(None, "K"), ("K", None), ("K", "K"), ("blue", "blue")])
def test_unknown_or_equal_units_are_left(got, wanted):
    """Arrays with missing, equal or unknown identical units are not changed."""
    array = quantity(got)
    result, note = converted(array, wanted)
    xr.testing.assert_identical(result, array)
    assert note is None


@pytest.mark.parametrize(("got", "wanted"), [
    *(
        ("m", "K"),
        ("furlongs per", "m"),
        ("blue", "K"),
        ("K", "days since 2000-01-01"),
        ("1", "K"),
        ("", "K"),
    ),
    *((g, "K") for g in ("9**9**9**9", "km99999999", "(9**9)**(9**9)", "2**(10*10*10*10*10)", "m**1000")),
])  # fmt: skip
def test_units_that_do_not_convert_are_refused(got, wanted):
    """The message has the unit and says what to correct; huge powers are not evaluated."""
    with pytest.raises(DataError, match=r"'q' is in .* cannot be converted .*; correct its attribute"):
        converted(quantity(got), wanted)


def test_the_input_is_not_changed_and_lazy_stays_lazy():
    """The result is a new array, lazy if the input is."""
    array = quantity("K").chunk(x=1)
    result, _ = converted(array, "degC")
    assert isinstance(result.data, dask.array.Array)
    assert array.attrs["units"] == "K"
    np.testing.assert_array_equal(array.values, [1, 2])
