"""Bounds of physical quantities, and directions around the circle.

An estimate minimises a quadratic cost, or averages neighbours, and therefore knows neither that rain is never
negative nor that 350° and 10° are 20° apart. The bounds of a variable are found from its attributes, its name
and its values; a bound that observed values contradict is not applied.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.given import list_of
from da4dvar.fields.labels.units import converts

# Parts of CF standard names. Amounts and fluxes in general have a sign: evaporation, heat.
SIGNED = re.compile(
    r"tendency|change_over|anomaly|difference|product_of|correction|bias|evapo|sublimation|net_|upward_heat"
)
NEVER_NEGATIVE = re.compile(
    r"(precipitation|rainfall|snowfall|hail\w*|graupel)(_\w+)?(_amount|_flux|_rate)|^(\w+_)?precipitation$"
    r"|snow_(amount|thickness|depth|density)|surface_snow|ice_(thickness|amount)|soil_moisture"
    r"|runoff|river_channel|concentration_of|mixing_ratio|specific_humidity|(mass|mole)_content_of"
    r"|(^|_)speed|wave_(\w+_)?(height|period)|layer_thickness|salinity|visibility"
    r"|optical_(thickness|depth)|leaf_area_index|downwelling_\w*flux|incoming_\w*flux|photon_flux"
    r"|standard_error|vapor_pressure|precipitable_water|lightning"
)
FRACTION = re.compile(
    r"(area|volume|mass|mole|time|type)_fraction|cloud_fraction|relative_humidity|albedo|emissivity|"
    r"^(ice|vegetation|snow)_(area_)?(fraction|cover)|probability|saturation_of"
)
DIRECTION = re.compile(
    r"(from|to)_direction|platform_(course|azimuth|yaw|heading)|azimuth_angle|direction_of"
)


def listed(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


# Names of variables without a standard name, as products spell them; matched against the words of a name.
NAMED_NEVER_NEGATIVE = listed(
    "pr prc precip precipitation prcp prec rain rainfall rainrate rr tp ppt apcp prectot prectotcorr imerg "
    "snd snow snowdepth snowfall swe snw sd sf prsn hs swh hm0 vhm0 tm02 wspd ws windspeed wind_speed si10 "
    "gust ff sfcwind speed discharge streamflow runoff q_obs qobs qsim dis mrro chl chla chlor chlor_a "
    "chlorophyll kd490 tsm spm sm ssm soil_moisture mrsos sss salinity lai aod aod550 pm25 pm2p5 pm10 no2 "
    "o3 so2 nh3 ozone conc concentration rsds rsdt swdown ssrd ghi dni dhi par huss hus sithick visibility"
)
# Names with several meanings, and the units in which they are never negative: q is a discharge, a specific
# humidity or a flux of heat.
NAMED_BY_UNITS = {"q": ("m3 s-1", "kg kg-1")}
NAMED_FRACTION = listed(
    "sic siconc ci aice icec rh hurs hur rh2m clt tcc lcc mcc hcc cloud cldfra albedo fapar fcover fvc snc "
    "sea_ice_fraction cloud_cover cloud_fraction relative_humidity ice_concentration"
)
NAMED_INDEX = listed("ndvi evi savi ndwi ndsi ndmi nbr")
# Words in the name of a spread, which has no direction itself.
SPREADS = listed("std stdev stddev sd sigma spread error err uncertainty")
NAMED_DIRECTION = listed(
    "wd wdir winddir wind_dir wind_direction dd mwd mwdir vmdr wavedir direction dir heading course cog "
    "winddirection drct"
)
DEGREES = listed("degree degrees deg ° degree_true degrees_true degt degree_t degrees_t degn")
RADIANS = listed("radian radians rad")
PERCENT = frozenset(("%", "percent", "per cent", "pct", "percentage"))
ONE = frozenset(("1", "", "none", "fraction", "unitless", "dimensionless", "-", "0-1", "1.0"))
TEMPERATURE = re.compile(r"^(°|deg(ree)?s?[ _]?)?(c|k|f|celsius|kelvin|fahrenheit)$")

# Values from which quantiles are taken, and time steps that are read of lazy data.
SAMPLE, SLICES = 1_000_000, 16
FEWEST, MANY_ZEROS = 20, 0.01


@dataclass(frozen=True)
class Bounds:
    """Range of a variable, and whether it runs around the circle.

    Attributes
    ----------
    lower, upper : float, optional
        Smallest and largest possible value; None where there is no bound.
    circular : bool
        Whether the variable is a direction.
    reason : str
        Evidence from which the bounds were found; empty if there are none.
    period : float
        Full circle in the units of the variable, 360 or 2π.

    Examples
    --------
    >>> Bounds(0.0, reason="its name").line("pr")
    'pr stays at 0 or above (its name); change this with --bounds pr=LOWER:UPPER'
    """

    lower: float | None = None
    upper: float | None = None
    circular: bool = False
    reason: str = ""
    period: float = 360.0

    def __bool__(self) -> bool:
        return self.circular or self.lower is not None or self.upper is not None

    def line(self, name: str) -> str:
        """Return a line about the bounds for the user.

        Parameters
        ----------
        name : str
            Name of the variable.

        Returns
        -------
        str
            The line; empty without bounds.
        """
        if self.circular:
            return f"{name} is a direction, filled around the circle ({self.reason})"
        if not self:
            return ""
        if self.lower is not None and self.upper is not None:
            said = f"between {self.lower:g} and {self.upper:g}"
        else:
            said = f"at {self.upper:g} or below" if self.lower is None else f"at {self.lower:g} or above"
        return f"{name} stays {said} ({self.reason}); change this with --bounds {name}=LOWER:UPPER"


def bounds_of(array: xr.DataArray, given: Mapping[str, Bounds] | None = None) -> Bounds:
    """Find the bounds of a variable from its attributes, its name and its values.

    Parameters
    ----------
    array : DataArray
        Observed values, NaN in the gaps. Of lazy data, up to 16 slices along the first dimension are read.
    given : mapping of str to Bounds, optional
        Bounds that the user gave, by the name of the variable; see :func:`bounds_given`.

    Returns
    -------
    Bounds
        The given bounds of the variable, or those that are found and agree with its values.

    Examples
    --------
    >>> rain = xr.DataArray([0.0, np.nan, 3.0], dims="time", attrs={"standard_name": "precipitation_flux"})
    >>> bounds_of(rain)
    Bounds(lower=0.0, upper=None, circular=False, reason='standard_name precipitation_flux', period=360.0)
    >>> wind = xr.DataArray([350.0, 10.0], dims="time", name="wd", attrs={"units": "degrees"})
    >>> bounds_of(wind).circular
    True
    """
    units = str(array.attrs.get("units", "")).strip().lower()
    period = 2 * math.pi if units in RADIANS else 360.0
    if given and str(array.name) in given:
        return replace(given[str(array.name)], period=period)
    if array.dtype.kind not in "fiu":
        return Bounds()
    values = sample_of(array)
    if not values.size:
        return Bounds()
    least, most = float(values.min()), float(values.max())
    if reason := direction_by(array, units, least, most):
        return Bounds(circular=True, reason=reason, period=period)
    lower = upper = None
    reasons: list[str] = []
    for low, high, reason in (*by_attributes(array), by_labels(array, units, most), by_values(values, units)):
        # Rounding may lead a little below the bound; an anomaly leads far below it.
        slack = 1e-3 * (most - least)
        new_lower = lower is None and low is not None and least >= low - slack
        new_upper = upper is None and high is not None and most <= high + slack
        if new_lower:
            lower = low
        if new_upper:
            upper = high
        if (new_lower or new_upper) and reason not in reasons:
            reasons.append(reason)
    return Bounds(lower, upper, reason=", ".join(reasons))


def sample_of(array: xr.DataArray) -> np.ndarray:
    """Return observed values of an array: all, or those of some slices if it is lazy."""
    if array.chunks is not None and array.ndim and array.shape[0] > SLICES:
        first = np.linspace(0, array.shape[0] - 1, SLICES).astype(int)
        array = array.isel({array.dims[0]: first})
    values = np.asarray(array.values)
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()


def direction_by(array: xr.DataArray, units: str, least: float, most: float) -> str:
    """Return why a variable is a direction; empty if it is none."""
    turn = 2 * math.pi if units in RADIANS else 360.0
    if units not in DEGREES | RADIANS | {""} or least < -turn / 2 - 1e-3 or most > turn + 1e-3:
        return ""
    # From -180 to 180 or from 0 to 360, but not both.
    if most - least > turn + 1e-3 or (not units and most <= 2 * math.pi):
        return ""
    standard = str(array.attrs.get("standard_name", ""))
    if DIRECTION.search(standard) and not SIGNED.search(standard):
        return f"standard_name {standard}"
    long_name = str(array.attrs.get("long_name", "")).lower()
    words = words_of(str(array.name))
    if words & SPREADS or re.search(r"\bstandard (deviation|error)\b|\buncertainty\b", long_name):
        return ""
    if not standard and NAMED_DIRECTION & words:
        return "its name"
    if not standard and units and re.search(r"\bdirection\b|\bazimuth\b", long_name):
        return "its long_name"
    return ""


def by_attributes(array: xr.DataArray) -> list[tuple[float | None, float | None, str]]:
    """Return the bounds in ``valid_min``, ``valid_max`` and ``valid_range``, in unpacked units."""
    out: list[tuple[float | None, float | None, str]] = []
    for key, ends in (("valid_range", 2), ("valid_min", 1), ("valid_max", 1)):
        try:
            got = np.atleast_1d(np.asarray(array.attrs[key]))
            numbers = got.astype("float64")
        except (KeyError, TypeError, ValueError):
            continue
        if numbers.size != ends or not np.isfinite(numbers).all():
            continue
        packed = np.dtype(array.encoding.get("dtype", array.dtype))
        if got.dtype.kind in "iu" and packed.kind in "iu":
            # CF: the valid range of packed data has the packed type, and is in packed counts.
            scale, offset = (
                float(array.encoding.get(k, d)) for k, d in (("scale_factor", 1.0), ("add_offset", 0.0))
            )
            numbers = np.sort(numbers * scale + offset)
        low = None if key == "valid_max" else float(numbers[0])
        high = None if key == "valid_min" else float(numbers[-1])
        out.append((low, high, key))
    return out


def by_labels(array: xr.DataArray, units: str, most: float) -> tuple[float | None, float | None, str]:
    """Return the bounds that the standard name or the name of a variable implies."""
    standard = str(array.attrs.get("standard_name", ""))
    words = words_of(str(array.name))
    whole = 100.0 if units in PERCENT or (not units and most > 1.5) else 1.0
    if SIGNED.search(standard) or words & {"anomaly", "anom", "diff", "bias", "trend"}:
        return None, None, ""
    if standard:
        if FRACTION.search(standard) and units in PERCENT | ONE:
            return 0.0, whole, f"standard_name {standard}"
        return (0.0 if NEVER_NEGATIVE.search(standard) else None), None, f"standard_name {standard}"
    if words & NAMED_FRACTION and units in PERCENT | ONE:
        return 0.0, whole, "its name"
    if words & NAMED_INDEX:
        return -1.0, 1.0, "its name"
    if words & NAMED_NEVER_NEGATIVE and not TEMPERATURE.match(units):
        return 0.0, None, "its name"
    given = str(array.attrs.get("units", ""))
    if units and any(
        converts(given, wanted) for word in words & set(NAMED_BY_UNITS) for wanted in NAMED_BY_UNITS[word]
    ):
        return 0.0, None, "its name and units"
    return None, None, ""


def by_values(values: np.ndarray, units: str) -> tuple[float | None, float | None, str]:
    """Return the bounds that the values themselves imply: many zeros, a skewed distribution, fractions."""
    least, most = float(values.min()), float(values.max())
    if least < 0 or values.size < FEWEST or TEMPERATURE.match(units) or most == least:
        return None, None, ""
    if units in PERCENT and most <= 100:
        return 0.0, 100.0, "percentages"
    if units in ONE and least == 0 and most == 1:
        return 0.0, 1.0, "values from 0 to 1"
    if float((values == 0).mean()) >= MANY_ZEROS:
        return 0.0, None, "many values are exactly 0, none is negative"
    some = values[:: max(1, values.size // SAMPLE)]
    median, high = (float(q) for q in np.quantile(some, (0.5, 0.99)))
    if least < 0.1 * median and high - median > 2.5 * (median - least):
        return 0.0, None, "no value is negative, and most are close to 0"
    return None, None, ""


def words_of(name: str) -> set[str]:
    """Return the words of a name, and the name itself, in lower case.

    Examples
    --------
    >>> sorted(words_of("APCP_surface"))
    ['apcp', 'apcp_surface', 'surface']
    """
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return {name.lower(), *re.split(r"[^a-z0-9]+", split)}


def bounds_from(text: str) -> tuple[str, Bounds]:
    """Return the name and the bounds in a text ``NAME=LOWER:UPPER``; an empty end has no bound.

    Parameters
    ----------
    text : str
        Value of the option ``--bounds``.

    Returns
    -------
    name : str
        Name of the variable.
    bounds : Bounds
        Its bounds.

    Raises
    ------
    DataError
        If the text has another form, or the lower bound is not below the upper one.

    Examples
    --------
    >>> bounds_from("sic=0:1")
    ('sic', Bounds(lower=0.0, upper=1.0, circular=False, reason='--bounds', period=360.0))
    >>> bounds_from("pr=0:")[1].upper is None
    True
    """
    name, equals, span = text.rpartition("=")
    low, colon, high = span.partition(":")
    try:
        lower, upper = (float(end) if end.strip() else None for end in (low, high))
        if not (equals and colon and name) or (lower is not None and upper is not None and lower >= upper):
            raise ValueError
        if any(end is not None and not math.isfinite(end) for end in (lower, upper)):
            raise ValueError
    except ValueError:
        raise DataError(
            f"bounds {text!r}: expected NAME=LOWER:UPPER, such as sic=0:1, pr=0: or pr=: for no bounds"
        ) from None
    return name, Bounds(lower, upper, reason="--bounds")


def bounds_given(bounds: Sequence[str] | str = (), circular: Sequence[str] | str = ()) -> dict[str, Bounds]:
    """Return the bounds of the options ``--bounds`` and ``--circular`` by the name of the variable.

    Parameters
    ----------
    bounds : sequence of str
        Texts ``NAME=LOWER:UPPER``.
    circular : sequence of str
        Names of directions.

    Returns
    -------
    dict of str to Bounds

    Raises
    ------
    DataError
        If an option is no text or list of texts; see also :func:`bounds_from`.

    Examples
    --------
    >>> sorted(bounds_given(["pr=0:"], ["wd"]))
    ['pr', 'wd']
    """
    texts = list_of("bounds", bounds, "a list such as ['pr=0:', 'sm=0:0.6']")
    names = list_of("circular", circular)
    return dict(map(bounds_from, texts)) | {n: Bounds(circular=True, reason="--circular") for n in names}


def kept_within(estimate: xr.DataArray, bounds: Bounds, observed: xr.DataArray | None = None) -> xr.DataArray:
    """Move estimates that lie outside the bounds to the nearest possible value.

    If `observed` has exact zeros, estimates below half of its smallest positive value become 0, so that rain
    keeps its dry days.

    Parameters
    ----------
    estimate : DataArray
        Estimates, NaN where there are none.
    bounds : Bounds
        Bounds of the variable.
    observed : DataArray, optional
        Observations, NaN in the gaps.

    Returns
    -------
    DataArray
        Possible values with the labels and the type of `estimate`; lazy if `estimate` or `observed` is.

    Examples
    --------
    >>> rain = xr.DataArray([0.0, 0.0, 0.2, 5.0], dims="time")
    >>> kept_within(xr.DataArray([-0.3, 0.05, 0.15, 4.0], dims="time"), Bounds(0.0), rain).values
    array([0.  , 0.  , 0.15, 4.  ])
    """
    if bounds.circular:
        return estimate if observed is None else within_circle(estimate, bounds, observed)
    if not bounds:
        return estimate
    kept = estimate.clip(bounds.lower, bounds.upper, keep_attrs=True)
    if bounds.lower == 0 and observed is not None:
        has_zeros = (observed == 0).sum() >= MANY_ZEROS * observed.notnull().sum()
        small = observed.where(observed > 0).min() / 2
        kept = kept.where(~(has_zeros & (kept < small)), 0.0)
    kept = kept.astype(estimate.dtype, copy=False).assign_attrs(estimate.attrs).rename(estimate.name)
    kept.encoding = estimate.encoding
    return kept


def components(array: xr.DataArray, bounds: Bounds) -> xr.Dataset:
    """Return the sine and the cosine of a direction, which have no jump.

    Parameters
    ----------
    array : DataArray
        Direction.
    bounds : Bounds
        Its bounds, which hold the length of the full circle.

    Returns
    -------
    Dataset
        Variables ``<name>_sin`` and ``<name>_cos``; lazy if `array` is.

    Examples
    --------
    >>> wind = xr.DataArray([0.0, 90.0], dims="time", name="wd")
    >>> sorted(components(wind, Bounds(circular=True)))
    ['wd_cos', 'wd_sin']
    """
    phase = array.drop_attrs() * (2 * math.pi / bounds.period)
    return xr.Dataset({f"{array.name}_sin": np.sin(phase), f"{array.name}_cos": np.cos(phase)})


def angle(parts: xr.Dataset, bounds: Bounds, observed: xr.DataArray) -> xr.DataArray:
    """Return the direction of its sine and cosine, in the range of the observed values.

    Parameters
    ----------
    parts : Dataset
        Variables ``<name>_sin`` and ``<name>_cos``, where `name` is that of `observed`.
    bounds : Bounds
        Bounds of the direction.
    observed : DataArray
        Observed directions, whose labels and range the result has.

    Returns
    -------
    DataArray
        From 0 to 360 degrees, or from -180 to 180 if observed values are negative (or the same in radians).

    Examples
    --------
    >>> wind = xr.DataArray([350.0, 10.0], dims="time", name="wd")
    >>> around = Bounds(circular=True)
    >>> middle = components(wind, around).mean("time").expand_dims(time=2)
    >>> float(angle(middle, around, wind)[0].round(6)) % 360
    0.0
    """
    name = observed.name
    phase = xr.ufuncs.arctan2(parts[f"{name}_sin"], parts[f"{name}_cos"])
    return within_circle(phase * (bounds.period / (2 * math.pi)), bounds, observed)


def within_circle(estimate: xr.DataArray, bounds: Bounds, observed: xr.DataArray) -> xr.DataArray:
    """Return directions in the range of the observed ones: 0 to 360, or -180 to 180 degrees."""
    start = xr.where(observed.min() < 0, -bounds.period / 2, 0.0)
    turned: xr.DataArray = (estimate - start) % bounds.period + start
    kept = turned.astype(observed.dtype if observed.dtype.kind == "f" else "float32", copy=False)
    kept = kept.assign_attrs(observed.attrs).rename(observed.name)
    kept.encoding = observed.encoding
    return kept
