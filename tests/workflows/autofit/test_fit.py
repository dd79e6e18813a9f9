"""Fit and fill from Python: the best of all methods for each variable, and what comes back."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import da4dvar
from da4dvar.errors import Da4dvarError, DataError, ModelError
from da4dvar.workflows.autofit import fit as fit_module
from da4dvar.workflows.autofit import learn as learn_module
from da4dvar.workflows.autofit.compete import Result, compete
from da4dvar.workflows.autofit.fitted import Fitted

QUICK = ["train.steps=3", "train.draws=2", "train.batch=2"]
QUICK += ["prior.width=3", "solver.width=3", "solver.iterations=2", "uncertainty.members=2"]


def network(days: int = 200, stations: int = 4) -> xr.Dataset:
    """Stations that share a signal, a tenth of their days missing, and a depth that is not filled."""
    generator = np.random.default_rng(0)
    common = np.cumsum(generator.standard_normal(days))[:, None]
    values = 5 + common + 0.3 * generator.standard_normal((days, stations))
    values[generator.random(values.shape) < 0.1] = np.nan
    return xr.Dataset(
        {
            "pm": (("time", "station"), values, {"units": "ug/m3"}),
            "depth": ("station", np.arange(float(stations))),
        },
        coords={"time": xr.date_range("2001-01-01", periods=days), "station": list("abcdefgh"[:stations])},
    )


def quiet(line: str) -> None:
    """Take a line and do nothing with it."""


def filled(ds, **options):
    """The data filled by linear interpolation, without a competition."""
    return da4dvar.fill(ds, **({"minutes": 0.02, "method": "linear", "say": quiet} | options))


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """The outcome of a competition."""
    return da4dvar.fit(network(), minutes=0.05, say=quiet)


def test_a_fill_that_takes_longer_than_allowed_is_said(monkeypatch):
    """With the time that it takes; it is done even so."""
    monkeypatch.setattr(fit_module, "compete", lambda *given: replace(compete(*given), seconds=600.0))
    lines: list[str] = []
    assert filled(network(), say=lines.append).pm.notnull().all()
    (line,) = (line for line in lines if "needed" in line)
    assert line == (
        "pm: about 10 min are needed to fill it by linear, which is longer than --minutes 0.02 leaves"
    )


def test_the_best_method_fills(fitted):
    """The one with the smallest error at hidden points; the error is an attribute of the result."""
    scores = fitted.scores["pm"]
    assert {"linear", "climatology", "gaussian_em", "nearest_stations"} <= set(scores.rmse)
    assert fitted.method == {"pm": scores.ranked()[0]}
    out = fitted.interpolate(network())
    error, spread = scores.rmse[scores.winner]
    assert out.pm.attrs["filled_by"] == scores.winner
    assert out.pm.attrs["rmse_on_hidden_points"] == error
    assert out.pm.attrs["rmse_on_hidden_points_standard_error"] == spread
    assert out.pm.attrs["rmse_scale"] == fitted.scores["pm"].scale
    assert (fitted.model, fitted.tables) == (None, {})
    assert repr(fitted) == f"<da4dvar.Fitted>\n    pm: {scores.winner}"
    assert fitted.table().startswith(f"pm: filled by {scores.winner}")


def test_everything_else_is_as_it_was(fitted):
    """Gaps are filled and flagged; other variables, labels and observed values are the same."""
    ds = network()
    out = fitted.interpolate(ds, std=True, interval=[0.5, 0.9])
    seen = ds.pm.notnull().values
    assert out.pm.notnull().all()
    assert out.pm.values[seen].tobytes() == ds.pm.values[seen].tobytes()
    assert set(np.unique(out.pm_flag.values[~seen])) <= {1, 3}
    assert (out.pm_flag.values[seen] == 0).all()
    xr.testing.assert_identical(out.depth, ds.depth)
    assert out.coords.equals(ds.coords)
    assert (out.pm_lower_90 < out.pm_lower_50).values[~seen].all()
    assert (out.pm_std > 0).values[~seen].all()
    analysis = fitted.interpolate(ds, analysis=True)
    assert (analysis.pm.values[~seen] == out.pm.values[~seen]).all()


def test_other_data_like_them_are_filled(fitted):
    """Another part of the record, and a variable that is not there is refused."""
    part = network(300).isel(time=slice(100, 300))
    assert fitted.interpolate(part).pm.notnull().all()
    assert fitted.interpolate(part.pm).pm.notnull().all()
    with pytest.raises(DataError, match=r"there is no variable 'pm': .*there are: depth, pn"):
        fitted.interpolate(network().rename(pm="pn"))


def test_gaps_beyond_what_was_scored_have_flag_3(fitted):
    """In a gap that is longer than any that was hidden, and the share of them is counted."""
    ds = network()
    ds.pm[20:90, 1] = np.nan
    out = fitted.interpolate(ds)
    assert (out.pm_flag[20:90, 1] == 3).all()
    assert (out.pm_flag != 3)[100:].all()
    fitted.counted(ds)
    share = float((out.pm_flag == 3).sum() / ds.pm.isnull().sum())
    assert fitted.scores["pm"].beyond == pytest.approx(share)


def test_only_a_network_can_be_saved(fitted, tmp_path):
    """The message says which method is the best, and how to train a network."""
    with pytest.raises(ModelError, match=r"no network to save, as the best method is \w+; save the fit"):
        fitted.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_network_is_trained_on_request(tmp_path):
    """It fills, takes part in the table with the other methods, and its file gives the same estimates."""
    ds = network()[["pm"]]
    lines: list[str] = []
    found = da4dvar.fit(ds, minutes=0.05, method="learned", settings=QUICK, seed=3, say=lines.append)
    assert found.method == {"pm": "learned"}
    assert {"learned", "linear"} <= set(found.scores["pm"].rmse)
    assert found.tables["prior"]["width"] == 3
    assert found.tables["train"]["seed"] == 3
    assert {"layout", "scaling", "gaps"} <= {line.split(":")[0] for line in lines}
    found.save(tmp_path / "m.safetensors")
    again = da4dvar.load(tmp_path / "m.safetensors").interpolate(ds)
    np.testing.assert_allclose(again.pm, found.interpolate(ds).pm, atol=1e-4)


@pytest.mark.parametrize("variable", ["pm", ["pm"], {"pm": "pm"}, None])
def test_a_variable_is_a_name_or_a_list_of_names(variable):
    """Or a mapping, which renames it."""
    out = filled(network(), variable=variable)
    assert out.pm.notnull().all()
    assert "depth" in out
    renamed = filled(network(), variable={"dust": "pm"})
    assert renamed.dust.equals(out.pm.rename("dust"))
    assert "pm" not in renamed


def test_a_data_array_is_filled():
    """Under its name, or as ``data``."""
    ds = network()
    assert filled(ds.pm).pm.equals(filled(ds).pm)
    assert filled(ds.pm.rename(None)).data.equals(filled(ds).pm.rename("data"))


def test_variables_of_different_character_go_through_one_call():
    """Each is filled by its own best method: rain stays dry or wet, a direction goes around the circle."""
    generator = np.random.default_rng(1)
    gone = generator.random((300, 3)) < 0.1
    wet = np.where(generator.random((300, 3)) < 0.3, generator.gamma(0.5, 8.0, (300, 3)), 0.0)
    angle = (350 + 25 * np.cumsum(generator.standard_normal((300, 3)), 0)) % 360
    parts = {
        "t2m": (wet * 0 + generator.standard_normal((300, 3)) - 5, {"units": "degC"}),
        "pr": (wet, {"units": "mm"}),
        "wd": (angle, {"units": "degree", "standard_name": "wind_from_direction"}),
    }
    ds = xr.Dataset(
        {n: (("time", "station"), np.where(gone, np.nan, v), a) for n, (v, a) in parts.items()},
        {"time": xr.date_range("2001-01-01", periods=300)},
    )
    found = da4dvar.fit(ds, minutes=0.05, say=quiet)
    assert set(found.method) == {"t2m", "pr", "wd"}
    assert "logarithmic" not in found.scores["t2m"].rmse
    out = found.interpolate(ds)
    for name in ds:
        assert out[name].notnull().all()
    assert float(out.pr.min()) == 0
    assert 0 <= float(out.wd.min()) <= float(out.wd.max()) < 360
    assert float(out.t2m.min()) < 0
    # Errors around the circle are at most half of it.
    assert all(error <= 180 for error, _ in found.scores["wd"].rmse.values())


def test_what_has_no_gaps_is_left_as_it_is():
    """Complete variables, and cells that are never observed, each with a line."""
    lines: list[str] = []
    complete = network().fillna(1.0)
    xr.testing.assert_identical(filled(complete, say=lines.append), complete)
    assert "pm: no gaps; copied unchanged" in lines
    land = complete.assign(pm=complete.pm.where(complete.station != "b"))
    xr.testing.assert_identical(filled(land, say=lines.append), land)
    assert "pm: the missing values are cells that are never observed; left as they are" in lines


@pytest.mark.parametrize(("options", "number"), [
    ({"max_gap": "2D"}, "1"), ({"max_gap": "4D", "dim": "time"}, "1-3"), ({"limit_area": "inside"}, "inside"),
    ({"max_gap": 2, "dim": "x", "limit_area": "inside"}, "x"),
])  # fmt: skip
def test_limits_leave_gaps_as_xarray_does(options, number):
    """A gap that is left has flag 2."""
    ds = network().assign_coords(x=("station", np.arange(4.0))).swap_dims(station="x")
    ds.pm[:4, 1] = np.nan
    dim = options.get("dim", "time")
    expected = ds.pm.interpolate_na(
        dim, max_gap=options.get("max_gap"),
        **({} if "limit_area" in options else {"fill_value": "extrapolate"}),
    )  # fmt: skip
    out = filled(ds, **options)
    np.testing.assert_array_equal(out.pm.isnull(), expected.isnull())
    np.testing.assert_array_equal(out.pm_flag == 2, expected.isnull())


def test_flags_follow_the_scheme():
    """The codes of a community, whatever method fills."""
    out = filled(network(), flags="argo")
    assert set(np.unique(out.pm_flag)) <= {0, 8, 3}
    assert set(np.unique(out.pm_flag)) >= {0, 8}


@pytest.mark.parametrize(("options", "message"), [
    ({"variable": "pn"}, "there is no variable 'pn': did you mean 'pm'"),
    ({"method": "kriging"}, "'kriging': there are: auto, climatology"),
    ({"minutes": 0}, "minutes is 0, expected a number above 0"),
    ({"interval": 2}, "got 2, expected numbers above 0"), ({"flags": "qc"}, "flags 'qc'"),
    ({"dim": "lat", "max_gap": 3}, "has no dimension 'lat'"), ({"dim": {"time": "t"}}, "no dimension 't'"),
    ({"bounds": "q=0:"}, "bounds of 'q': it is not among the fields, which are pm"),
    ({"max_gap": "x"}, "max_gap is 'x', expected a duration"), ({"minutes": "5"}, "minutes is '5'"),
    ({"mask": 5}, "mask is of type int"), ({"times": "drop"}, "times"),
    ({"seed": -1}, "seed is -1, expected 0 or more"),
])  # fmt: skip
def test_a_mistake_is_one_line(options, message):
    """It says what was expected."""
    with pytest.raises(Da4dvarError, match=message) as refused:
        filled(network(), **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("data", [pd.DataFrame({"a": [1.0, np.nan]}), np.zeros(3), "gappy.nc", None])
def test_what_is_no_data_set_is_refused(data, fitted):
    """With the type, and how a table becomes a data set."""
    for call in (da4dvar.fit, da4dvar.fill, fitted.interpolate):
        with pytest.raises(DataError, match=r"got .*, expected a Dataset or a DataArray; \w+ "):
            call(data)


def test_the_accessor_fills():
    """Of a data set and of an array; so much time that the number of trials does not depend on it."""
    ds = network()
    options = {"minutes": 1, "method": "linear", "say": quiet}
    assert ds.da4dvar.fill(**options).identical(filled(ds, minutes=1))
    assert ds.pm.da4dvar.fill(**options).pm.identical(filled(ds.pm, minutes=1).pm)


@pytest.fixture
def at_once(monkeypatch):
    """A competition of linear interpolation alone, and a training in whatever time is left after it."""
    every = fit_module.classical
    monkeypatch.setattr(fit_module, "classical", lambda c: [m for m in every(c) if m.name == "linear"])
    monkeypatch.setattr(fit_module, "SHORTEST", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_network_that_would_take_too_long_is_left_out(monkeypatch):
    """Its scores and the file have to fit into what is left of the time, or the classical winner fills."""
    monkeypatch.setattr(fit_module, "_time_of", lambda *arguments: 1e6)
    lines: list[str] = []
    found = da4dvar.fit(network()[["pm"]], minutes=0.5, settings=QUICK, say=lines.append)
    assert found.model is None
    assert [line for line in lines if "1000000 s; left out" in line]


def taking(seconds: float, *arguments: object) -> Result:
    """The outcome of a competition whose winner would fill the file in some seconds."""
    result = compete(*arguments)
    result.seconds = seconds
    return result


@pytest.mark.usefixtures("at_once")
def test_a_network_for_whose_training_there_is_no_time_is_left_out(monkeypatch):
    """A training of some large field would otherwise go on for minutes after its time."""
    monkeypatch.setattr(fit_module, "compete", lambda *arguments: taking(0.0, *arguments))
    monkeypatch.setattr(learn_module, "steps_in", lambda *arguments: 19)
    lines: list[str] = []
    assert da4dvar.fit(network()[["pm"]], minutes=0.5, say=lines.append).model is None
    assert [line for line in lines if "next to no training steps fit into" in line]


@pytest.mark.usefixtures("at_once")
def test_a_network_whose_first_guess_would_take_too_long_is_not_trained(monkeypatch):
    """The first guess alone is needed several times."""
    monkeypatch.setattr(fit_module, "compete", lambda *arguments: taking(1e6, *arguments))
    monkeypatch.setattr(learn_module, "trained", lambda *arguments: pytest.fail("it was trained"))
    lines: list[str] = []
    assert da4dvar.fit(network(), minutes=0.5, say=lines.append).model is None
    assert [line for line in lines if "for its first guess alone; left out" in line]
