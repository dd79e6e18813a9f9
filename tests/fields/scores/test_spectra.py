"""Power spectra and effective resolution, checked against known waves and filters."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import periodogram, welch

from da4dvar.errors import DataError
from da4dvar.fields.scores.spectra import power_spectrum, resolved_wavelength


def noise(lines: int = 20, cells: int = 256, step: float | None = None, seed: int = 0) -> xr.DataArray:
    """Return white noise along x for each time."""
    values = np.random.default_rng(seed).standard_normal((lines, cells))
    coords = {} if step is None else {"x": step * np.arange(cells)}
    return xr.DataArray(values, dims=("time", "x"), coords=coords)


def low_pass(array: xr.DataArray, wavelength: float) -> xr.DataArray:
    """Remove the waves shorter than `wavelength` cells."""
    spectrum = np.fft.rfft(array.values, axis=-1)
    spectrum[:, np.fft.rfftfreq(array.sizes["x"]) > 1 / wavelength] = 0
    return array.copy(data=np.fft.irfft(spectrum, array.sizes["x"], axis=-1))


@settings(max_examples=25, deadline=None)
@given(cells=st.integers(3, 60), step=st.floats(0.01, 100), seed=st.integers(0, 99))
def test_parseval(cells, step, seed):
    """Without a taper, the integral of the spectrum is the variance."""
    array = noise(3, cells, step, seed)
    power = power_spectrum(array, "x", detrend="constant", window="boxcar")
    integral = float(power.sum()) / (cells * step)
    assert integral == pytest.approx(float(array.var("x").mean()))


@pytest.mark.parametrize("segment", [None, 64])
def test_a_spectrum_is_that_of_scipy(segment):
    """The spectrum is the mean periodogram, or Welch's, of the lines."""
    array = noise(step=2.0)
    got = power_spectrum(array, "x", segment=segment)
    if segment is None:
        frequency, power = periodogram(array.values, 0.5, "hann", detrend="linear")
    else:
        frequency, power = welch(array.values, 0.5, "hann", segment, detrend="linear")
    np.testing.assert_allclose(got.frequency, frequency)
    np.testing.assert_allclose(got, power.mean(0))


@pytest.mark.parametrize("order", [("x", "time"), ("time", "x")])
@pytest.mark.parametrize("step", [None, 0.25, -0.25, "6h"])
def test_a_sine_has_its_peak_at_its_frequency(step, order):
    """Frequencies are in cycles per unit of the coordinate, per day for dates, or per cell."""
    cells = np.arange(256)
    wave = xr.DataArray(np.sin(2 * np.pi * cells / 16)[:, None] * np.ones(3), dims=("x", "time"))
    if step is not None:
        dates = xr.date_range("2001-01-01", periods=256, freq="6h")
        wave = wave.assign_coords(x=dates if step == "6h" else step * cells)
    peak = float(power_spectrum(wave.transpose(*order), "x").idxmax())
    assert peak == pytest.approx(1 / (16 * (0.25 if step else 1)))


def test_a_line_with_a_gap_is_left_out():
    """Lines with gaps and trends have no effect; the resolution is NaN if all waves are resolved, or none."""
    array, rough = noise(), low_pass(noise(), 9.5)
    array[3, 10] = rough[5, 20] = np.nan
    kept = [i for i in range(20) if i not in (3, 5)]
    xr.testing.assert_allclose(
        power_spectrum(array, "x"), power_spectrum(array[[i for i in range(20) if i != 3]], "x")
    )
    assert resolved_wavelength(rough, array, "x") == resolved_wavelength(rough[kept], array[kept], "x")
    truth = noise()
    assert np.isnan(resolved_wavelength(truth, truth, "x"))
    assert np.isnan(resolved_wavelength(0.9 * truth, truth, "x"))
    assert np.isnan(resolved_wavelength(0 * truth, truth, "x"))
    slope = xr.DataArray(np.arange(64.0), dims="x")
    assert float(power_spectrum(slope, "x").max()) < 1e-20
    assert float(power_spectrum(slope, "x", detrend=False).max()) > 1


@pytest.mark.parametrize("segment", [None, 128])
@pytest.mark.parametrize(("cut", "step"), [(6.3, None), (6.3, 5.0), (25.0, None)])
def test_the_cut_off_of_a_low_pass_filter_is_found(cut, step, segment):
    """The resolution is the cut-off to within two frequencies, the width of the taper."""
    truth = noise(50, 512, step)
    found = resolved_wavelength(low_pass(truth, cut), truth, "x", segment=segment) / (step or 1)
    assert 1 / found == pytest.approx(1 / cut, abs=2 / (segment or 512))


@pytest.mark.parametrize(("array", "dim", "text"), [
    (noise(), "y", "no dimension 'y'; the array has time, x"),
    (noise(cells=4).assign_coords(x=[0, 1, 2, 4]), "x", "'x' is not evenly spaced"),
    (noise(cells=4).assign_coords(x=list("abcd")), "x", "'x' holds neither numbers nor dates"),
    (noise(cells=2), "x", "'x' has 2 cells, expected 3 or more"),
    (noise(step=1.0).where(lambda a: a.x != 3), "x", "every line along 'x' has a gap"),
])  # fmt: skip
def test_what_has_no_spectrum_is_refused(array, dim, text):
    """Each message states what is wrong with the dimension."""
    with pytest.raises(DataError, match=text):
        power_spectrum(array, dim)
