"""Scores from sums over parts are those of the whole, whatever the parts."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.evaluation.comparison import compare_files
from da4dvar.evaluation.in_parts import is_lazy, scores_in_parts
from da4dvar.evaluation.scores import evaluate_files, scores_of
from da4dvar.fields.labels.intervals import ends


@pytest.fixture
def files(tmp_path):
    """Write est.nc with error bars, truth.zarr in another order and unit, and seen.nc; return their paths."""
    generator = np.random.default_rng(0)
    shape, dims = (30, 7, 9), ("time", "lat", "lon")
    coords = {d: np.arange(n) for d, n in zip(dims, shape, strict=True)}
    truth = xr.DataArray(generator.normal(20, 3, shape), coords, dims, attrs={"units": "degC"})
    std = xr.DataArray(generator.uniform(0.5, 2, shape), coords, dims)
    estimate = (truth + std * generator.standard_normal(shape)).where(generator.random(shape) < 0.9)
    ds = xr.Dataset({"t": estimate.assign_attrs(units="degC"), "t_std": std.where(std > 0.6)})
    low, high = ends("t", 0.9)
    ds[low], ds[high] = estimate - 2, estimate + 2
    paths = [str(tmp_path / name) for name in ("est.nc", "truth.zarr", "seen.nc")]
    ds.to_netcdf(paths[0])
    kelvin = (truth.where(generator.random(shape) < 0.8) + 273.15).assign_attrs(units="K")
    kelvin.isel(time=slice(1, None)).transpose("lon", "time", "lat").to_dataset(name="t").chunk(
        lon=4, time=8
    ).to_zarr(paths[1])
    truth.where(generator.random(shape) < 0.4).to_dataset(name="t").to_netcdf(paths[2])
    return paths


@pytest.fixture
def small_parts(monkeypatch):
    """Read a hundred numbers at a time."""
    monkeypatch.setattr("da4dvar.fields.files.opening.PART", 800)


@pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning")
@pytest.mark.parametrize("given", [1, 2, 3], ids=["itself", "truth", "observations"])
def test_parts_give_the_scores_of_the_whole(files, small_parts, given):
    """Of all cells, of observed and unobserved ones, and those of error bars and intervals."""
    paths = [files[0], files[0]] if given == 1 else files[:given]
    whole = {one.name: scores_of(one) for one in compare_files(*paths)}
    found = evaluate_files(*paths)
    assert list(found) == ["t"]
    assert found["t"].keys() == whole["t"].keys()
    for kind, scores in whole["t"].items():
        assert found["t"][kind] == pytest.approx(scores, rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning")
def test_one_part_is_in_memory_at_a_time(files, small_parts, monkeypatch):
    """No more than a hundred numbers are read at once, of any variable."""
    sizes: list[int] = []
    monkeypatch.setattr("da4dvar.evaluation.in_parts.check_finite", lambda part, _: sizes.append(part.size))
    (one,) = compare_files(*files, lazily=True)
    assert is_lazy(one)
    evaluate_files(*files)
    assert max(sizes) <= 100
    assert sum(sizes) >= one.truth.size


def test_a_kind_without_cells_has_no_scores(tmp_path, small_parts):
    """As in memory."""
    t = xr.Dataset({"t": ("time", np.arange(300.0))}, {"time": np.arange(300)})
    t.to_netcdf(tmp_path / "t.nc")
    path = str(tmp_path / "t.nc")
    (one,) = compare_files(path, path, path)
    (lazy,) = compare_files(path, path, path, lazily=True)
    assert scores_in_parts(lazy)["unobserved"]["cells"] == 0
    assert scores_in_parts(lazy)["unobserved"] == pytest.approx(scores_of(one)["unobserved"], nan_ok=True)


def test_infinite_values_are_one_line(tmp_path, small_parts):
    """When their part is read."""
    t = xr.Dataset({"t": ("time", np.arange(300.0))}, {"time": np.arange(300)})
    t.to_netcdf(tmp_path / "t.nc")
    t.where(t.time != 299, np.inf).to_netcdf(tmp_path / "broken.nc")
    with pytest.raises(DataError, match="variable 't' has 1 infinite values"):
        evaluate_files(str(tmp_path / "t.nc"), str(tmp_path / "broken.nc"))
