"""Further trials of the winner of a competition."""

import numpy as np
import pytest

from da4dvar.errors import DataError
from da4dvar.fields.bounds import Bounds
from da4dvar.workflows.autofit import compete as competition
from da4dvar.workflows.autofit import further
from da4dvar.workflows.autofit.candidates import classical
from da4dvar.workflows.autofit.character import character_of
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.tally import Tally
from da4dvar.workflows.autofit.trials import drawn

from .test_compete import sea


@pytest.fixture(scope="module")
def result():
    """A competition that linear and climatology alone enter, with time for further trials."""
    return held(Clock(60.0))


def held(clock: Clock):
    seen = sea(60, 12, 14)[1]
    character = character_of(seen, "time")
    entered = [c for c in classical(character) if c.name in ("linear", "climatology")]
    return competition.compete(seen, character, entered, Bounds(), clock, 0.4, 0)


def test_bars_know_the_errors_of_further_trials(result):
    """The errors of the competition come first, and those of the further trials follow."""
    name, number = result.winner.name, result.residuals.weight.size
    assert set(result.further.error) == {name}
    np.testing.assert_array_equal(result.further.error[name][:number], result.residuals.error[name])
    np.testing.assert_array_equal(result.further.shape[:number], result.residuals.shape)
    assert result.further.shapes > 2 * result.residuals.shapes
    assert result.for_bars is result.further


def test_scores_do_not_depend_on_further_trials(result, monkeypatch):
    """Methods are compared at the points that were hidden from all of them."""
    monkeypatch.setattr(competition, "FURTHER", 0.0)
    alone = held(Clock(60.0))
    assert alone.further is None
    assert alone.comparison == result.comparison
    assert alone.for_bars is alone.residuals


def test_a_learned_winner_has_the_bars_of_its_own_errors(result):
    """Further trials are those of the best classical method."""
    network = competition.replace(result, winner=competition.replace(result.winner, name="learned"))
    assert network.for_bars is result.residuals


def test_further_trials_keep_to_their_time(result):
    """A trial that would take longer than what is left does not begin."""
    name = result.winner.name
    arguments = (result.residuals, name, result.trials, refuse, refuse, Tally(None))
    assert further.with_further(*arguments, 2.0, 1.0) is None


def test_a_method_that_fails_keeps_the_errors_it_has(result):
    """A failure in a further trial costs nothing."""
    seen = sea(60, 12, 14)[1]

    def draw(number: int):
        return drawn(seen, character_of(seen, "time"), result.reach, seen.size, [0, number])[0]

    arguments = (result.residuals, result.winner.name, result.trials, draw, refuse, Tally(None))
    assert further.with_further(*arguments, 0.0, 60.0) is None


def refuse(_):
    raise DataError("not this time")
