"""Model files with a valid header and wrong tensors."""

from __future__ import annotations

import numpy as np
import pytest
from door import limits
from hostile.models import changed, parts

import da4dvar
from da4dvar.errors import ModelError

pytestmark = pytest.mark.hostile

WEIGHT = "model.solver.cell.gates.convolution.weight"


def check_refused(path):
    """Expect one line of error that names the file."""
    with limits(), pytest.raises(ModelError, match=r"m\.safetensors: ") as raised:
        da4dvar.load(path)
    assert "\n" not in str(raised.value)


def test_each_tensor_left_out(model_path, tmp_path):
    """Each tensor of weights and scaling is required."""
    for name in parts(model_path)[1]:
        path = changed(model_path, tmp_path / "m.safetensors", arrays=lambda a, name=name: a.pop(name))
        check_refused(path)


@pytest.mark.parametrize(
    "name", ["more", "model.more", "scaling.more", "covariates.more", "scaling.sst.__class__", "model."]
)
def test_a_tensor_too_many(model_path, tmp_path, name):
    """A tensor that belongs to no part of the model is refused."""
    path = tmp_path / "m.safetensors"
    check_refused(changed(model_path, path, arrays=lambda a: a.update({name: np.zeros(3, "float32")})))


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "int8", "bool", "uint64"])
def test_weights_of_another_type(model_path, tmp_path, dtype):
    """Weights must have single precision."""
    path = tmp_path / "m.safetensors"
    check_refused(changed(model_path, path, arrays=lambda a: a.update({WEIGHT: a[WEIGHT].astype(dtype)})))


@pytest.mark.parametrize(
    "reshape",
    [
        lambda a: a[:-1],
        lambda a: a[..., :0],
        lambda a: a.reshape(-1),
        lambda a: np.concatenate([a, a]),
        lambda a: a.reshape(1, *a.shape),
    ],
)
def test_weights_of_another_shape(model_path, tmp_path, reshape):
    """Shapes must be those of the header."""
    path = tmp_path / "m.safetensors"
    changes = {WEIGHT: reshape}
    check_refused(
        changed(model_path, path, arrays=lambda a: a.update({n: f(a[n]) for n, f in changes.items()}))
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [WEIGHT, "model.cost.log_weights", "model.cost.prior.up.bias"])
def test_weights_that_are_not_finite(model_path, tmp_path, name, value):
    """A single such weight is refused."""

    def spoil(arrays):
        arrays[name].flat[0] = value

    check_refused(changed(model_path, tmp_path / "m.safetensors", arrays=spoil))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_a_standard_deviation_that_is_none(model_path, tmp_path, value):
    """Standard deviations, which divide every value, must be positive."""
    path = tmp_path / "m.safetensors"
    check_refused(changed(model_path, path, arrays=lambda a: a.update({"scaling.sst.std": np.array(value)})))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("scaling.sst.coefficients", lambda a: a[:1]),
        ("scaling.sst.coefficients", lambda a: a[:, :-1]),
        ("scaling.sst.coefficients", lambda a: a * np.inf),
        ("scaling.sst.coefficients", lambda a: a[..., None]),
        ("scaling.sst.coordinate.lat", lambda a: a[:-1]),
        ("scaling.sst.coordinate.lat", lambda a: a * np.nan),
        ("scaling.sst.std", lambda a: np.array([1.0, 2.0])),
    ],
)
def test_a_climatology_that_fits_nothing(model_path, tmp_path, name, change):
    """Harmonics, cells and coordinates must match the header and be finite."""
    path = tmp_path / "m.safetensors"
    check_refused(changed(model_path, path, arrays=lambda a: a.update({name: change(a[name])})))


def test_a_model_that_ran_away_is_not_saved(model, tmp_path):
    """A model with weights that are not finite cannot be saved."""
    next(model.model.parameters()).data.fill_(np.nan)
    with pytest.raises(ModelError, match="not finite"):
        model.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_without_a_change_it_is_the_same_model(model, model_path, tmp_path, small):
    """The file that the other tests change is valid."""
    again = da4dvar.load(changed(model_path, tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again.interpolate(small).sst, model.interpolate(small).sst)
