"""Models that correct optimal interpolation of the anomalies: first guess, training, use and model file."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from examples import RECIPE, gappy_sst, make_sst

import da4dvar
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.baselines.places import places
from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.testing import normal, seeded
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.kernels import Separable, SumOfSeparable
from da4dvar.variational.solvers.correction import Correction
from da4dvar.workflows.recipe import Recipe

COVARIANCE = SumOfSeparable((Separable(0.3, 60.0, 3.0), Separable(0.7, 200.0, 20.0)), nugget=0.02)
GUESS = OptimalInterpolation(background="zero", covariance=COVARIANCE)
LAYOUT = da4dvar.Layout(["sst"], ["lat", "lon"], ["time"], window={"time": 6, "lat": 5, "lon": 6})
TABLES = {
    "first_guess": {"kind": "optimal_interpolation", "background": "zero", "covariance": COVARIANCE.table()},
    "prior": {"kind": "none"},
    "solver": {"kind": "correction", "width": 8, "coarse_width": 8},
    "uncertainty": {"members": 2},
}


def correction(drawn: bool = True) -> Correction:
    """Return a correction with drawn weights, or one that changes nothing."""

    def make() -> Correction:
        made = Correction(6, ("zero", "zero"), 8, 8)
        if drawn:
            torch.nn.init.normal_(made.out.convolution.weight, std=0.1)
        return made

    return seeded(make)


def model(solver: Correction, **options: object) -> da4dvar.Interpolator:
    """Return an untrained model of the small sea that knows its season."""
    given = {"first_guess": GUESS} | options
    made = da4dvar.Interpolator(torch.nn.Identity(), solver, LAYOUT, Anomaly(harmonics=1), **given)
    return made.prepare(make_sst(400, seed=1))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> da4dvar.Interpolator:
    """A model that a recipe trains in two steps, with error bars."""
    folder = tmp_path_factory.mktemp("trained")
    make_sst(70).to_netcdf(folder / "truth.nc")
    tables = tomllib.loads(RECIPE.format(steps=2)) | TABLES
    tables["train"] |= {"draws": 2}
    return Recipe(tables, folder).train(folder / "log")


def test_an_untrained_model_is_the_linear_estimate_of_all_observations():
    """x̂ = K Hᵀ (H K Hᵀ + ε²)⁻¹ y of the normalised anomalies, also in cells that were never observed."""
    ds, made = gappy_sst(12, part=0.2), model(correction(drawn=False))
    ds.sst[:, 4:6, 3:5] = np.nan
    filled = made.interpolate(ds, analysis=True)
    y = made.states(ds)[0]
    place, clock = places(ds.sst, ["lat", "lon"]), np.arange(12.0)
    distance = np.linalg.norm(place[:, None] - place, axis=-1)
    k = COVARIANCE(distance[None, :, None, :], np.abs(clock[:, None] - clock)[:, None, :, None])
    k, seen = k.reshape(y.size, y.size), np.isfinite(y.values.ravel())
    system = k[np.ix_(seen, seen)] + COVARIANCE.nugget * np.eye(seen.sum())
    expected = k[:, seen] @ np.linalg.solve(system, y.values.ravel()[seen])
    error = np.sqrt(COVARIANCE.variance - np.einsum("ij,ji->i", k[:, seen], np.linalg.solve(system, k[seen])))
    sea = made.guess(ds).sst.notnull().values
    assert sea.sum() == 12 * (72 - 4)
    np.testing.assert_allclose(made.states(filled)[0].values[sea], expected.reshape(y.shape)[sea], atol=1e-3)
    found = made.guess_error(made.guess(ds)).sst_std.values
    np.testing.assert_allclose(found[sea], error.reshape(y.shape)[sea], atol=1e-3)
    assert not found[~sea].any()


def test_the_correction_is_odd():
    """If all anomalies change their sign, so does the estimate."""
    solver, sigma = correction(), normal(2, 6, 5, 6, seed=3).abs()
    y, x0 = normal(2, 6, 5, 6), normal(2, 6, 5, 6, seed=1)
    cost = VariationalCost(torch.nn.Identity())
    with torch.no_grad():
        one, other = (solver(cost.given(s * y, y > 0, sigma), s * x0).x for s in (1, -1))
    assert (one - x0).abs().max() > 0.01
    torch.testing.assert_close(other, -one)


def test_innovations_are_seen_in_units_of_the_standard_error():
    """An observation changes the correction; a cell whose first guess is exact is not corrected."""
    solver, sigma = correction(), torch.ones(1, 6, 5, 6)
    sigma[..., 0] = 0.0
    y, x0, mask = torch.ones(1, 6, 5, 6), torch.zeros(1, 6, 5, 6), torch.zeros(1, 6, 5, 6, dtype=torch.bool)
    mask[0, 2, 2, 2] = True
    cost = VariationalCost(torch.nn.Identity())
    with torch.no_grad():
        with_it, without = (solver(cost.given(y, m, sigma), x0).x for m in (mask, mask & False))
    assert (with_it - without).abs().max() > 1e-3
    assert not with_it[..., 0].any()


def test_a_recipe_trains_it_and_its_file_gives_the_same(trained, tmp_path):
    """The file holds the covariance; lazy data, a part of the grid and a short series are filled."""
    assert trained.calibration is not None
    assert trained.model.solver.out.convolution.weight.abs().max() > 0
    trained.save(tmp_path / "m.safetensors")
    loaded, ds = da4dvar.load(tmp_path / "m.safetensors"), gappy_sst(20)
    assert loaded.first_guess.covariance == COVARIANCE.table()
    filled = trained.interpolate(ds)
    xr.testing.assert_identical(loaded.interpolate(ds).sst, filled.sst)
    xr.testing.assert_allclose(loaded.interpolate(ds.chunk(time=5)).sst.compute(), filled.sst, atol=1e-4)
    bars = loaded.interpolate(ds, interval=0.9)
    assert (bars.sst_lower_90 < bars.sst_upper_90).sum() == (bars.sst_flag != 2).sum()
    for part in ({"time": slice(4)}, {"lat": slice(2, 5), "lon": slice(2, 8)}):
        some = loaded.interpolate(ds.isel(part)).sst
        assert some.notnull().equals(make_sst(20).sst.isel(part).notnull())


def test_far_from_all_observations_the_estimate_is_the_season(trained):
    """Windows without observations are filled as well, from what the correlation reaches."""
    ds = gappy_sst(120)
    ds.sst[1:] = np.nan
    usual, filled = trained.scaling.climatology(ds, "sst"), trained.interpolate(ds)
    np.testing.assert_allclose(filled.sst[-1], usual[-1], atol=0.05)
    assert np.abs(filled.sst[1] - usual[1]).max() > 0.2


def test_what_cannot_be_corrected_is_refused():
    """Neither a first guess, nor its standard error, may be missing; covariates are not read."""
    for options in ({"first_guess": None}, {"covariates": ["depth"]}):
        with pytest.raises(RecipeError, match="Correction needs a first guess with standard errors"):
            model(correction(), **options)
    with pytest.raises(DataError, match="by Linear has no standard error"):
        model(correction(), first_guess=Linear()).interpolate(gappy_sst(20))
    cost = VariationalCost(torch.nn.Identity()).given(torch.ones(1, 6, 5, 6), torch.ones(1, 6, 5, 6) > 0)
    with pytest.raises(ValueError, match="standard errors have shape None"):
        correction()(cost, torch.zeros(1, 6, 5, 6))
    with pytest.raises(ValueError, match="expected multiples of 8"):
        Correction(6, ("zero", "zero"), width=12)


def test_a_method_that_estimates_its_background_gets_the_data_themselves():
    """Only a background of zero means that the first guess is made from anomalies."""
    ds, made = gappy_sst(20), model(correction(), first_guess=Climatology(harmonics=0))
    xr.testing.assert_identical(made.guess(ds), Climatology(harmonics=0).interpolate(ds))


def test_without_a_covariance_one_is_fitted_to_the_anomalies():
    """The first guess of a file then depends on that file alone, beyond the climatology."""
    ds, made = gappy_sst(20), model(correction(), first_guess=OptimalInterpolation(background="zero"))
    guess, unseen = made.guess(ds), make_sst(20).sst.where(ds.sst.isnull())
    usual = made.scaling.climatology(ds, "sst")
    assert float(((guess.sst - unseen) ** 2).mean()) < 0.1 * float(((usual - unseen) ** 2).mean())


def test_rounded_weights_take_half_the_space(tmp_path):
    """Weights that half precision holds are stored in it, and come back with the same bits."""
    made = model(correction())
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    made.save(whole)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.copy_(parameter.half())
    made.save(half)
    size = 4 * sum(p.numel() for p in made.model.parameters())
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(size / 2, rel=0.05)
    loaded = da4dvar.load(half).model.state_dict()
    for name, tensor in made.model.state_dict().items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], tensor), name


def test_regions_need_all_of_the_data(tmp_path):
    """A data set that does not fit in memory, and workers, are refused in one line."""
    path: Path = tmp_path / "gappy.nc"
    gappy_sst(20).to_netcdf(path)
    made = model(correction())
    with pytest.raises(DataError, match="the model's first guess needs all of the data at once"):
        da4dvar.interpolate_file(path, tmp_path / "out.nc", made, scheduler="threads")
