"""Training samples hold finite observations and a target that never leaks into them."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.errors import DataError
from da4dvar.fields.channels import stack_variables, to_channels
from da4dvar.fields.gaps.patterns import Random
from da4dvar.layout import Layout
from da4dvar.training.samples import Samples

LAYOUT = Layout(["a", "b"], ["lat", "lon"], ["time"], window={"time": 4, "lat": 3})
DIMS = ("variable", "member", "time", "lat", "lon")


def values(seed: int = 0, seen: float = 1.0) -> xr.DataArray:
    """Return values without duplicates or values on a line between others; NaN where unobserved."""
    generator = np.random.default_rng(seed)
    shape = (2, 3, 7, 5, 6)
    distinct = np.sqrt(1.0 + np.arange(np.prod(shape))).reshape(shape).astype("float32")
    return xr.DataArray(np.where(generator.random(shape) < seen, distinct, np.float32(np.nan)), dims=DIMS)


def samples(kind: str, **more: Any) -> Samples:
    """Return samples of one of three kinds: observations and truth, truth and gaps, or observations alone."""
    if kind == "truth":
        return Samples(values(1, 0.3), values(), None, LAYOUT, **more)
    if kind == "gaps":
        return Samples(values(), values(), Random(0.3), LAYOUT, **more)
    return Samples(values(1, 0.6), None, Random(0.5), LAYOUT, **more)


KINDS = ("truth", "gaps", "observations alone")


@pytest.mark.parametrize("initial", ["zero", "observed", "linear"])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_are_finite_and_fit_together(kind, initial):
    """All arrays are finite, with zeros at unobserved cells of y and unsought cells of the target."""
    source, generator = samples(kind, initial=initial), np.random.default_rng(0)
    for _ in range(10):
        sample = source.draw(generator)
        for name, array in sample.items():
            assert array.shape == (8, 3, 6), name
            assert np.isfinite(array).all(), name
            assert array.dtype == (bool if name in ("mask", "sought") else np.float32), name
        assert sample["mask"].any()
        assert sample["sought"].any()
        assert (sample["y"][~sample["mask"]] == 0).all()
        assert (sample["target"][~sample["sought"]] == 0).all()
        assert (sample["y"][sample["mask"]] > 0).all()
        both = sample["mask"] & sample["sought"]
        np.testing.assert_array_equal(sample["y"][both], sample["target"][both])


@pytest.mark.parametrize("initial", ["zero", "observed", "linear"])
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_hidden_values_change_nothing_that_is_seen(initial, seed):
    """Without a truth, sought cells are not observed, and other values there give the same y, Ω and x(0)."""
    layout = Layout(["a", "b"], ["lat", "lon"], ["time"])
    observed = values(1, 0.6).isel(member=[0])

    def draw(data: xr.DataArray) -> dict[str, np.ndarray]:
        return Samples(data, None, Random(0.5), layout, initial=initial).draw(np.random.default_rng(seed))

    first = draw(observed)
    assert not (first["mask"] & first["sought"]).any()
    sought = first["sought"].reshape(observed.isel(member=0).shape)
    second = draw(observed.where(~sought[:, None], -9.0))
    assert (second["target"][first["sought"]] == -9.0).all()
    for name in ("y", "mask", "x0"):
        np.testing.assert_array_equal(first[name], second[name])


def test_a_truth_is_sought_everywhere_it_is_known():
    """Land without a truth is not sought, observed cells are."""
    truth = values().where(xr.DataArray(np.arange(5) > 0, dims="lat"))
    sample = Samples(values(1, 0.3), truth, None, LAYOUT).draw(np.random.default_rng(3))
    assert (sample["mask"] & sample["sought"]).any()
    known = np.isfinite(truth.values)
    windows = np.lib.stride_tricks.sliding_window_view(known, (2, 1, 4, 3, 6)).reshape(-1, 8, 3, 6)
    assert (windows == sample["sought"]).all((1, 2, 3)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_decides_the_sample(kind):
    """The state of the generator alone decides the sample, and drawing does not modify the data."""
    source = samples(kind, noise=0.1)
    first = source.draw(np.random.default_rng(1))
    other = source.draw(np.random.default_rng(2))
    again = source.draw(np.random.default_rng(1))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert any((first[name] != other[name]).any() for name in first)
    before = source._observed.copy()
    for seed in range(5):
        source.draw(np.random.default_rng(seed))["y"][:] = -1
    np.testing.assert_array_equal(source._observed, before)


def test_every_window_is_drawn():
    """Windows are drawn from all members and positions, and noise is added to y but not to the target."""
    source, generator = samples("gaps"), np.random.default_rng(0)
    firsts = {source.draw(generator)["target"].flat[0] for _ in range(400)}
    assert firsts == set(values().isel(variable=0, time=slice(4), lat=slice(3), lon=0).values.ravel())
    sample = samples("gaps", noise=0.25)
    drawn = [sample.draw(np.random.default_rng(k)) for k in range(30)]
    errors = np.concatenate([(d["y"] - d["target"])[d["mask"]] for d in drawn])
    assert errors.std() == pytest.approx(0.25, rel=0.1)
    assert all(np.isin(d["target"], values()).all() for d in drawn)


def test_the_order_of_dimensions_does_not_matter():
    """Arrays in another dimension order give the same samples."""
    straight = samples("truth").draw(np.random.default_rng(0))
    turned = Samples(
        values(1, 0.3).transpose("lon", "member", "variable", "lat", "time"),
        values().transpose("time", "variable", "member", "lat", "lon"),
        None,
        LAYOUT,
    ).draw(np.random.default_rng(0))
    for name in straight:
        np.testing.assert_array_equal(straight[name], turned[name])


class HidesAll:
    """Gap pattern that hides everything."""

    def draw(self, generator: np.random.Generator, sizes: dict[str, int]) -> np.ndarray:
        return np.zeros(tuple(sizes.values()), dtype=bool)


@pytest.mark.parametrize("gaps", [HidesAll(), Random(1.0)])
def test_windows_with_nothing_to_learn_from_are_reported(gaps):
    """Gaps that hide everything or nothing are refused after a number of tries."""
    with pytest.raises(DataError, match="none of 3 random windows has both an observation and a target; use"):
        Samples(values(), None, gaps, LAYOUT).draw(np.random.default_rng(0), tries=3)


TOO_SHORT, OTHER = values().isel(time=slice(2)), values().isel(time=slice(6))


@pytest.mark.parametrize(("data", "truth", "gaps", "message"), [
    (values(), None, None, "nothing to learn from; pass a truth, or gaps"),
    (values(), values(), [Random(0.3)], "got 1 gap patterns, expected 2"),
    (values(), values(), [Random(0.3)] * 3, "got 3 gap patterns, expected 2"),
    (TOO_SHORT, values(), None, "a window has 4 cells along 'time', but the data have 2"),
    (values(), OTHER, None, r"the truth has cells .*'time': 6.* but the observations"),
])  # fmt: skip
def test_what_gives_no_samples_is_refused(data, truth, gaps, message):
    """The error names what is missing, or both sizes."""
    with pytest.raises(DataError, match=message):
        Samples(data, truth, gaps, LAYOUT)


def test_variables_are_stacked_in_the_order_of_the_layout():
    """Dimensions are ordered as variable, batch, layout; channels hold all times of each variable."""
    ds = values().assign_coords(variable=["b", "a"]).to_dataset("variable")
    ds = ds.transpose("lat", "time", "lon", "member").assign(other=1.0)
    stacked = stack_variables(ds, LAYOUT)
    assert stacked.dims == DIMS
    np.testing.assert_array_equal(stacked.values, values().values[::-1])
    window = np.arange(2 * 4 * 3 * 6).reshape(2, 4, 3, 6)
    folded = to_channels(window, LAYOUT)
    assert folded.shape == (8, 3, 6)
    np.testing.assert_array_equal(folded[5], window[1, 1])
