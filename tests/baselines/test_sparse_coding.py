"""Tests of sparse coding: the problem that it solves, and what it refuses."""

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import Lasso

from da4dvar.baselines.sparse_coding import SparseCoding
from da4dvar.errors import DataError, RecipeError


def images(number: int, seed: int = 0) -> xr.Dataset:
    """Images of 5 × 4 cells that are sums of two of six patterns."""
    patterns = np.random.default_rng(9).standard_normal((6, 20))
    generator = np.random.default_rng(seed)
    weights = generator.standard_normal((number, 6)) * (generator.random((number, 6)).argsort(1) < 2)
    return xr.Dataset({"v": (("sample", "y", "x"), (weights @ patterns).reshape(number, 5, 4))})


def gappy(ds: xr.Dataset, seed: int = 1) -> xr.Dataset:
    """Images with three in ten cells missing."""
    return ds.where(xr.DataArray(np.random.default_rng(seed).random(ds.v.shape) < 0.7, dims=ds.v.dims))


def test_lasso_in_turns_ends_where_coding_the_observed_pixels_alone_does():
    """The turns converge to scikit-learn's Lasso on the observed rows of D, for each image."""
    baseline = SparseCoding(images(300), atoms=8, coding="lasso", alpha=0.2, turns=400)
    y = gappy(images(4, seed=2))
    found = baseline.interpolate(y).v.values.reshape(4, 20)
    mean, dictionary = baseline.dictionaries["v"]
    for image, estimate in zip(y.v.values.reshape(4, 20), found, strict=True):
        seen = np.isfinite(image)
        oracle = Lasso(alpha=0.2 / seen.sum(), fit_intercept=False, max_iter=100_000, tol=1e-12)
        oracle.fit(dictionary.T[seen], (image - mean)[seen])
        np.testing.assert_allclose(estimate, oracle.coef_ @ dictionary + mean, atol=1e-3)


def test_pursuit_uses_no_more_atoms_than_it_may():
    """Decoded images have at most `sparsity` atoms, and fill gaps better than the mean."""
    baseline = SparseCoding(images(300), atoms=8, sparsity=2, turns=20)
    truth = images(40, seed=3)
    found = baseline.interpolate(gappy(truth)).v
    mean, dictionary = baseline.dictionaries["v"]
    codes = np.linalg.lstsq(dictionary.T, (found.values.reshape(40, 20) - mean).T, rcond=None)[0]
    assert ((np.abs(codes) > 1e-6).sum(0) <= 2).all()
    hidden = gappy(truth).v.isnull()
    assert float(((found - truth.v) ** 2).where(hidden).mean()) < 0.5 * float(truth.v.where(hidden).var())


def test_observed_values_are_put_back_where_that_is_wanted():
    """`keep_observed` restores the observed values and does not change the gaps."""
    y, truth = gappy(images(4)), images(4)
    plain, kept = (
        SparseCoding(images(100), atoms=6, sparsity=2, turns=3, keep_observed=keep) for keep in (False, True)
    )
    seen = y.v.notnull()
    xr.testing.assert_equal(kept.interpolate(y).v.where(seen), y.v)
    xr.testing.assert_equal(kept.interpolate(y).v.where(~seen), plain.interpolate(y).v.where(~seen))
    xr.testing.assert_equal(kept.projected(truth), plain.interpolate(truth))


def test_mistakes_are_refused():
    """The message states what was given and what was expected."""
    with pytest.raises(RecipeError, match="no coding 'lars'"):
        SparseCoding(images(9), coding="lars")
    with pytest.raises(RecipeError, match="a sparsity of at most the number of atoms"):
        SparseCoding(images(9), atoms=3, sparsity=4)
    few = SparseCoding(images(9), atoms=3, sparsity=2)
    with pytest.raises(DataError, match="no dimension 'y'; it has sample, x"):
        few.interpolate(images(2).isel(y=0))
    with pytest.raises(DataError, match="4 cells along 'y', but its history has 5"):
        few.interpolate(images(2).isel(y=slice(4)))
    with pytest.raises(DataError, match="the history has no variable 'w'"):
        few.interpolate(images(2).rename(v="w"))
    with pytest.raises(DataError, match="the history of 'v' has gaps"):
        SparseCoding(gappy(images(9)), atoms=3, sparsity=2).interpolate(images(2))
