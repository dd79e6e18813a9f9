"""Tests of the covariances of optimal interpolation, and of their estimation."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process.kernels import RBF, ExpSineSquared, Matern

from da4dvar.baselines.background import Background, chosen_background
from da4dvar.baselines.fit_kernels import Search, fit_kernels
from da4dvar.baselines.hidden_neighbours import gathered, pieces, run_like_gaps, transplanted
from da4dvar.baselines.likelihood import changed, loss, score
from da4dvar.errors import DataError
from da4dvar.variational.kernels import FORMS, Separable, SumOfSeparable, covariance_of

REFERENCE = {
    "exponential": Matern(1.0, nu=0.5),
    "matern32": Matern(1.0, nu=1.5),
    "matern52": Matern(1.0, nu=2.5),
    "gaussian": RBF(1.0),
}
TWO = SumOfSeparable(
    (
        Separable(0.6, 60.0, 4.0, "matern52", "exponential"),
        Separable(0.4, 300.0, 20.0, "gaussian", "matern32", period=7.0, width=0.8),
    ),
    nugget=0.02,
)


def field(
    covariance: SumOfSeparable, days: int = 120, side: int = 12, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A field of a covariance, without gaps, with its places of 10 km and its days."""
    generator = np.random.default_rng(seed)
    place = 10.0 * np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    clock = np.arange(float(days))
    distance = np.linalg.norm(place[:, None] - place, axis=-1)
    values = np.zeros((days, side**2))
    for term in covariance.terms:
        roots = [
            np.linalg.cholesky(k + 1e-9 * np.eye(len(k)))
            for k in (term.in_time(clock[:, None] - clock), term.in_space(distance))
        ]
        noise = generator.standard_normal(values.shape)
        values += np.sqrt(term.variance) * roots[0] @ noise @ roots[1].T
    return values + np.sqrt(covariance.nugget) * generator.standard_normal(values.shape), place, clock


@pytest.mark.parametrize("form", FORMS)
def test_forms_are_those_of_scikit_learn(form):
    """The kernels are those of scikit-learn."""
    apart = np.linspace(0, 5, 40)
    expected = REFERENCE[form](apart[:, None], np.zeros((1, 1)))[:, 0]
    np.testing.assert_allclose(FORMS[form](apart), expected, atol=1e-12)


def test_a_cycle_is_that_of_scikit_learn():
    """The periodic factor is scikit-learn's ExpSineSquared."""
    lags = np.linspace(0, 20, 50)
    term = Separable(1.0, 1.0, np.inf, period=7.0, width=0.8)
    expected = ExpSineSquared(0.8, 7.0)(lags[:, None], np.zeros((1, 1)))[:, 0]
    np.testing.assert_allclose(term(0 * lags, lags), expected, atol=1e-12)


def test_a_covariance_is_its_table():
    """A table holds all parameters, and nothing but text and numbers."""
    assert covariance_of(TWO.table()) == TWO
    assert TWO.scaled(2.0).nugget == 2 * TWO.nugget
    assert TWO.scaled(2.0).variance == 2 * TWO.variance


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"length": -1.0}, "length is -1.0, expected more than 0"),
        ({"space": "matern"}, "there is no form 'matern': did you mean 'matern"),
        ({"period": 0.0}, "period is 0.0"),
        ({"variance": -1.0}, "variance is -1.0"),
    ],
)
def test_a_term_that_cannot_be_is_refused(table, message):
    """The message names the parameter."""
    with pytest.raises(DataError, match=message):
        Separable(**{"variance": 1.0, "length": 1.0, "duration": 1.0, **table})


def test_a_covariance_needs_a_term():
    """Neither no terms nor a negative nugget are a covariance."""
    for terms, nugget in ((), 0.1), (TWO.terms, -0.1):
        with pytest.raises(DataError, match="expected one term or more"):
            SumOfSeparable(terms, nugget)


def test_scales_are_where_the_variance_has_fallen():
    """Half of the variance is left at the scales of 0.5, which are infinite for what does not vary."""
    distance, lag = TWO.scales(0.5)
    np.testing.assert_allclose(TWO(distance, 0.0), 0.5, atol=0.01)
    assert lag < 20
    assert SumOfSeparable((Separable(1.0, np.inf, 3.0),), 0.0).scales(0.5)[0] == 1e6


def test_the_derivatives_of_the_likelihood_are_finite_differences():
    """For all parameters of a sum with a period."""
    values, place, clock = field(TWO, 40, 5)
    values[np.random.default_rng(0).random(values.shape) < 0.5] = np.nan
    (near,) = Search(values, place, clock, {}, 12, 0).points((60.0, 3.0), [60])
    free = [(q, n) for q in (0, 1) for n in ("variance", "length", "duration")] + [(0, "nugget")]
    start = np.log([0.5, 50, 5, 0.3, 200, 10, 0.05])

    def of(which: int):
        return lambda logs: loss(changed(TWO, free, logs), near, free)[which]

    assert check_grad(of(0), of(1), start) < 1e-5


def test_the_covariance_of_a_field_is_found():
    """The fit predicts other hidden points of a field as well as the covariance of which it was drawn."""
    truth = SumOfSeparable((Separable(2.0, 40.0, 6.0, "matern32", "exponential"),), nugget=0.1)
    values, place, clock = field(truth, 80, 10)
    values[np.random.default_rng(1).random(values.shape) < 0.5] = np.nan
    found = fit_kernels(values, place, clock, neighbours=20)
    assert 0.05 < found.nugget < 0.2
    (near,) = Search(values, place, clock, {}, 20, 5).points((30.0, 2.0), [500])
    wrong = SumOfSeparable((Separable(2.0, 80.0, 6.0, "matern32", "exponential"),), nugget=0.1)
    assert score(found, near) > score(truth, near) - 0.01
    assert score(wrong, near) < score(truth, near) - 0.02


def test_a_seed_decides_the_fit():
    """Equal seeds give equal covariances."""
    values, place, clock = field(TWO, 25, 4)
    first, second = (fit_kernels(values, place, clock, neighbours=8, seed=3) for _ in range(2))
    assert first == second


def test_given_scales_are_kept():
    """Prescribed scales and nugget are those of the only term."""
    values, place, clock = field(TWO, 25, 4)
    found = fit_kernels(values, place, clock, length=77.0, duration=5.0, nugget=0.5, neighbours=10)
    assert len(found.terms) == 1
    assert (found.terms[0].length, found.terms[0].duration) == (77.0, 5.0)
    np.testing.assert_allclose(found.nugget, 0.5)


def test_what_has_no_extent_has_an_infinite_scale():
    """A series has no length, and a single time no duration."""
    values, place, clock = field(TWO, 40, 5)
    assert np.isinf(fit_kernels(values[:, :1], place[:1], clock, neighbours=8).terms[0].length)
    assert np.isinf(fit_kernels(values[:1], place, clock[:1], neighbours=8).terms[0].duration)


def test_values_that_do_not_vary_are_refused():
    """One value, or zeros, have no covariance."""
    for values in ([[1.0], [np.nan]], [[0.0], [0.0]]):
        with pytest.raises(DataError, match="cannot fit a covariance to"):
            fit_kernels(np.array(values), np.empty((1, 0)), np.arange(2.0))


def test_a_daily_cycle_is_a_term_of_its_own():
    """Hours with a cycle that changes slowly are predicted from the same hour of other days."""
    clock = np.arange(40 * 24) / 24
    generator = np.random.default_rng(0)
    size = (
        3 + np.convolve(generator.standard_normal(clock.size + 240), np.ones(240) / 40, "same")[: clock.size]
    )
    values = size * np.sin(2 * np.pi * clock) + 0.3 * generator.standard_normal(clock.size)
    # Whole half days are missing, so that the hours next to a gap do not tell what is within.
    values[(np.arange(clock.size) // 12 % 5) == 2] = np.nan
    found = fit_kernels(values[:, None], np.empty((1, 0)), clock, periods=(1.0,))
    assert found(0.0, 2.0) > 0.6 * found.variance


def test_points_are_hidden_like_gaps():
    """Tracks are hidden for a step; of clouds that stay, runs of steps."""
    generator = np.random.default_rng(0)
    place, clock = np.arange(40.0)[:, None], np.arange(400.0)
    tracks = np.zeros((400, 40), bool)
    for day in range(400):
        tracks[day, generator.integers(40) + np.arange(3) - 40] = True
    cloudy = np.repeat(generator.random((20, 40)) < 0.5, 20, axis=0)
    runs = [run_like_gaps(seen, place, clock, (1.0, 1.0), generator) for seen in (tracks, cloudy)]
    assert runs[0] <= 2
    assert runs[1] >= 4
    hidden = transplanted(tracks, 1, generator)
    assert 0.09 < hidden.sum() / tracks.sum() < 0.15
    assert not (hidden & ~tracks).any()


def test_of_a_large_field_some_pieces_are_looked_at(monkeypatch):
    """The pieces are spread over the record, and hold no more observations than are looked at."""
    monkeypatch.setattr("da4dvar.baselines.hidden_neighbours.MOST", 600)
    monkeypatch.setattr("da4dvar.baselines.hidden_neighbours.NEAR", 10)
    seen = np.ones((300, 30), bool)
    found = list(pieces(seen, np.arange(30.0)[:, None], np.random.default_rng(0)))
    assert len(found) == 6
    assert all(np.ptp(cells) == 9 and times.stop - times.start == 10 for times, cells in found)
    assert found[-1][0].start > 200


@pytest.mark.parametrize("own", [False, True])
def test_the_background_is_that_of_the_cell_where_cells_differ(own):
    """Stations with means of their own keep them; cells that differ by chance have the mean of the field."""
    truth = SumOfSeparable((Separable(1.0, 20.0, 3.0, "matern32", "exponential"),), nugget=0.05)
    values, place, clock = field(truth, 200, 5)
    generator = np.random.default_rng(2)
    values += 8 * own * generator.standard_normal(values.shape[1])
    values[generator.random(values.shape) < 0.8] = np.nan
    found = chosen_background(values, np.ones((200, 1)), place, clock)
    assert (found.mean < 50) == own


def test_a_background_without_shrinkage_is_the_regression():
    """With no weight of the field it is least squares in each cell; with all weight, cells are alike."""
    generator = np.random.default_rng(0)
    basis = np.stack([np.ones(50), np.cos(np.arange(50)), np.sin(np.arange(50))], 1)
    y = generator.standard_normal((50, 3)) + np.array([0.0, 5.0, 9.0])
    expected = basis @ np.linalg.lstsq(basis, y, rcond=None)[0]
    np.testing.assert_allclose(Background(1e-9, 1e-9).fitted(y, basis), expected, atol=1e-6)
    same = Background(1e9, 1e9).fitted(y, basis)
    np.testing.assert_allclose(same, same[:, :1] + np.zeros(3), atol=1e-5)
    assert np.isnan(Background().fitted(np.where([True, False, True], y, np.nan), basis)[:, 1]).all()


def test_a_period_and_a_width_are_kept_by_a_fit():
    """Only scales, variances and the nugget are adapted."""
    free = [(0, "variance"), (0, "nugget")]
    new = changed(TWO, free, np.log([3.0, 0.5]))
    assert new.terms == (replace(TWO.terms[0], variance=new.terms[0].variance), TWO.terms[1])
    np.testing.assert_allclose([new.terms[0].variance, new.nugget], [3.0, 0.5])


def test_neighbourhoods_hold_every_distance_and_lag_in_little_memory() -> None:
    """Distances and lags of all pairs are found again, and nine arrays of their size are held at most."""
    generator = np.random.default_rng(0)
    place, clock = (
        generator.integers(9, size=(50, 151, 3)) * 1.0,
        generator.integers(80, size=(50, 151)) * 0.5,
    )
    tracemalloc.start()
    near = gathered(place, clock, clock)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(
        near.distances[near.distance][near.pair], np.linalg.norm(place[:, :, None] - place[:, None], axis=-1)
    )
    np.testing.assert_allclose(near.lags[near.lag][near.pair], np.abs(clock[:, :, None] - clock[:, None]))
    assert peak < 9 * near.pair.nbytes
