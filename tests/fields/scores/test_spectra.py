"""Spectra, against what is known of waves and filters."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import periodogram, welch

from da4dvar.errors import DataError
from da4dvar.fields.scores.spectra import power_spectrum, resolved_wavelength


def noise(lines: int = 20, cells: int = 256, step: float | None = None, seed: int = 0) -> xr.DataArray:
    """White noise along x, line by line in time."""
    values = np.random.default_rng(seed).standard_normal((lines, cells))
    coords = {} if step is None else {"x": step * np.arange(cells)}
    return xr.DataArray(values, dims=("time", "x"), coords=coords)


def low_pass(array: xr.DataArray, wavelength: float) -> xr.DataArray:
    """Without the waves shorter than so many cells."""
    spectrum = np.fft.rfft(array.values, axis=-1)
    spectrum[:, np.fft.rfftfreq(array.sizes["x"]) > 1 / wavelength] = 0
    return array.copy(data=np.fft.irfft(spectrum, array.sizes["x"], axis=-1))


@settings(max_examples=25, deadline=None)
@given(cells=st.integers(3, 60), step=st.floats(0.01, 100), seed=st.integers(0, 99))
def test_parseval(cells: int, step: float, seed: int) -> None:
    """Without a taper, the integral of the spectrum is the variance."""
    array = noise(3, cells, step, seed)
    power = power_spectrum(array, "x", detrend="constant", window="boxcar")
    integral = float(power.sum()) / (cells * step)
    assert integral == pytest.approx(float(array.var("x").mean()))


@pytest.mark.parametrize("segment", [None, 64])
def test_a_spectrum_is_that_of_scipy(segment: int | None) -> None:
    """The mean over the lines of the periodogram, or of Welch's."""
    array = noise(step=2.0)
    got = power_spectrum(array, "x", segment=segment)
    if segment is None:
        frequency, power = periodogram(array.values, 0.5, "hann", detrend="linear")
    else:
        frequency, power = welch(array.values, 0.5, "hann", segment, detrend="linear")
    np.testing.assert_allclose(got.frequency, frequency)
    np.testing.assert_allclose(got, power.mean(0))


@pytest.mark.parametrize("order", [("x", "time"), ("time", "x")])
@pytest.mark.parametrize("step", [None, 0.25, -0.25])
def test_a_sine_has_its_peak_at_its_frequency(step: float | None, order: tuple[str, ...]) -> None:
    """In cycles per unit of the coordinate, also if that falls."""
    cells = np.arange(256)
    wave = xr.DataArray(np.sin(2 * np.pi * cells / 16)[:, None] * np.ones(3), dims=("x", "time"))
    if step is not None:
        wave = wave.assign_coords(x=step * cells)
    peak = float(power_spectrum(wave.transpose(*order), "x").idxmax())
    assert peak == pytest.approx(1 / (16 * abs(step or 1)))


def test_dates_are_counted_in_days() -> None:
    """A week of six-hourly values is a wave of 1/7 cycles per day."""
    time = xr.date_range("2001-01-01", periods=28 * 10, freq="6h")
    wave = xr.DataArray(np.cos(2 * np.pi * np.arange(280) / 28), dims="time", coords={"time": time})
    assert float(power_spectrum(wave, "time").idxmax()) == pytest.approx(1 / 7)


def test_a_trend_is_taken_off() -> None:
    """And only on demand left in."""
    slope = xr.DataArray(np.arange(64.0), dims="x")
    assert float(power_spectrum(slope, "x").max()) < 1e-20
    assert float(power_spectrum(slope, "x", detrend=False).max()) > 1


def test_a_line_with_a_gap_is_left_out() -> None:
    """One NaN spoils neither the spectrum nor the wavelength."""
    array, rough = noise(), low_pass(noise(), 9.5)
    array[3, 10] = rough[5, 20] = np.nan
    kept = [i for i in range(20) if i not in (3, 5)]
    xr.testing.assert_allclose(
        power_spectrum(array, "x"), power_spectrum(array[[i for i in range(20) if i != 3]], "x")
    )
    assert resolved_wavelength(rough, array, "x") == resolved_wavelength(rough[kept], array[kept], "x")


@pytest.mark.parametrize("step", [None, 5.0])
@pytest.mark.parametrize("cut", [6.3, 12.0, 25.0])
def test_the_cut_off_of_a_low_pass_filter_is_found(cut: float, step: float | None) -> None:
    """To within two frequencies, which is what the taper smears."""
    truth = noise(50, 512, step)
    found = resolved_wavelength(low_pass(truth, cut), truth, "x") / (step or 1)
    assert 1 / found == pytest.approx(1 / cut, abs=2 / 512)


@pytest.mark.parametrize("segment", [None, 64])
def test_a_filter_of_closed_form(segment: int | None) -> None:
    """The mean of two neighbours errs by sin²(π/λ) of the power: one half at λ = 4."""
    truth = noise(100, 256, step=3.0)
    found = resolved_wavelength((truth + truth.roll(x=1, roll_coords=False)) / 2, truth, "x", segment=segment)
    assert found == pytest.approx(12.0, rel=0.02)


def test_never_is_nan() -> None:
    """If all waves are resolved, or none."""
    truth = noise()
    assert np.isnan(resolved_wavelength(truth, truth, "x"))
    assert np.isnan(resolved_wavelength(0.9 * truth, truth, "x"))
    assert np.isnan(resolved_wavelength(0 * truth, truth, "x"))


def test_what_has_no_spectrum_is_refused() -> None:
    """No such dimension, uneven steps, names, too few cells, gaps in every line."""
    with pytest.raises(DataError, match="there is no dimension 'y'; there are time, x"):
        power_spectrum(noise(), "y")
    with pytest.raises(DataError, match="'x' is not evenly spaced"):
        power_spectrum(noise(cells=4).assign_coords(x=[0, 1, 2, 4]), "x")
    with pytest.raises(DataError, match="'x' holds neither numbers nor dates"):
        power_spectrum(noise(cells=4).assign_coords(x=list("abcd")), "x")
    with pytest.raises(DataError, match="'x' has 2 cells, expected 3 or more"):
        power_spectrum(noise(cells=2), "x")
    with pytest.raises(DataError, match="every line along 'x' has a gap"):
        power_spectrum(noise(step=1.0).where(lambda a: a.x != 3), "x")
