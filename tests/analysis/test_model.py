"""The record of what a model has learned, as it is shown."""

from examples import tiny_interpolator

import da4dvar
from da4dvar.analysis.ensemble import Ensemble


def test_a_model_shows_what_it_fills_and_how(model, gappy, truth):
    """A few lines have variables with units, windows, parts, scores and error bars, as far as known."""
    model.calibrate(gappy, truth, ensemble=Ensemble(2))
    shown = repr(model.replaced(scores={"test_rmse": 0.12345}, provenance={"title": "A small sea"}))
    for part in (
        "<da4dvar.Interpolator: A small sea>",
        "sst [degC]",
        "time (6), lat (5), lon (6)",
        "UNet",
        "ConvLSTM, 3 iterations",
        "test_rmse 0.1235",
        "2 members, calibrated",
    ):
        assert part in shown
    assert len(shown.splitlines()) < 12
    shown = repr(tiny_interpolator())
    assert "<da4dvar.Interpolator: not fitted>" in shown
    assert "scores" not in shown
    assert "Chain, 32 iterations" in repr(da4dvar.load("lorenz96-ode"))
