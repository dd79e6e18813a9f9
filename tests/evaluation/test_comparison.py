"""Comparisons find error bars by name, and score the right cells."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm
from scores.probability import crps_for_ensemble

from da4dvar.evaluation.comparison import Comparison, companions, compare_files, comparison
from da4dvar.evaluation.scores import evaluate_files, scores_of
from da4dvar.evaluation.text import table_of
from da4dvar.fields.files.store import open_dataset
from da4dvar.fields.labels.intervals import ends


def arrays(seed: int = 0, size: int = 400) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return an estimate, its reliable standard deviation and the truth."""
    generator = np.random.default_rng(seed)
    std = generator.uniform(0.5, 2, size)
    estimate = generator.standard_normal(size)
    truth = estimate + std * generator.standard_normal(size)
    return tuple(xr.DataArray(a, {"time": np.arange(size)}) for a in (estimate, std, truth))


@pytest.mark.parametrize("level", [0.9, 0.975, 0.999])
def test_an_interval_is_found_under_the_name_that_it_is_written_by(level):
    """An interval of any level is found by its written name and not scored as a variable."""
    low, high = ends("t", level)
    estimate, std, truth = arrays(size=20)
    ds = xr.Dataset({"t": estimate, low: estimate - std, high: estimate + std})
    assert companions(ds) == {low, high}
    found = comparison("t", {"estimate": estimate, "truth": truth, low: ds[low], high: ds[high]})
    assert found.interval(level) is not None


@pytest.fixture
def files(tmp_path):
    """Write est.nc with error bars, flags and cost terms, truth.nc and seen.nc; return their folder."""
    estimate, std, truth = arrays()
    ds = xr.Dataset({"t": estimate, "t_std": std, "t_flag": (estimate > 0).astype("int8")})
    ds["t_lower_90"], ds["t_upper_90"] = estimate - 3, estimate + 3
    ds["prior_term"] = ("window_time", [1.0, 2.0])
    ds.to_netcdf(tmp_path / "est.nc")
    # The truth has the same variables, like a filled file that serves as truth.
    ds.assign(t=truth).to_netcdf(tmp_path / "truth.nc")
    truth.where(truth.time % 4 == 0).to_dataset(name="t").to_netcdf(tmp_path / "seen.nc")
    return tmp_path


def test_a_name_that_only_looks_like_error_bars_is_scored():
    """A variable with a name like error bars, but without the variable it would describe, is scored."""
    ds = xr.Dataset(dict.fromkeys(("wind_std", "a_lower_bound", "t", "t_std_old", "t_lower_97.5"), 0.0))
    assert companions(ds) == {"t_lower_97.5"}


def test_the_table_scores_the_error_bars_of_the_file(files):
    """The CRPS is that of a large ensemble; the 90 % interval is that of the file, that of 50 % Gaussian."""
    estimate, std, truth = arrays()
    quantiles = xr.DataArray(norm.ppf((np.arange(2000) + 0.5) / 2000), dims="member")
    expected = float(crps_for_ensemble(estimate + std * quantiles, truth, "member", method="ecdf"))
    scores = evaluate_files(str(files / "est.nc"), str(files / "truth.nc"))
    assert list(scores) == ["t"]
    found = scores["t"]["all"]
    assert found["crps"] == pytest.approx(expected, rel=1e-3)
    assert found["spread_skill"] == pytest.approx(1, abs=0.1)
    found = evaluate_files(str(files / "est.nc"), str(files / "truth.nc"), str(files / "seen.nc"))["t"]
    error = np.abs(estimate - truth)
    assert found["all"]["coverage_90"] == pytest.approx(float((error <= 3).mean()))
    assert found["all"]["coverage_50"] == pytest.approx(float((error <= norm.ppf(0.75) * std).mean()))
    assert found["observed"]["cells"] + found["unobserved"]["cells"] == found["all"]["cells"]
    assert "CRPS" in table_of({"t": found})


def test_without_error_bars_the_table_is_as_before():
    """A table has no column without scores."""
    estimate, _, truth = arrays()
    table = table_of({"t": scores_of(Comparison("t", estimate, truth))})
    assert " ".join(table.split()[:7]) == "variable cells number RMSE bias R-score correlation"


def test_cells_that_count_are_hidden_and_known():
    """Unobserved cells that all arrays share are scored or, if every cell with a truth was observed, all."""
    estimate, std, truth = arrays()
    seen = truth.where(truth.time < 100)
    one = Comparison("t", estimate, truth.where(truth.time < 300), seen, std)
    assert int(one.scored.sum()) == 200
    np.testing.assert_array_equal(one.cells().truth, truth[100:300])
    np.testing.assert_array_equal(one.cells().std, std[100:300])
    assert int(Comparison("t", estimate, seen, seen).scored.sum()) == 100
    estimate, std, truth = arrays(size=12)
    pair = estimate.expand_dims(place=[0, 1])
    parts = {"estimate": pair, "truth": truth[2:].expand_dims(place=[1, 0], axis=1), "t_std": pair * 0 + std}
    one = comparison("t", parts)
    assert one.estimate.dims == one.truth.dims == one.std.dims == ("place", "time")
    assert one.estimate.shape == one.truth.shape == one.std.shape == (2, 10)


def test_a_variable_does_not_stay_in_memory(tmp_path, monkeypatch):
    """A variable that was compared does not stay in memory with the open file."""
    field = xr.DataArray([1.0, 2.0, 4.0], dims="t")
    xr.Dataset({"a": field, "b": field, "b_std": field}).to_netcdf(tmp_path / "all.nc")
    path = str(tmp_path / "all.nc")
    opened = [open_dataset(path) for _ in range(3)]
    left = iter(opened)
    monkeypatch.setattr("da4dvar.evaluation.comparison.open_dataset", lambda _: next(left))
    for _ in compare_files(path, path, path):
        assert not any(ds[name].variable._in_memory for ds in opened for name in ds.data_vars)
    assert next(left, None) is None
