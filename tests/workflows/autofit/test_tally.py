"""Errors at the hidden points, and their scale: how much harder the gaps are by the standard errors."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.workflows.autofit.character import character_of
from da4dvar.workflows.autofit.tally import Tally, variance_of_gaps
from da4dvar.workflows.autofit.trials import Trial, reach_for, trial_of


def trial(seed: int = 0) -> Trial:
    """Two hundred stations that are observed in three quarters of the steps."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((300, 200))
    array = xr.DataArray(values, dims=("time", "station"), name="x").where(
        generator.random((300, 200)) < 0.75
    )
    character = character_of(array, "time")
    return trial_of(array, character, reach_for(array, character), seed)


def told(trials: list[Trial], *, gaps: float = 2.0, wrong: float = 1.0, noise: float = 0.0) -> Tally:
    """A method whose errors have a standard deviation of 0.5 to 1.5 at hidden points, and `gaps` in the gaps.

    Its standard errors are `wrong` times as large, and observations have errors of `noise`.
    """
    tally = Tally(None)
    generator = np.random.default_rng(5)
    for own in trials:
        at = own.seen.copy(data=own.at)
        std = xr.where(at, generator.uniform(0.5, 1.5, own.seen.shape), gaps)
        error = std * generator.standard_normal(own.seen.shape)
        truth = np.zeros(own.seen.shape)
        truth[own.at] = own.truth
        blur = noise * generator.standard_normal(own.seen.shape)
        tally.add("m", own, error + truth + blur, wrong * std)
    return tally


def promise(tally: Tally, trials: list[Trial], noise: float = 0.0, full: float | None = None) -> float:
    """The error that is promised for the gaps."""
    last = tally.variances["m"][-1] if full is None else full
    return tally.scale("m", trials, noise, last) * tally.residuals(trials).rmse("m")[0]


@pytest.mark.parametrize("wrong", [0.5, 1.0, 3.0])
def test_the_promise_is_the_error_in_the_gaps(wrong):
    """Whatever the standard errors are wrong by throughout, and however easy the hidden points are."""
    trials = [trial(0), trial(1)]
    tally = told(trials, wrong=wrong)
    assert tally.residuals(trials).rmse("m")[0] == pytest.approx(1.04, abs=0.05)
    assert promise(tally, trials) == pytest.approx(2.0, rel=0.05)
    assert promise(told(trials, gaps=0.6, wrong=wrong), trials) == pytest.approx(0.6, rel=0.05)


def test_the_noise_of_observations_is_a_part_of_both():
    """Observations are compared with estimates of the field, so that √(σ² + ε²) is expected at either."""
    trials = [trial()]
    tally = told(trials, noise=1.0)
    assert promise(tally, trials, noise=1.0) == pytest.approx(np.sqrt(2.0**2 + 1.0**2), rel=0.05)


def test_the_gaps_have_the_hidden_points_around_them():
    """The promise is that for the file as it is, in which nothing is hidden."""
    trials = [trial()]
    tally = told(trials)
    assert promise(tally, trials, full=1.5**2) == pytest.approx(1.5, rel=0.05)


def test_the_scale_is_bounded_and_needs_standard_errors_everywhere():
    """At most a factor of two; a standard error that is not known leaves the errors as they are."""
    trials = [trial()]
    assert told(trials, gaps=50.0).scale("m", trials, 0.0, 2500.0) == 2.0
    assert told(trials, gaps=1e-3).scale("m", trials, 0.0, 1e-6) == 0.5
    assert told(trials, gaps=np.nan).scale("m", trials, 0.0, 1.0) == 1.0
    assert told(trials, wrong=0.0).scale("m", trials, 0.0, 0.0) == 1.0


def test_a_standard_error_of_next_to_nothing_does_not_decide():
    """One hidden point beside an observation, where σ is a thousandth of the usual, changes little."""
    trials = [trial()]
    tally = told(trials)
    usual = promise(tally, trials)
    tally.stds["m"][0][0] = 1e-3
    assert promise(tally, trials) == pytest.approx(usual, rel=0.1)


def test_the_variance_is_that_over_the_gaps():
    """Observed and hidden points, and cells that are not filled, do not count."""
    own = trial()
    std = own.seen.copy(data=np.where(own.missing.to_fill, 3.0, 100.0))
    assert variance_of_gaps(std, own) == pytest.approx(9.0)
    assert not own.missing.to_fill[own.at].any()
