"""Variables that help each other in the competition: when they take part, and that the promise is true."""

import warnings

import numpy as np
import pytest
import xarray as xr

import da4dvar
from da4dvar.baselines.gaussian_em import GaussianEM
from da4dvar.errors import Da4dvarWarning
from da4dvar.fields.bounds import Bounds
from da4dvar.workflows.autofit import candidates
from da4dvar.workflows.autofit import fit as fit_module
from da4dvar.workflows.autofit.candidates import together
from da4dvar.workflows.autofit.character import character_of
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.compete import compete
from da4dvar.workflows.autofit.fitted import Fitted
from da4dvar.workflows.autofit.state import from_state
from da4dvar.workflows.autofit.timing import probed
from da4dvar.workflows.autofit.trials import missing_as_well, reach_for, trial_of
from da4dvar.workflows.candidate import Candidate, Together

NAME = "gaussian_em_together"


def quiet(line: str) -> None:
    """Take a line and do nothing with it."""


def blocks(times: int, stations: int, seed: int) -> np.ndarray:
    """Where values are missing, in blocks of eight times at single stations."""
    generator = np.random.default_rng(seed)
    gone = np.zeros((times, stations), dtype=bool)
    for _ in range(times * stations // 50):
        t = int(generator.integers(times))
        gone[t : t + 8, int(generator.integers(stations))] = True
    return gone


def weather(together: bool = False, noise: float = 0.3, seed: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    """Two temperatures that share what is local; their gaps are in different places, or mostly the same."""
    generator = np.random.default_rng(seed)
    shape = (400, 6)
    local = generator.standard_normal((400, 1)) + generator.standard_normal(shape)
    dims = ("time", "station")
    truth = xr.Dataset(
        {n: (dims, 20 + local + noise * generator.standard_normal(shape)) for n in ("low", "high")},
        {"time": xr.date_range("2001-01-01", periods=400)},
    )
    gaps = {"low": blocks(*shape, 1), "high": blocks(*shape, 1 if together else 2)}
    gaps["low"][:80] &= not together
    gaps["high"][320:] &= not together
    return truth, truth.assign({n: truth[n].where(~xr.DataArray(g, dims=dims)) for n, g in gaps.items()})


def error_of(out: xr.Dataset, truth: xr.Dataset, gaps: xr.Dataset, name: str) -> float:
    """Root mean square error in the gaps of a variable."""
    return float(np.sqrt(((out[name] - truth[name]).where(gaps[name].isnull()) ** 2).mean()))


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """A competition in which the other variable helps, without a training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "SHORTEST", 1e9)
        return da4dvar.fit(weather()[1], minutes=2, say=quiet)


def test_it_is_chosen_where_it_helps_and_the_promise_is_true(fitted):
    """Both variables are filled with the help of the other, with the error that is promised."""
    truth, gaps = weather()
    assert fitted.method == {"low": NAME, "high": NAME}
    out = fitted.interpolate(gaps)
    for name in truth:
        error = error_of(out, truth, gaps, name)
        assert fitted.scores[name].rmse[NAME][0] == pytest.approx(error, rel=0.15)
        assert error < 0.8 * min(e for n, (e, _) in fitted.scores[name].rmse.items() if n != NAME)


def test_the_others_are_used_as_they_are_and_not_as_they_were_filled(fitted):
    """Each variable is filled as if it were the only one to be filled."""
    _, gaps = weather()
    out = fitted.interpolate(gaps)
    for name in gaps:
        direct = GaussianEM(together=True).interpolate(gaps[[name, *gaps.drop_vars(name)]])[name]
        np.testing.assert_allclose(out[name], direct, atol=1e-9)


def test_the_fit_is_saved_with_the_names_of_the_others(fitted, tmp_path):
    """What is read again fills as before, and a fit of an earlier version has no others."""
    _, gaps = weather()
    fitted.save(tmp_path / "fit.json")
    again = da4dvar.load_fit(tmp_path / "fit.json")
    assert again.results["low"].winner.others == ("high",)
    xr.testing.assert_identical(again.interpolate(gaps), fitted.interpolate(gaps))
    state = fitted.state()
    for own in state["variables"].values():
        del own["method"]["others"]
    assert type(from_state(state).results["low"].winner) is Candidate


def test_a_file_without_the_other_variable_is_filled_with_a_line(fitted):
    """The line names what is missing; other data with both need none."""
    _, gaps = weather()
    some = Fitted({"low": fitted.results["low"]}, fitted.bounds, fitted.time)
    with pytest.warns(Da4dvarWarning, match=f"low: {NAME} uses high as well, which the data lack") as said:
        out = some.interpolate(gaps[["low"]])
    assert len(said) == 1
    assert "\n" not in str(said[0].message)
    assert out.low.notnull().all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some.interpolate(weather(seed=5)[1])


def test_gaps_of_both_promise_no_more_than_is_kept():
    """Where both are missing at the same places, what is hidden from one is hidden from the other."""
    truth, gaps = weather(together=True)
    assert missing_as_well(gaps.low, gaps[["high"]], "time") == ["high"]
    found = da4dvar.fit(gaps, minutes=1, method=NAME, say=quiet)
    out = found.interpolate(gaps)
    for name in truth:
        error = error_of(out, truth, gaps, name)
        assert found.scores[name].rmse[NAME][0] == pytest.approx(error, rel=0.15)


def test_variables_are_hidden_together_if_more_than_half_of_the_gaps_coincide():
    """Cells that are never observed do not count; a trial hides from those variables alone."""
    truth = weather()[0]
    low = truth.low.where(truth.time.dt.day > 10)
    others = xr.Dataset({
        "most": truth.high.where(truth.time.dt.day > 6), "few": truth.high.where(truth.time.dt.day > 4),
    })  # fmt: skip
    assert missing_as_well(low, others, "time") == ["most"]
    never = low.where(low.station > 0)
    assert missing_as_well(never, xr.Dataset({"few": others.few.where(never.station > 0)}), "time") == []
    character = character_of(low, "time")
    trial = trial_of(low, character, reach_for(low, character), 0)
    shown = trial.others_in(others, ["most"])
    assert shown.most.values[trial.at].size > 20
    assert np.isnan(shown.most.values[trial.at]).all()
    assert (shown.most.isnull().values == (others.most.isnull().values | trial.at)).all()
    xr.testing.assert_identical(shown.few, others.few)


def entered(ds: xr.Dataset, name: str = "low", others: tuple[str, ...] = ("high",)) -> list[Candidate]:
    """Candidates with other variables."""
    return together(ds, name, character_of(ds[name].compute(), "time"), others)


def test_it_is_a_candidate_only_with_variables_of_the_same_stations_that_are_like_it():
    """In memory, and correlated; those with the highest correlation first, and three at most."""
    truth, gaps = weather()
    assert [c.name for c in entered(gaps)] == [NAME]
    assert entered(gaps.chunk()) == []
    assert entered(gaps, others=("low",)) == []
    noise = truth.high.copy(data=np.random.default_rng(9).standard_normal(truth.high.shape))
    assert entered(gaps.assign(high=noise)) == []
    assert entered(gaps.assign(high=gaps.high.isel(station=0))) == []
    assert entered(gaps.expand_dims(run=1)) == []
    # What is missing wherever the variable is missing does not help.
    assert entered(gaps.assign(high=gaps.high.where(gaps.low.notnull()))) == []
    once = gaps.low.where((gaps.station > 0) | (gaps.time == gaps.low[:, 0].dropna("time").time[0]))
    assert [c.name for c in entered(gaps.assign(low=once))] == [NAME]
    many = gaps.assign({f"v{k}": truth.low + (4 - k) / 4 * noise for k in range(5)})
    assert entered(many, others=tuple(f"v{k}" for k in range(5)))[0].others == ("v4", "v3", "v2")


def test_the_logarithm_is_taken_of_a_skewed_variable_alone():
    """The other one, which may be negative, is used as it is."""
    truth, gaps = weather()
    rain = np.exp(gaps.low - 20).rename("low")
    (found,) = entered(gaps.assign(low=rain, high=gaps.high - 20))
    assert found.name == "logarithmic_together"
    assert found.table["variables"] == ["low"]
    estimate, std = found.estimate(rain, Bounds(), gaps.assign(high=gaps.high - 20))
    assert std is not None
    alone = next(c for c in candidates.classical(character_of(rain, "time")) if c.name == "logarithmic")
    errors = [
        float(np.sqrt(((x - np.exp(truth.low - 20)).where(rain.isnull()) ** 2).mean()))
        for x in (estimate, alone.estimate(rain, Bounds())[0])
    ]
    assert errors[0] < 0.8 * errors[1]


def test_directions_do_not_help_and_are_not_helped():
    """A variable around the circle takes no part."""
    _, gaps = weather()
    wind = ((gaps.high - 20) * 60 % 360).assign_attrs(units="degree", standard_name="wind_from_direction")
    found = da4dvar.fit(gaps.assign(high=wind), minutes=0.05, say=quiet)
    assert not any(NAME in c.rmse or NAME in c.left_out for c in found.scores.values())


class Slow:
    """A method that takes some seconds for each value, with the square of the number of stations."""

    def __init__(self, watch, rate: float) -> None:
        self.watch, self.rate, self.sizes = watch, rate, []

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        assert {n: a.sizes for n, a in ds.items()} == dict.fromkeys(ds, ds.low.sizes)
        self.sizes.append(dict(ds.sizes))
        self.watch.now += self.rate * ds.low.size * (ds.sizes["station"] / 50) ** 2
        return ds.fillna(0.0)


def wide(times: int = 1200, stations: int = 50) -> xr.Dataset:
    """Two variables at many stations, with gaps."""
    values = np.random.default_rng(0).standard_normal((2, times, stations))
    low, high = (np.where(blocks(times, stations, k), np.nan, values[k]) for k in range(2))
    return xr.Dataset({"low": (("time", "station"), low), "high": (("time", "station"), high)})


def test_it_is_timed_with_all_stations(watch):
    """The time for the whole variable is known from few times, as it grows with the number of stations."""
    ds, slow = wide(), Slow(watch, 1e-4)
    candidate = Together("slow", slow, {}, others=("high",))
    character = character_of(ds.low, "time")
    arguments = (ds.low, character, [candidate], Bounds(), Clock(5.0), 0.6, {}, 0, ds[["high"]])
    alive, rates = probed(*arguments)
    assert rates["slow"] == pytest.approx(1e-4)
    assert alive == [candidate]
    assert slow.sizes == [{"time": 200, "station": 50}]


@pytest.mark.parametrize("minutes", [0.3, 1.0])
def test_the_time_is_kept(watch, minutes):
    """It is left out if it could not fill the whole, although crops with fewer stations are quick."""
    ds, slow = wide(), Slow(watch, 1e-3 * minutes)
    fast = candidates.classical(character_of(ds.low, "time"))[:1]
    entered = [Together("slow", slow, {}, others=("high",)), *fast]
    clock = Clock(minutes)
    result = compete(
        ds.low, character_of(ds.low, "time"), entered, Bounds(), clock, 0.65, 0, None, ds[["high"]]
    )
    assert "are needed to fill the file" in result.comparison.left_out["slow"]
    assert clock.spent() < 0.65 * 60 * minutes


def test_a_crop_with_fewer_stations_does_not_promise_a_shorter_time(watch):
    """The seconds to fill the whole are those of all stations."""
    ds, slow = wide(), Slow(watch, 1e-4)
    entered = [Together("slow", slow, {}, others=("high",))]
    character = character_of(ds.low, "time")
    result = compete(ds.low, character, entered, Bounds(), Clock(0.3), 0.65, 0, None, ds[["high"]])
    assert result.trials[0].seen.sizes["station"] < 50
    assert result.seconds == pytest.approx(1e-4 * ds.low.size)


class Off:
    """A method that adds a value to the truth."""

    def __init__(self, truth: xr.Dataset, offset: float) -> None:
        self.truth, self.offset = truth, offset

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        return ds.assign(low=ds.low.fillna(self.truth.low + self.offset))


def test_no_mean_with_it_is_formed():
    """Although the errors of the two best cancel: the other method would fill the other variable too."""
    truth, gaps = weather()
    table = {"kind": "linear"}
    over, under = Together("over", Off(truth, 1.0), table, others=("high",)), Off(truth, -1.1)
    character = character_of(gaps.low, "time")
    arguments = (Bounds(), Clock(5.0), 0.6, 0, None, gaps[["high"]])
    result = compete(gaps.low, character, [over, Candidate("under", under, table)], *arguments)
    assert set(result.comparison.rmse) == {"over", "under"}


def test_a_network_is_scored_without_what_is_missing_with_the_variable(monkeypatch):
    """The other variables of a learned estimate are hidden with it where their gaps coincide."""
    seen: list[xr.DataArray] = []

    class Watched(Candidate):
        def estimate(self, array, bounds, others=None):
            seen.append(others.high)
            return array.fillna(20.0), None

    _, gaps = weather(together=True)
    found = da4dvar.fit(gaps, minutes=0.1, method="linear", say=quiet)
    fit_module._scored(found, "low", gaps, Watched("learned", Off(gaps, 0.0), {}))
    assert len(seen) == len(found.results["low"].trials)
    for high, trial in zip(seen, found.results["low"].trials, strict=True):
        assert np.isnan(high.values[trial.at]).all()
