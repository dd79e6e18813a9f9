"""What a user gives for data, names and masks: taken where its meaning is plain, else refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from examples import make_sst, tiny_interpolator

import da4dvar
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.config.kinds import BY_NAME, class_of
from da4dvar.errors import DataError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.labels.conform import conform
from da4dvar.fields.labels.given import names_of
from da4dvar.fields.labels.signature import Signature
from da4dvar.training.plan import Training

ONE = Signature.of(make_sst(), ["sst"], ["time", "lat", "lon"], [])
TWO = Signature.of(make_sst().assign(ice=make_sst().sst), ["sst", "ice"], ["time", "lat", "lon"], [])


@pytest.mark.parametrize("name", ["sst", "analysed", None, "time"])
def test_a_data_array_is_the_only_variable(name):
    """Whatever its name, even one of its own coordinates."""
    given = make_sst().sst.rename(name)
    xr.testing.assert_equal(conform(given, ONE).data, conform(make_sst(), ONE).data)


def test_the_faces_take_a_data_array(model, gappy, truth):
    """Method, function, accessor and calibration give for an array what they give for a data set."""
    expected = model.interpolate(gappy)
    for filled in (
        model.interpolate(gappy.sst),
        da4dvar.interpolate(gappy.sst, model),
        gappy.sst.da4dvar.interpolate(model),
    ):
        xr.testing.assert_equal(filled, expected)
    plan = {"ensemble": da4dvar.analysis.ensemble.Ensemble(2)}
    known = model.calibrate(gappy, truth, **plan).calibration
    assert model.calibrate(gappy.sst, truth.sst.rename("true"), **plan).calibration == known


def test_a_name_is_that_of_the_only_variable():
    """One name for a mapping of one."""
    assert (names_of(ONE, "analysed"), names_of(ONE, None)) == ({"sst": "analysed"}, {})


@pytest.mark.parametrize(("data", "message"), [
    ("gappy.nc", r"got the path 'gappy.nc', expected .*open_dataset.*interpolate_file"),
    (Path("gappy.nc"), r"got the path 'gappy.nc', expected .*open_dataset.*interpolate_file"),
    (np.zeros((3, 2, 2)), r"got ndarray of shape \(3, 2, 2\).*dims=\['time', 'lat', 'lon'\]"),
    (make_sst(3).sst.to_dataframe(), r"got DataFrame of shape .*to_xarray\(\), with an index of 'time'"),
    ([make_sst()], "got list, expected a Dataset or a DataArray"),
    (None, "got NoneType, expected a Dataset or a DataArray"),
], ids=["path", "Path", "array", "frame", "list", "None"])  # fmt: skip
def test_what_is_no_data_set_is_one_line(data, message):
    """It says what was got, what is expected and what to do."""
    with pytest.raises(DataError, match=message) as caught:
        conform(data, ONE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("options", "message"), [
    ({"variable": "analysed"}, r"has 2 variables \(sst, ice\); name each .*variable=\{'sst': \.\.\., 'ice'"),
    ({"variable": ["sst"]}, "variable is .*expected a name, or a mapping"),
    ({"variable": {"sst": 3}}, "variable is .*expected a name, or a mapping"),
    ({"dim": "time"}, "dim is 'time', expected a mapping"),
    ({"mask": np.ones(3)}, "mask is of type ndarray, expected the name of a variable, or a DataArray"),
])  # fmt: skip
def test_options_of_a_wrong_type_are_one_line(options, message):
    """Those that name things."""
    ds = make_sst().assign(ice=make_sst().sst)
    with pytest.raises(DataError, match=message):
        conform(ds, TWO, **options)
    with pytest.raises(DataError, match=r"got a DataArray, but the model has 2 variables"):
        conform(ds.sst, TWO)


def test_a_mask_may_be_an_array(model, gappy):
    """With its labels in another order, cells that are not in the data, and a coordinate of its own."""
    seen = gappy.sst.notnull().astype("int8").assign_coords(quality=3)
    filled = gappy.assign(sst=gappy.sst.fillna(1e6).assign_attrs(gappy.sst.attrs))
    part, expected = {"time": slice(3, 20)}, model.interpolate(gappy.isel(time=slice(3, 20)))
    for mask in (seen.isel(part), seen.isel(lat=slice(None, None, -1)).transpose("lon", "lat", "time")):
        xr.testing.assert_equal(model.interpolate(filled.isel(part), mask=mask), expected)
    unlabelled = seen.isel(part).drop_vars(["time", "lat", "lon"])
    xr.testing.assert_equal(model.interpolate(filled.isel(part), mask=unlabelled), expected)


@pytest.mark.parametrize(("change", "message"), [
    (lambda mask: mask.isel(time=slice(3, None)), "is not of the cells of 'sst'"),
    (lambda mask: mask.assign_coords(lat=mask.lat + 0.1), "is not of the cells of 'sst'"),
    (lambda mask: mask.isel(time=slice(3, None)).drop_vars("time"), "is not of the cells of 'sst'"),
    (lambda mask: mask.expand_dims(sensor=2), "has a dimension 'sensor'"),
    (lambda mask: mask.astype(str), "expected numbers or booleans"),
])  # fmt: skip
def test_a_mask_of_other_cells_is_refused(change, message):
    """What a mask does not speak of would count as not observed, in silence."""
    ds = make_sst()
    with pytest.raises(DataError, match=message):
        conform(ds, ONE, mask=change(ds.sst.notnull()))


NO_DATA_SET = {
    "path": "gappy.nc",
    "array": np.zeros((3, 2, 2)),
    "frame": make_sst(3).sst.to_dataframe(),
    "list": [make_sst()],
    "None": None,
    "tree": xr.DataTree(make_sst()),
    "variable": make_sst().sst.variable,
    "mapping": {"sst": make_sst().sst},
}


@pytest.mark.parametrize("what", NO_DATA_SET)
def test_every_face_refuses_what_is_no_data_set(model, gappy, what):
    """In one line that says what was got, from fit, calibrate, the functions and the classical methods."""
    thing, untrained = NO_DATA_SET[what], tiny_interpolator()
    for face in (
        lambda: da4dvar.interpolate(thing, model),
        lambda: model.interpolate(thing),
        lambda: model.calibrate(thing, gappy),
        lambda: model.calibrate(gappy, thing),
        lambda: untrained.fit(thing),
        lambda: Linear().interpolate(thing),
        lambda: OptimalInterpolation().interpolate(thing),
        lambda: Climatology().interpolate(thing),
    ):
        with pytest.raises(DataError, match=r"got .*, expected a Dataset or a DataArray; ") as caught:
            face()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BY_NAME["baseline"])
def test_classical_methods_take_a_data_array(name):
    """The result is that for a data set of it; without a name it is refused."""
    cls = class_of("baseline", name)
    if name == "sparse_coding":
        pytest.skip("it learns from complete images")
    if name == "kalman":
        pytest.importorskip("statsmodels")
    ds = make_sst(40).isel(lat=slice(2, 5), lon=slice(2, 5))
    ds = ds.where(np.random.default_rng(0).random((40, 3, 3)) < 0.6)
    if name in ("kalman", "gaussian_em", "nearest_stations", "window_gaussian"):
        ds = ds.stack(station=("lat", "lon")).reset_index("station").drop_attrs()
    xr.testing.assert_equal(cls().interpolate(ds.sst), cls().interpolate(ds))
    with pytest.raises(DataError, match=r"without a name of its own; .*rename"):
        cls().interpolate(ds.sst.rename(None))


def test_a_model_is_fitted_to_data_arrays():
    """Whatever their names; the model is that of data sets."""
    truth, gaps = make_sst(40), {"gaps": Random(0.4), "training": Training(1, batch=1, device="cpu")}
    expected = tiny_interpolator().fit(truth, truth, **gaps)
    made = tiny_interpolator().fit(truth.sst, truth.sst.rename("analysed"), **gaps)
    xr.testing.assert_equal(made.interpolate(truth), expected.interpolate(truth))


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("members", "4", "a whole number"),
        ("members", 2.5, "a whole number"),
        ("batch_size", 2.5, "a whole number"),
        ("batch_size", True, "a whole number"),
        ("seed", -1, "a whole number"),
        ("seed", "a", "a whole number"),
        ("observation_error", "0.1", "a number"),
        ("observation_error", np.ones(3), "a number"),
        ("std", "yes", "True or False"),
        ("analysis", 1, "True or False"),
        ("force", None, "True or False"),
        ("progress", True, "a function"),
    ],
)
def test_options_of_a_wrong_type_name_the_right_one(model, gappy, option, value, expected):
    """In one line, before anything is computed."""
    for face in (model.interpolate, lambda ds, **options: ds.da4dvar.interpolate(model, **options)):
        with pytest.raises(TypeError, match=f"{option} is .*, expected {expected}") as caught:
            face(gappy, **{option: value})
        assert "\n" not in str(caught.value)


def test_one_interval_is_a_number(model, gappy, truth):
    """A list of one level is not needed; numbers of numpy are numbers."""
    ready = model.calibrate(gappy, truth, ensemble=da4dvar.analysis.ensemble.Ensemble(2))
    expected = ready.interpolate(gappy, interval=[0.9])
    for interval in (0.9, np.float64(0.9), np.array([0.9])):
        xr.testing.assert_equal(ready.interpolate(gappy, interval=interval), expected)
    for wrong in (90, "0.9", True, None):
        with pytest.raises(DataError, match="expected numbers above 0 and below 1"):
            ready.interpolate(gappy, interval=wrong)
