"""Bounds are found where there are some, withdrawn where the data contradict them, and kept by estimates."""

import math

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.bounds import Bounds, angle, bounds_from, bounds_given, bounds_of, components, kept_within


def series(values, name=None, **attrs):
    return xr.DataArray(np.asarray(values), dims="time", name=name, attrs=attrs)


GENERATOR = np.random.default_rng(0)
POSITIVE = GENERATOR.uniform(5, 9, 200)
RAIN = np.where(GENERATOR.random(300) < 0.5, 0.0, GENERATOR.gamma(0.6, 3.0, 300))


@pytest.mark.parametrize(
    ("standard_name", "units"),
    [
        ("precipitation_flux", "kg m-2 s-1"),
        ("precipitation_amount", "kg/m^2"),
        ("lwe_thickness_of_precipitation_amount", "mm"),
        ("convective_rainfall_flux", "kg m-2 s-1"),
        ("lwe_precipitation_rate", "mm/h"),
        ("surface_snow_thickness", "cm"),
        ("surface_snow_amount", "kg m-2"),
        ("wind_speed", "m s-1"),
        ("sea_surface_wave_significant_height", "m"),
        ("mass_concentration_of_chlorophyll_a_in_sea_water", "mg m-3"),
        ("humidity_mixing_ratio", "1"),
        ("water_volume_transport_in_river_channel", "m3 s-1"),
        ("sea_ice_thickness", "m"),
        ("surface_downwelling_shortwave_flux_in_air", "W m-2"),
    ],
)
def test_standard_names_that_are_never_negative(standard_name, units):
    found = bounds_of(series(POSITIVE, standard_name=standard_name, units=units))
    assert (found.lower, found.upper) == (0.0, None)
    assert standard_name in found.reason


@pytest.mark.parametrize(
    ("standard_name", "units"),
    [
        ("surface_upward_latent_heat_flux", "W m-2"),
        ("air_temperature", "degree_Celsius"),
        ("sea_surface_height_above_geoid", "m"),
        ("eastward_wind", "m s-1"),
        ("water_evaporation_amount", "kg m-2"),
        ("tendency_of_sea_ice_thickness_due_to_dynamics", "m s-1"),
        ("sea_surface_temperature_anomaly", "K"),
    ],
)
def test_quantities_that_have_a_sign_have_no_bound(standard_name, units):
    assert not bounds_of(series(POSITIVE, standard_name=standard_name, units=units))


def test_a_bound_that_observed_values_contradict_is_not_applied():
    anomaly = series(GENERATOR.normal(size=200), "pr", standard_name="precipitation_flux")
    assert not bounds_of(anomaly)
    rounding = series(np.append(RAIN, -1e-9), "pr", standard_name="precipitation_flux")
    assert bounds_of(rounding).lower == 0.0


@pytest.mark.parametrize(("units", "upper", "scale"), [("1", 1.0, 1), ("%", 100.0, 100), ("", 100.0, 100)])
def test_fractions_end_at_one_or_at_a_hundred(units, upper, scale):
    values = scale * GENERATOR.uniform(0.1, 0.99, 100)
    found = bounds_of(series(values, standard_name="sea_ice_area_fraction", units=units))
    assert (found.lower, found.upper) == (0.0, upper)


def test_supersaturated_air_has_no_upper_bound():
    found = bounds_of(series([20.0, 90.0, 104.0], standard_name="relative_humidity", units="%"))
    assert (found.lower, found.upper) == (0.0, None)


def test_valid_range_is_a_bound_and_is_unpacked():
    assert bounds_of(series(POSITIVE, valid_range=[0.0, 9.5])).upper == 9.5
    packed = series(POSITIVE, valid_min=np.int16(-300), valid_max=np.int16(4500))
    packed.encoding = {"dtype": np.dtype("int16"), "scale_factor": 0.01, "add_offset": 1.0}
    found = bounds_of(packed)
    assert (found.lower, found.upper) == pytest.approx((-2.0, 46.0))


@pytest.mark.parametrize("name", ["pr", "APCP_surface", "snow_depth", "qobs", "windSpeed", "chlor_a"])
def test_names_without_a_standard_name(name):
    assert bounds_of(series(POSITIVE, name)).lower == 0.0


@pytest.mark.parametrize(
    ("name", "units", "lower"),
    [
        ("q", "m3 s-1", 0.0),
        ("Q", "m³/s", 0.0),
        ("q_daily", "cfs", 0.0),
        ("q", "l/s", 0.0),
        ("q", "g kg-1", 0.0),
        ("q", "W m-2", None),
        ("q", "", None),
        ("q_anomaly", "m3 s-1", None),
        ("x", "m3 s-1", None),
    ],
)
def test_the_units_of_q_decide_what_it_is(name, units, lower):
    """A discharge and a specific humidity are never negative, a flux of heat has a sign."""
    found = bounds_of(series(POSITIVE, name, units=units))
    assert (found.lower, found.upper) == (lower, None)
    assert found.reason == ("its name and units" if lower == 0 else "")


@pytest.mark.parametrize("attrs", [{}, {"standard_name": "water_volume_transport_in_river_channel"}])
def test_the_discharge_of_a_tidal_river_has_no_bound(attrs):
    """It flows both ways, as its values show."""
    assert not bounds_of(series(GENERATOR.normal(50, 40, 500), "q", units="m3 s-1", **attrs))


def test_values_alone():
    assert bounds_of(series(RAIN, "x")).lower == 0.0
    assert bounds_of(series(np.exp(GENERATOR.normal(0, 2, 500)), "x")).lower == 0.0
    assert bounds_of(series(np.append(GENERATOR.random(100), [0.0, 1.0]), "x")).upper == 1.0
    assert not bounds_of(series(POSITIVE, "x"))
    assert not bounds_of(series(np.abs(RAIN), "sst", units="degree_Celsius")), "0 degrees is no bound"
    assert not bounds_of(series(np.full(100, np.nan), "pr"))


@pytest.mark.parametrize(
    ("name", "attrs"),
    [
        ("a", {"standard_name": "wind_from_direction", "units": "degree"}),
        ("a", {"standard_name": "sea_surface_wave_from_direction", "units": "degrees"}),
        ("a", {"standard_name": "platform_course", "units": "degree"}),
        ("wd", {"units": "degrees"}),
        ("WDIR", {}),
        ("a", {"units": "deg", "long_name": "Mean direction of waves"}),
    ],
)
def test_directions(name, attrs):
    assert bounds_of(series([350.0, 10.0, 200.0], name, **attrs)).circular


def test_what_is_no_direction():
    assert not bounds_of(series([50.0, 51.0], "lat", units="degrees_north", standard_name="latitude"))
    assert not bounds_of(series([10.0, 700.0], "wd", units="degrees"))
    assert not bounds_of(series([1.0, 24.0], "wdir_vec_std", units="degree")), "a spread"
    assert not bounds_of(series([1.0, 20.0], "zenith", standard_name="solar_zenith_angle", units="degree"))


def test_radians_have_their_own_period():
    found = bounds_of(series([6.2, 0.1], standard_name="wind_from_direction", units="radian"))
    assert found.circular
    assert found.period == pytest.approx(2 * math.pi)


def test_options():
    assert bounds_from("pr=0:")[1] == Bounds(0.0, None, reason="--bounds")
    given = bounds_given(["sic=0:1", "pr=:"], ["wd"])
    assert (given["sic"].lower, given["sic"].upper) == (0.0, 1.0)
    assert not bounds_of(series(RAIN, "pr", standard_name="precipitation_flux"), given), "pr=: has no bounds"
    assert bounds_of(series([3.0], "wd", units="rad"), given).period == pytest.approx(2 * math.pi)


@pytest.mark.parametrize("text", ["pr", "pr=0", "=0:1", "pr=a:", "sic=1:0", "pr=nan:", "pr=0:1:2"])
def test_options_of_another_form_are_refused_in_a_line(text):
    with pytest.raises(DataError, match="expected NAME=LOWER:UPPER") as caught:
        bounds_from(text)
    assert "\n" not in str(caught.value)


def test_the_line_says_what_and_why():
    assert bounds_from("sic=0:1")[1].line("sic").startswith("sic stays between 0 and 1 (--bounds)")
    assert "at 3 or below" in Bounds(upper=3).line("x")
    assert "around the circle" in Bounds(circular=True).line("wd")
    assert Bounds().line("x") == ""


def test_rain_keeps_its_dry_days():
    rain = series([0.0, 0.0, np.nan, 0.2, 5.0], "pr", units="mm").astype("float32")
    estimate = series([-1.0, 0.09, 0.11, np.nan, 9.0], "pr", units="mm").astype("float32")
    kept = kept_within(estimate, Bounds(0.0), rain)
    np.testing.assert_array_equal(kept, np.array([0, 0, 0.11, np.nan, 9], "float32"))
    assert (kept.dtype, kept.attrs, kept.name) == (estimate.dtype, estimate.attrs, "pr")


def test_a_concentration_without_zeros_keeps_small_estimates():
    kept = kept_within(series([-1.0, 0.01]), Bounds(0.0), series([0.2, 0.5]))
    np.testing.assert_array_equal(kept, [0.0, 0.01])


def test_both_ends():
    np.testing.assert_array_equal(kept_within(series([-1.0, 0.5, 2.0]), Bounds(0.0, 1.0)), [0, 0.5, 1])


@pytest.mark.parametrize("observed", [[350.0, 10.0, 90.0], [-10.0, 10.0, 90.0]])
def test_around_the_circle_and_back(observed):
    wind = series(observed, "wd", units="degrees")
    back = angle(components(wind, Bounds(circular=True)), Bounds(circular=True), wind)
    np.testing.assert_allclose(back, observed, atol=1e-9)
    assert back.attrs == wind.attrs


def test_estimates_of_directions_are_brought_into_the_range_of_the_observed_ones():
    around = Bounds(circular=True)
    np.testing.assert_allclose(kept_within(series([-10.0, 374.0]), around, series([1.0, 350.0])), [350, 14])
    np.testing.assert_allclose(kept_within(series([190.0]), around, series([-1.0, 90.0])), [-170])


def test_lazy_stays_lazy_and_equal():
    rain = series(RAIN, "pr", standard_name="precipitation_flux")
    estimate = series(GENERATOR.normal(size=RAIN.size), "pr")
    bounds = bounds_of(rain.chunk(time=50))
    assert bounds == bounds_of(rain)
    lazy = kept_within(estimate.chunk(time=50), bounds, rain.chunk(time=50))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy, kept_within(estimate, bounds, rain))
    wind = series(GENERATOR.uniform(0, 360, 100), "wd").chunk(time=10)
    parts = components(wind, Bounds(circular=True))
    turned = angle(parts, Bounds(circular=True), wind)
    assert parts.wd_sin.chunks is not None
    assert turned.chunks is not None
    np.testing.assert_allclose(turned, wind)
