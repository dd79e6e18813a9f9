"""Model files with a valid header and wrong tensors."""

import numpy as np
import pytest
from door import limits
from hostile.models import changed, parts

import da4dvar
from da4dvar.errors import ModelError

pytestmark = pytest.mark.hostile

WEIGHT = "model.solver.cell.gates.convolution.weight"
CLIMATOLOGY, LATITUDE = "scaling.sst.coefficients", "scaling.sst.coordinate.lat"


def spoilt(value):
    """A change of the first number of a tensor."""
    return lambda a: np.concatenate([[value], a.ravel()[1:]]).astype(a.dtype).reshape(a.shape)


CHANGES = [
    *((WEIGHT, lambda a, t=t: a.astype(t)) for t in ("f8", "f2", "i4", "i1", "bool", "u8")),
    (WEIGHT, lambda a: a[:-1]), (WEIGHT, lambda a: a[..., :0]), (WEIGHT, lambda a: a.reshape(-1)),
    (WEIGHT, lambda a: np.concatenate([a, a])), (WEIGHT, lambda a: a.reshape(1, *a.shape)),
    *(
        (name, spoilt(value))
        for name in (WEIGHT, "model.cost.log_weights", "model.cost.prior.up.bias")
        for value in (np.nan, np.inf, -np.inf)
    ),
    *(("scaling.sst.std", lambda a, v=v: np.array(v)) for v in (np.nan, np.inf, 0.0, -1.0, [1.0, 2.0])),
    (CLIMATOLOGY, lambda a: a[:1]), (CLIMATOLOGY, lambda a: a[:, :-1]), (CLIMATOLOGY, lambda a: a * np.inf),
    (CLIMATOLOGY, lambda a: a[..., None]), (LATITUDE, lambda a: a[:-1]), (LATITUDE, lambda a: a * np.nan),
]  # fmt: skip


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


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_a_tensor_that_does_not_fit(model_path, tmp_path, name, change):
    """Of another type, shape or size than the header says, not finite, or no standard deviation."""
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
