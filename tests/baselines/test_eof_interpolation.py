"""Tests of optimal interpolation in the space of EOFs."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from da4dvar.baselines.eof_interpolation import ERRORS, EofInterpolation, PieceEofs
from da4dvar.errors import DataError


def wave(times: int = 240, phase: float = 0.0, noise: float = 0.1, seed: int = 0) -> xr.Dataset:
    """Two travelling waves, (time, y, x) with labels, about a different mean in each cell."""
    generator = np.random.default_rng(seed)
    t, y, x = np.ogrid[:times, :3, :6]
    field = np.sin(t / 4 + x + phase) + 0.5 * np.cos(t / 7 - y + phase) + 10 + x
    field = field + noise * generator.standard_normal(field.shape)
    return xr.Dataset(
        {"sst": (("time", "y", "x"), field, {"units": "degC"})},
        coords={
            "time": xr.date_range("2001-01-01", periods=times),
            "y": [1.0, 2.0, 3.0],
            "x": np.arange(6.0),
        },
    )


def gappy(ds: xr.Dataset, seen: float = 0.5, seed: int = 1) -> xr.Dataset:
    """A field with cells missing at random."""
    return ds.where(np.random.default_rng(seed).random(ds.sst.shape) < seen)


def method(**options: Any) -> EofInterpolation:
    """A small method with a history of other times."""
    return EofInterpolation(**({"days": 5, "modes": 8, "error": 0.2, "history": wave(phase=1.0)} | options))


def test_it_is_the_conditional_mean_of_its_covariance():
    """The estimate is the dense C Hᵀ(H C Hᵀ + R)⁻¹ y with C = E Λ Eᵀ and R = diag(left) + σ²."""
    generator = np.random.default_rng(0)
    eofs = PieceEofs.fit(generator.standard_normal((40, 4)).cumsum(0), steps=3, modes=5)
    y = np.where(generator.random((3, 4)) < 0.6, generator.standard_normal((3, 4)), np.nan)
    mean, variance = eofs.estimate(y, error=0.4)
    prior = (eofs.eofs * eofs.variances) @ eofs.eofs.T
    at = np.isfinite(y.ravel())
    gain = prior[:, at] @ np.linalg.inv(prior[np.ix_(at, at)] + np.diag(eofs.left[at] + 0.16))
    posterior = prior - gain @ prior[at]
    middle = slice(4, 8)
    np.testing.assert_allclose(mean[1], (gain @ y.ravel()[at])[middle])
    np.testing.assert_allclose(variance[1], (np.diag(posterior) + eofs.left)[middle])


def test_modes_and_what_they_leave_are_the_variance():
    """The diagonal of E Λ Eᵀ + diag(left) is the mean square of the pieces; all modes leave no variance."""
    x = np.random.default_rng(0).standard_normal((60, 3))
    pieces = np.stack([x[s : s + 4].ravel() for s in range(57)])
    some, every = (PieceEofs.fit(x, steps=4, modes=n) for n in (5, 12))
    for eofs in (some, every):
        np.testing.assert_allclose(eofs.eofs**2 @ eofs.variances + eofs.left, (pieces**2).mean(0))
    np.testing.assert_allclose(every.left, 0, atol=1e-12)
    np.testing.assert_allclose(every.variances, np.linalg.eigvalsh(pieces.T @ pieces / 57)[::-1])


def test_gaps_are_filled_far_better_than_by_the_mean():
    """The error is far below that of the mean, with a history and without; complete fields come back."""
    truth = wave()
    y = gappy(truth)
    hidden = y.sst.isnull()
    usual = float((truth.sst - truth.sst.mean("time")).where(hidden).std())
    for history in (wave(phase=1.0), None):
        miss = (method(history=history).interpolate(y).sst - truth.sst).where(hidden)
        assert float(np.sqrt((miss**2).mean())) < 0.25 * usual
    ds = wave(noise=0.01)
    out = method(history=ds, error=0.05).interpolate(ds)
    np.testing.assert_allclose(out.sst, ds.sst, atol=0.1)


def test_more_observations_shrink_the_standard_error():
    """Observations reduce the standard error, which matches the error at hidden values in any units."""
    few, many = (method().interpolate(gappy(wave(), seen)).sst_std for seen in (0.1, 0.6))
    none = method().interpolate(wave() * np.nan).sst_std
    # The same draws, so that the larger set of observations includes the smaller.
    assert (many <= few + 1e-12).all()
    assert (few <= none + 1e-12).all()
    assert float(many.mean()) < 0.8 * float(none.mean())
    truth = wave(times=1000, noise=0.3)
    for scale in (1.0, 50.0):
        out = method(history=wave(1000, 1.0, noise=0.3, seed=5) * scale, error=0.01).interpolate(
            gappy(truth) * scale
        )
        z = ((out.sst - truth.sst * scale) / out.sst_std).where(gappy(truth).sst.isnull())
        assert 0.9 < float(np.sqrt((z**2).mean())) < 1.1


def test_a_time_far_from_any_observation_gets_the_climatology():
    """Far from observations, the estimate is the climatology, with the standard deviation of the field."""
    y = gappy(wave())
    y.sst[100:140] = np.nan
    out = method().interpolate(y)
    history = wave(phase=1.0).sst
    np.testing.assert_allclose(out.sst[110], history.mean("time"), atol=1e-4)
    np.testing.assert_allclose(out.sst_std[110], history.std("time"), rtol=0.1)


def test_a_history_may_lack_cells_and_values():
    """Cells without history keep their values, gaps are filled first, and labels may differ by rounding."""
    y, past = gappy(wave()), wave(phase=1.0)
    past.sst[:, 0, 0] = np.nan
    out = method(history=past).interpolate(y)
    xr.testing.assert_identical(out.sst[:, 0, 0], y.sst[:, 0, 0])
    past = wave(phase=1.0)
    full, part = (method(history=h).interpolate(y).sst for h in (past, gappy(past, 0.8)))
    assert float(np.sqrt(((full - part) ** 2).mean())) < 0.05
    near = past.assign_coords(x=past.x + 1e-7)
    xr.testing.assert_allclose(*(method(history=h).interpolate(y) for h in (near, past)))


@pytest.mark.parametrize(
    ("history", "noise", "expected"), [(wave(phase=1.0, seed=5), 1.5, ERRORS[2:]), (None, 0.3, ERRORS)]
)
def test_the_error_may_be_chosen(history, noise, expected):
    """The chosen error is one of the candidates, and not a small one if the noise is large."""
    y = gappy(wave(times=100, noise=noise))
    options = {"days": 1, "modes": 12, "history": history}
    chosen = method(error=None, **options).interpolate(y).sst
    given = (method(error=e, **options).interpolate(y).sst for e in expected)
    assert sum(np.allclose(chosen, g) for g in given) == 1


def test_a_constant_is_reproduced():
    """A constant is reproduced with a zero error."""
    out = method(history=None).interpolate(gappy(xr.full_like(wave(), 3.0)))
    np.testing.assert_allclose(out.sst, 3.0, rtol=1e-5)
    np.testing.assert_allclose(out.sst_std, 0.0, atol=1e-5)


@pytest.mark.parametrize(("history", "message"), [
    (wave().rename(sst="sts"), "no variable 'sst': did you mean 'sts'"),
    (wave().isel(x=0), "dimensions time, y, expected time, y, x"),
    (wave().isel(x=slice(4)), "have different cells along 'x'"),
    (wave().assign_coords(y=[1.0, 2.0, 4.0]), "have different cells along 'y'"),
    (wave(times=4), "got 4 times, expected at least 5"),
])  # fmt: skip
def test_a_history_that_does_not_fit_is_refused(history, message):
    """The message states how the history differs from the data."""
    with pytest.raises(DataError, match=message):
        method(history=history).interpolate(gappy(wave()))
