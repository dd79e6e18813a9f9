"""The competition of methods: the best wins, and the time is kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from watch import Watch

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.linear import Linear
from da4dvar.errors import DataError
from da4dvar.fields.bounds import Bounds
from da4dvar.workflows.autofit.character import character_of
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.compete import MOST_TRIALS, compete
from da4dvar.workflows.autofit.further import MOST
from da4dvar.workflows.autofit.tally import Tally, numbered
from da4dvar.workflows.autofit.timing import ASSUMED
from da4dvar.workflows.candidate import Candidate

CLASSIC = [
    Candidate("linear", Linear(), {"kind": "linear"}),
    Candidate("climatology", Climatology(), {"kind": "climatology"}),
]


class Fake:
    """A method that adds an error to the truth, and takes a given time for each value."""

    def __init__(
        self, truth: xr.DataArray, error: float, rate: float = 0.0, watch: Watch | None = None
    ) -> None:
        self.truth, self.error, self.rate, self.watch = truth, error, rate, watch
        self.sizes: list[int] = []

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        array = ds[self.truth.name]
        self.sizes.append(array.size)
        if self.watch is not None:
            self.watch.now += self.rate * array.size
        index = {d: array[d] for d in array.dims}
        noise = np.random.default_rng(7).standard_normal(array.shape)
        return ds.assign({array.name: array.fillna(self.truth.sel(index) + self.error * noise)})


class Cubic(Fake):
    """A method whose time grows with the cube of the number of values: a second for 20,000."""

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        assert self.watch is not None
        self.watch.now += (ds[self.truth.name].size / 20_000) ** 3
        return super().interpolate(ds)


class Sudden(Fake):
    """A method that is quick on the part on which it is timed, and takes a minute for more."""

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        assert self.watch is not None
        self.watch.now += 60 * (ds[self.truth.name].size > 20_000)
        return super().interpolate(ds)


class Slowing(Fake):
    """A method that takes ten seconds for its first trial, and longer by a factor for each further one."""

    factor = 1.5

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        assert self.watch is not None
        large = ds[self.truth.name].size > 20_000
        self.watch.now += 10 * large * self.factor ** sum(size > 20_000 for size in self.sizes)
        return super().interpolate(ds)


class Fitting(Fake):
    """A method that is fitted first, and remembers to what."""

    needs_seconds, seconds = 1.0, 0.0

    def fitted(self, ds: xr.Dataset) -> "Fitting":
        self.given = ds[self.truth.name]
        if self.watch is not None:
            self.watch.now += self.seconds
        return self


class Held(Fitting):
    """A method whose first estimate takes 20 s longer, as another program has the processor."""

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        assert self.watch is not None
        self.watch.now += 0 if self.sizes else 20
        return super().interpolate(ds)


class Told(Fake):
    """A method with an error of 1 and standard errors.

    They are 1 at hidden points, and 1.8 in the gaps, or 1.5 if nothing is hidden.
    """

    gappy: xr.DataArray

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        array = ds[self.truth.name]
        before = self.gappy.sel({d: array[d] for d in array.dims})
        in_gaps = 1.8 if bool((array.isnull() & before.notnull()).any()) else 1.5
        std = xr.where(before.isnull(), in_gaps, xr.where(array.isnull(), 1.0, 0.0))
        return super().interpolate(ds).assign({f"{self.truth.name}_std": std})


class Broken:
    """A method that cannot fill anything."""

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        raise DataError("this needs a second variable\nand more")


def sea(*sizes: int, seed: int = 0) -> tuple[xr.DataArray, xr.DataArray]:
    """A field with and without gaps of one to four days."""
    generator = np.random.default_rng(seed)
    coords = {d: np.arange(n) for d, n in zip(("time", "lat", "lon"), sizes, strict=True)}
    truth = xr.DataArray(generator.standard_normal(sizes), coords, name="x")
    seen = np.ones(sizes, dtype=bool)
    for _ in range(sizes[0] * 2):
        t, y, x = (int(generator.integers(n)) for n in sizes)
        seen[t : t + 1 + t % 4, y : y + 5, x : x + 5] = False
    return truth, truth.where(seen)


def held(array: xr.DataArray, candidates: list[Candidate], clock: Clock | None = None, **options: object):
    """The result of a competition for a variable without bounds."""
    options = {"until": 0.4, "seed": 0} | options
    bounds = options.pop("bounds", Bounds())
    return compete(array, character_of(array, "time"), candidates, bounds, clock or Clock(5.0), **options)


def days(kind: str) -> xr.DataArray:
    """Ten years of a strong season under white noise, or of a random walk, with gaps of five days."""
    t = np.arange(3650)
    noise = np.random.default_rng(0).standard_normal((3650, 2))
    season = 10 * np.cos(2 * np.pi * t / 365.25)[:, None] + noise
    values = season if kind == "season" else np.cumsum(noise, axis=0)
    coords = {"time": xr.date_range("2001-01-01", periods=3650)}
    array = xr.DataArray(values, coords, dims=("time", "station"), name="x")
    return array.where((t % 50 > 4)[:, None])


@pytest.mark.parametrize(("kind", "best"), [("season", "climatology"), ("walk", "linear")])
def test_the_best_method_wins_where_data_are_made_for_it(kind, best):
    """A climatology for a season under white noise, and a line through the gaps of a random walk."""
    result = held(days(kind), CLASSIC)
    assert result.comparison.winner == result.winner.name
    assert best in result.winner.name
    other = next(c.name for c in CLASSIC if c.name != best)
    # A method that is far behind in the first trial is not tried again.
    assert other in result.comparison.left_out or result.comparison.ranked()[-1] == other


def test_the_promised_error_is_the_error_in_the_gaps():
    """The RMSE at hidden points is that under the gaps, for errors that are the same everywhere."""
    truth, gappy = sea(80, 12, 12)
    result = held(gappy, [Candidate("fake", Fake(truth, 0.3), {})])
    assert result.comparison.rmse["fake"][0] == pytest.approx(0.3, rel=0.1)
    assert result.comparison.shapes > 10


def test_a_mean_of_the_two_best_takes_part():
    """Of two methods with independent errors, the mean is better for certain."""
    truth, gappy = sea(80, 12, 12)
    other = Fake(truth, 0.3)
    other.interpolate = lambda ds: Fake(2 * truth, 0.3).interpolate(ds)  # the truth plus itself
    low = Fake(0 * truth, 0.3)
    pair = [Candidate("over", other, CLASSIC[0].table), Candidate("under", low, CLASSIC[1].table)]
    result = held(gappy, pair)
    assert result.winner.name in ("mean of over and under", "mean of under and over")
    assert result.winner.table["methods"] in ([p.table for p in pair], [p.table for p in pair[::-1]])


def test_a_method_that_fails_is_left_out_with_the_reason():
    """The others compete; if none is left, the reason is that of the error."""
    truth, gappy = sea(60, 10, 10)
    broken = Candidate("broken", Broken(), {})
    result = held(gappy, [broken, Candidate("fake", Fake(truth, 0.1), {})])
    assert result.comparison.left_out == {"broken": "this needs a second variable"}
    assert list(result.comparison.rmse) == ["fake"]
    with pytest.raises(DataError, match="no method can fill variable 'x': this needs a second variable"):
        held(gappy, [broken])


def test_a_slow_method_is_left_out_and_said(watch):
    """It is timed on a small part alone."""
    truth, gappy = sea(200, 20, 20)
    slow, fast = Fake(truth, 0.01, 0.01, watch), Fake(truth, 0.5, 1e-6, watch)
    result = held(gappy, [Candidate("slow", slow, {}), Candidate("fast", fast, {})], Clock(1.0))
    assert result.winner.name == "fast"
    assert "are needed to fill the file" in result.comparison.left_out["slow"]
    assert 0 < max(slow.sizes) <= 20_000


@pytest.mark.parametrize("minutes", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("rates", [(1e-6, 1e-5), (1e-5, 1e-4), (1e-4, 2e-4)])
def test_the_time_is_kept(watch, minutes, rates):
    """The competition ends near its share of the time, and the winner can fill the whole in what is left."""
    truth, gappy = sea(200, 20, 20)
    entered = [Candidate(f"{rate:g}", Fake(truth, 0.1, rate, watch), {}) for rate in rates]
    clock = Clock(minutes)
    result = held(gappy, entered, clock)
    assert clock.spent() < 0.6 * 60 * minutes + 5
    # With little time, the fastest is taken even so.
    assert result.seconds < max(clock.left(), 1.5 * gappy.size * min(rates))


def test_with_time_left_there_are_several_draws(watch, monkeypatch):
    """Four trials, and eight of the winner, with other hidden points; each fills the whole variable."""
    monkeypatch.setattr(
        "da4dvar.workflows.autofit.compete.ENOUGH", 0.0
    )  # the error is never known well enough
    truth, gappy = sea(60, 10, 10)
    result = held(gappy, [Candidate("fake", fake := Fake(truth, 0.1), {})])
    assert (len(result.trials), len(fake.sizes)) == (MOST_TRIALS, MOST)
    assert (result.trials[0].at != result.trials[1].at).any()
    assert result.residuals.weight.size == sum(t.truth.size for t in result.trials)
    hidden = [np.flatnonzero(t.at)[t.shape == k] for t in result.trials for k in range(t.shape.max() + 1)]
    assert result.residuals.shapes == len({tuple(shape) for shape in hidden}) > len(hidden) / 2


def test_trials_end_when_the_error_is_known(watch):
    """To 5 %, if the best method is clearly ahead."""
    truth, gappy = sea(60, 20, 20)
    result = held(gappy, [Candidate("fake", Fake(truth, 0.1), {})])
    error, spread = result.residuals.rmse("fake")
    assert spread <= 0.05 * error
    assert len(result.trials) < MOST_TRIALS


def test_a_shape_that_is_hidden_again_is_no_further_evidence():
    """The values before an open end are the same in every trial; equal values elsewhere are others."""
    ends = [SimpleNamespace(at=np.arange(9) > 6, truth=np.zeros(2), shape=np.array([0, 0]))] * 2
    elsewhere = SimpleNamespace(at=np.arange(9) < 2, truth=np.zeros(2), shape=np.array([0, 1]))
    assert numbered([*ends, elsewhere]).tolist() == [0, 0, 0, 0, 1, 2]


def test_a_method_whose_time_grows_steeply_is_left_out(watch):
    """Although a part of the variable takes it less than a second, of the twelve that are allowed."""
    truth, gappy = sea(100, 20, 20)
    cubic = Candidate("cubic", Cubic(truth, 0.01, watch=watch), {})
    result = held(gappy, [cubic, Candidate("fake", Fake(truth, 0.1), {})], Clock(0.2))
    assert "needed to fill the file" in result.comparison.left_out["cubic"]


def test_a_method_that_turns_out_too_slow_is_no_winner(watch):
    """What is said to fill the variable is what fills it, with its own error."""
    truth, gappy = sea(200, 20, 20)
    sudden, fast = Sudden(truth, 0.01, watch=watch), Fake(truth, 0.5, 1e-6, watch)
    result = held(gappy, [Candidate("sudden", sudden, {}), Candidate("fast", fast, {})], Clock(1.0))
    assert result.winner.name == result.comparison.winner == "fast"
    assert list(result.residuals.error) == ["fast"]
    assert "needed to fill the file" in result.comparison.left_out["sudden"]


@pytest.mark.parametrize("minutes", [0.6, 0.9, 1.5])
def test_further_trials_leave_the_time_in_which_the_best_fills_the_file(watch, monkeypatch, minutes):
    """A method that is far ahead wins, although the machine has become slower since its first trial."""
    monkeypatch.setattr("da4dvar.workflows.autofit.compete.ENOUGH", 0.0)
    truth, gappy = sea(200, 20, 20)
    best, fast = Slowing(truth, 0.01, watch=watch), Fake(truth, 0.5, 1e-6, watch)
    entered = [Candidate("best", best, {}), Candidate("fast", fast, {})]
    result = held(gappy, entered, clock := Clock(minutes), until=0.65)
    assert result.winner.name == result.comparison.winner == "best"
    assert clock.left() > 0


def test_no_trial_of_a_slower_method_uses_up_the_time_in_which_the_best_fills_the_file(watch):
    """A method that turned out slow, but is far ahead, wins over those that come after it."""
    truth, gappy = sea(200, 20, 20)
    best, slow = Slowing(truth, 0.01, watch=watch), Fake(truth, 0.5, 1e-4, watch)
    result = held(gappy, [Candidate("best", best, {}), Candidate("slow", slow, {})], Clock(0.45), until=0.65)
    assert result.winner.name == "best"
    assert "needed to score it" in result.comparison.left_out["slow"]


def test_quick_methods_have_further_trials_after_a_long_fit(watch, monkeypatch):
    """One trial tells little, and those of quick methods cost nothing."""
    monkeypatch.setattr("da4dvar.workflows.autofit.compete.ENOUGH", 0.0)
    truth, gappy = sea(200, 20, 20)
    slow, quick = Fitting(truth, 0.1, 1e-4, watch), Fake(truth, 0.5, 1e-7, watch)
    slow.seconds = 35.0
    result = held(gappy, [Candidate("slow", slow, {}), Candidate("quick", quick, {})], Clock(1.0), until=0.5)
    assert "slow" in result.comparison.left_out
    assert len(result.trials) == MOST_TRIALS


def test_a_method_is_not_left_out_for_a_time_that_is_assumed(watch):
    """Before it is fitted, only a guess of its time is known."""
    truth, gappy = sea(400, 20, 20)
    best, quick = Fitting(truth, 0.1, 1e-6, watch), Fake(truth, 0.5, 1e-7, watch)
    entered = [Candidate("best", best, {}), Candidate("quick", quick, {})]
    assert ASSUMED * gappy.size > 5 > 0.5 * 60 * 0.1
    assert held(gappy, entered, Clock(0.1), until=0.65).winner.name == "best"


def test_the_fastest_is_kept_where_all_are_too_slow(watch):
    """A file is filled even so, if it takes longer than the time allowed."""
    truth, gappy = sea(200, 60, 60)
    entered = [Candidate(f"{rate:g}", Fitting(truth, 0.1, rate, watch), {}) for rate in (2e-4, 1e-4)]
    result = held(gappy, entered, clock := Clock(1.0))
    assert result.winner.name == "0.0001"
    assert result.seconds > clock.left()
    assert list(result.comparison.left_out) == ["0.0002"]


@pytest.mark.parametrize(("rate", "scale"), [(1e-5, 1.5), (2e-4, 1.8)])
def test_the_promise_is_that_for_the_gaps(watch, rate, scale):
    """By the standard errors of the best method, with nothing hidden if there is time to compute them."""
    truth, gappy = sea(100, 12, 20)
    told = Told(truth, 1.0, rate, watch)
    told.gappy = gappy
    clock = Clock(0.2)
    found = held(gappy, [Candidate("told", told, {})], clock, until=0.65).comparison
    assert found.scale == pytest.approx(scale, rel=0.05)
    assert found.rmse["told"][0] == pytest.approx(scale, rel=0.05)
    assert clock.left() > 0


def test_a_method_that_was_slow_once_is_timed_again(watch, monkeypatch):
    """What took long because of another program is not left out for it; what always takes long is."""
    monkeypatch.setattr("da4dvar.workflows.autofit.compete.FURTHER", 0.0)  # many large crops for one winner
    truth, gappy = sea(100, 160, 160)
    quick = Candidate("quick", Fake(truth, 0.5, 1e-8, watch), {})
    held_up, slow = Held(truth, 0.1, 1e-7, watch), Fitting(truth, 0.1, 2.5e-4, watch)
    assert held(gappy, [Candidate("best", held_up, {}), quick], Clock(3.0), until=0.65).winner.name == "best"
    out = held(gappy, [Candidate("slow", slow, {}), quick], Clock(3.0), until=0.65)
    assert "needed to fill the file" in out.comparison.left_out["slow"]


def test_a_slow_method_that_is_behind_makes_way_for_further_trials(watch, monkeypatch):
    """Even if it is not certain that it is worse, where there is no time for both."""
    monkeypatch.setattr("da4dvar.workflows.autofit.compete.ENOUGH", 0.0)
    monkeypatch.setattr("da4dvar.workflows.autofit.compete.CLEARLY", 1e9)
    truth, gappy = sea(200, 20, 20)
    best, slow = Fake(truth, 0.1, 1e-5, watch), Fake(truth, 0.5, 5e-4, watch)
    entered = [Candidate("best", best, {}), Candidate("slow", slow, {})]
    short, long = (held(gappy, entered, Clock(minutes), until=0.65) for minutes in (2.0, 60.0))
    assert "behind best" in short.comparison.left_out["slow"]
    assert "slow" in long.comparison.rmse
    assert len(short.trials) == len(long.trials) == MOST_TRIALS


def test_a_trial_in_which_the_time_runs_out_does_not_count(watch):
    """The scores are those of the first trial, and no method is lost."""
    truth, gappy = sea(200, 20, 20)
    quick, slow = Slowing(truth, 0.5, watch=watch), Fake(truth, 0.5, 2e-4, watch)
    quick.factor = 4.0
    entered = [Candidate("quick", quick, {}), Candidate("slow", slow, {})]
    result = held(gappy, entered, Clock(2.0), until=0.65)
    assert [len(quick.sizes), len(slow.sizes)] == [1 + 2, 1 + 1]
    assert len(result.trials) == 1
    assert set(result.comparison.rmse) == {"quick", "slow"}


def test_time_kept_for_other_variables_is_not_used(watch):
    """A clock without a minute ends the competition as one of a minute less."""
    truth, gappy = sea(200, 20, 20)
    spent = []
    for clock in (Clock(2.0), Clock(2.0).without(60.0)):
        begin = watch.now
        held(gappy, [Candidate("fake", Fake(truth, 0.1, 2e-4, watch), {})], clock, until=0.65)
        spent.append(watch.now - begin)
    assert spent[1] < min(60, spent[0])


def test_a_seed_gives_the_same_scores():
    """And another seed other ones."""
    _, gappy = sea(60, 10, 10)
    scores = [held(gappy, CLASSIC[:1], seed=seed).comparison.rmse for seed in (4, 4, 5)]
    assert scores[0] == scores[1] != scores[2]


def test_errors_of_directions_go_around_the_circle():
    """An estimate of 350 for 10 is 20 off; a change of an observed value is counted alike."""
    truth, gappy = sea(60, 10, 10)
    wind = (10 + 0 * gappy).where(gappy.notnull())
    trial = held(wind.assign_attrs(units="degree"), CLASSIC[:1]).trials[0]
    tally = Tally(360.0)
    tally.add("m", trial, xr.full_like(truth, 350.0), None)
    assert np.unique(tally.residuals([trial]).error["m"]).tolist() == [-20]
    assert tally.change("m") == (20, 20)


def test_a_point_left_empty_counts_with_the_mean_of_what_is_seen():
    """A method gains nothing by leaving points out."""
    _, gappy = sea(60, 10, 10)
    trial = held(gappy, CLASSIC[:1]).trials[0]
    tally = Tally(None)
    tally.add("m", trial, xr.full_like(gappy, np.nan), None)
    expected = float(trial.seen.mean()) - trial.truth
    np.testing.assert_allclose(tally.residuals([trial]).error["m"], expected)
    assert tally.change("m") == (0, 0)


def test_what_an_analysis_would_change_is_counted():
    """Root mean square and maximum at observed points, of the winner."""
    truth, gappy = sea(60, 10, 10)
    fake = Fake(truth, 0.0)
    fake.interpolate = lambda ds: ds.assign(x=truth + 0.25)
    assert held(gappy, [Candidate("fake", fake, {})]).comparison.change == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize("lazy", [False, True])
def test_what_is_in_memory_is_fitted_as_a_whole(watch, lazy):
    """Parameters come from all observations that are not hidden; of lazy data, only the crop is read."""
    truth, gappy = sea(200, 20, 20)
    method = Fitting(truth, 0.1, 1e-6, watch)
    result = held(gappy.chunk(time=50) if lazy else gappy, [Candidate("x", method, {})], Clock(0.05))
    trial = result.trials[0]
    assert trial.seen.size < gappy.size
    xr.testing.assert_identical(method.given, trial.seen if lazy else trial.removed_from(gappy))
    assert int(method.given.notnull().sum()) < int(
        (gappy if not lazy else gappy[trial.ranges]).notnull().sum()
    )
