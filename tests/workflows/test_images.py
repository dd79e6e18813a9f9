"""Images: samples of two dimensions and no time, priors of one size, and priors that are learned alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from door import ran

import da4dvar
from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.files.store import load_dataset, write_dataset
from da4dvar.fields.gaps.squares import Squares
from da4dvar.fields.scaling.standard import Standard
from da4dvar.testing import seeded
from da4dvar.training.plan import Training
from da4dvar.variational.priors.autoencoder import DenseAutoencoder
from da4dvar.variational.priors.pca import PCA
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.lstm import ConvLSTM
from da4dvar.workflows.fill import fill_classically
from da4dvar.workflows.twin import hide

DIGITS = Path(__file__).parents[2] / "datasets" / "mnist" / "mnist_512.nc"
SQUARES = Squares(3, {"y": 9, "x": 9})
PRIORS: dict[str, Any] = {
    "pca": lambda: PCA(1, [28, 28], components=20),
    "autoencoder": lambda: DenseAutoencoder(1, [28, 28], encoder=(30, 10), decoder=(30,)),
    "unet": lambda: UNet(1, ("zero", "zero"), width=4, fold=4),
}


@pytest.fixture(scope="module")
def digits():
    """128 digits, complete."""
    return load_dataset(DIGITS)[["digit"]].isel(sample=slice(128))


def fitted(digits: xr.Dataset, prior: str, **settings: Any) -> da4dvar.Interpolator:
    """A model of a few steps, with a validation part that it finds itself."""
    model = seeded(
        lambda: da4dvar.Interpolator(
            prior=PRIORS[prior](),
            solver=ConvLSTM(1, ("zero", "zero"), width=4, iterations=2, downsampling=4),
            layout=da4dvar.Layout(["digit"], axes=["y", "x"]),
            scaling=Standard(),
            initial="observed",
        )
    )
    plan = {"steps": 2, "batch": 8, "validate_every": 2, "validation_samples": 8, "device": "cpu"}
    training = Training(**(plan | settings))
    return model.fit(digits, digits, gaps=SQUARES, noise=0.03, training=training)


def hidden(digits: xr.Dataset) -> xr.Dataset:
    """The digits with three squares cut out of each."""
    observed = SQUARES.draw(np.random.default_rng(0), {str(d): n for d, n in digits.digit.sizes.items()})
    return digits.where(xr.DataArray(observed, dims=digits.digit.dims))


@pytest.mark.parametrize("prior", PRIORS)
def test_images_without_a_time_are_learned_from_and_filled(digits, prior, tmp_path):
    """Labels are kept; an image alone and a model from its file give the same estimate, for every prior."""
    model, gappy = fitted(digits, prior), hidden(digits).isel(sample=slice(5)).transpose("x", "sample", "y")
    filled = model.interpolate(gappy)
    assert filled.digit.dims == ("x", "sample", "y")
    assert filled.digit.notnull().all()
    xr.testing.assert_equal(filled.sample, gappy.sample)
    alone = model.interpolate(gappy.isel(sample=[2]))
    xr.testing.assert_allclose(alone.digit, filled.digit.isel(sample=[2]), rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "model.safetensors")
    xr.testing.assert_equal(
        da4dvar.load(tmp_path / "model.safetensors").interpolate(gappy).digit, filled.digit
    )


def test_components_are_those_of_the_training_digits(digits):
    """PCA is fitted without being asked; they are the best of their number for all of them."""
    prior = fitted(digits, "pca", steps=0).model.cost.prior
    assert isinstance(prior, PCA)
    train = digits.digit[:116]
    x = torch.from_numpy(((train - train.mean()) / train.std()).values).float()[:, None]
    best = PCA(1, [28, 28], components=20).fit(x)
    assert prior.fitted
    left, least = ((x - one(x)).square().mean().item() for one in (prior, best))
    assert left == pytest.approx(least, rel=0.01)


@pytest.mark.parametrize("prior", ["autoencoder", "unet"])
def test_a_network_is_learned_alone_and_then_kept(digits, prior):
    """The projection error falls in its own steps, and at a rate of zero nothing changes afterwards."""
    plan = {"prior_steps": 60, "rate": 3e-3, "prior_rate": 0.0, "nu": (1.0, 0.0, 0.0)}
    alone, joint = (fitted(digits, prior, steps=steps, **plan).model for steps in (0, 2))
    raw = fitted(digits, prior, steps=0).model

    def error(model: Any) -> float:
        x = torch.from_numpy(((digits.digit - 0.13) / 0.31).values)[:, None]
        with torch.no_grad():
            return float((x - model.cost.prior(x)).square().mean())

    assert error(alone) < 0.8 * error(raw)
    assert error(joint) == error(alone)
    assert all(p.requires_grad for p in joint.cost.prior.parameters())


def test_what_cannot_be_trained_is_refused(digits):
    """A prior without weights is not trained alone, and a single image has no validation part."""
    model = fitted(digits, "unet", steps=0)
    model.model.cost.prior = torch.nn.Identity()
    plan = Training(steps=0, prior_steps=5, device="cpu")
    with pytest.raises(RecipeError, match="cannot be trained alone: there is nothing to learn"):
        model.fit(digits, digits, gaps=SQUARES, training=plan)
    with pytest.raises(
        DataError, match="no dimension 'time' and no other dimension to split; pass `validation`"
    ):
        fitted(digits.isel(sample=0, drop=True), "unet")


def test_images_of_another_size_are_refused(digits):
    """A prior that sees all cells at once knows one size; a U-Net takes any."""
    small = hidden(digits).isel(sample=slice(2), y=slice(20))
    with pytest.raises(DataError, match="'y' has 20 entries, but the model was trained on 28"):
        fitted(digits, "pca").interpolate(small)
    assert fitted(digits, "unet").interpolate(small).digit.notnull().all()


def test_a_file_of_digits_is_filled_on_the_command_line(digits, tmp_path):
    """As `gaps --kind squares` leaves them: every image has squares of its own, and all are filled."""
    fitted(digits, "unet").save(tmp_path / "model.safetensors")
    gappy = hide(digits.isel(sample=slice(4)), "squares", 1.0, number=2, block={"y": "9", "x": "9"})
    write_dataset(gappy, tmp_path / "gappy.nc")
    names = [str(tmp_path / name) for name in ("gappy.nc", "filled.nc")]
    ran("interpolate", *names, "--model", tmp_path / "model.safetensors")
    gaps, filled = load_dataset(names[0]).digit.isnull().values, load_dataset(names[1])
    assert gaps.any((1, 2)).all()
    assert len({tuple(np.flatnonzero(image)) for image in gaps}) == 4
    assert filled.digit.notnull().all()


def test_sparse_coding_fills_a_file_given_complete_images(digits):
    """It knows no time; without a file to learn from, the message says what to name."""
    gappy = hidden(digits.isel(sample=slice(3)))
    with pytest.raises(DataError, match="sparse_coding learns from complete images"):
        fill_classically(gappy, "sparse_coding", {}, {})
    filled = fill_classically(gappy, "sparse_coding", {}, {}, str(DIGITS))
    assert filled.digit.notnull().all()
