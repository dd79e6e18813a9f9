"""Model files with one false entry in the header and a valid checksum, which anyone can compute."""

import contextlib
import copy
import math
from dataclasses import asdict
from typing import Any

import pytest
import xarray as xr
from door import limits
from hostile.models import changed, parts, put, remove, ways, with_header

import da4dvar
from da4dvar.analysis.calibration import Calibration
from da4dvar.errors import Da4dvarError, ModelError

pytestmark = pytest.mark.hostile

SECTIONS = [
    "layout", "scaling", "prior", "observation", "solver", "cost", "initial", "time", "observation_error",
    "first_guess", "correction", "covariates", "derived", "sensors", "signature", "calibration", "labels",
    "scores", "provenance",
]  # fmt: skip
VALUES = [
    10**9, -1, 0, 2**70, 1.5, 1e300, math.nan, math.inf, "5", "", "../../x", "a\nb", None, True, [], [[]], {},
    {"kind": "unet"}, [1] * 5,
]  # fmt: skip
# A calibration of cells that are never observed.
NEVER_SEEN = asdict(Calibration(0.3, 1.0, 0.0, 0.0, 9.0, (0.5, 0.9), (0.7, 1.6), 100, 0.1, sparsest=0.0))


def used_or_refused(path: Any, ds: xr.Dataset) -> bool:
    """Load a model and fill a data set with it, or expect one line of error."""
    with limits(), contextlib.suppress(Da4dvarError):
        filled = da4dvar.load(path).interpolate(ds)
        assert filled.sst.dims == ds.sst.dims
        return True
    return False


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("section", SECTIONS)
def test_any_value_in_any_place(model_path, tmp_path, small, section, value):
    """A model is refused on loading or works; it never fails or hangs later."""
    whole, arrays = parts(model_path)
    for way in ways(section, whole[section]):
        header = copy.deepcopy(whole)
        put(header, way, value)
        used_or_refused(with_header(tmp_path / "m.safetensors", header, arrays), small)


@pytest.mark.parametrize("section", SECTIONS)
def test_anything_left_out(model_path, tmp_path, small, section):
    """Each entry of each table is left out in turn."""
    whole, arrays = parts(model_path)
    for way in ways(section, whole[section]):
        header = copy.deepcopy(whole)
        remove(header, way)
        used_or_refused(with_header(tmp_path / "m.safetensors", header, arrays), small)


@pytest.mark.parametrize("lie", [
    (("prior", "width"), 10**9), (("prior", "kernel"), 4), (("prior", "kernel"), -3),
    (("prior", "channels"), 7), (("prior", "boundary"), ["zero"]), (("prior", "boundary"), ["zero"] * 9),
    (("prior", "downsampling"), [10**6, 10**6]), (("prior", "kind"), "builtins:eval"),
    (("prior", "kind"), "../unet"), (("solver", "iterations"), 10**9, "solver.iterations is 1e"),
    (("solver", "iterations"), 0), (("solver", "iterations"), -5), (("solver", "iterations"), "3"),
    (("solver", "iterations"), 2.5), (("solver", "state_scale"), math.nan), (("cost", "prior_weight"), -1.0),
    (("cost", "prior_weight"), math.inf), (("layout", "window", "time"), 10**12),
    (("layout", "window", "time"), 7, "6 channels, the layout 7"), (("layout", "window", "lat"), 2.5),
    (("layout", "overlap"), {"time": math.nan}),
    (("layout", "variables"), ["../../sst"], "not a valid name of a variable"),
    (("layout", "variables"), ["sst", "sst"]), (("layout", "axes"), ["lat", "lat"]),
    (("signature", "dims", "time", "spacing"), "a day", "spacing is 'a day', expected a number"),
    (("signature", "dims", "time", "spacing"), 0), (("signature", "dims", "time", "size"), -6),
    (("signature", "variables", "sst", "units"), 5), (("signature", "variables"), {}),
    (("signature", "variables"), {"sss": {}}, "quantiles of variables that the signature lacks"),
    (("signature", "covariates"), {"depth": {}}), (("scaling", "harmonics"), 2), (("scaling", "time"), "day"),
    (("scaling", "kind"), "none"), (("scaling",), {"kind": "none"}, "without scaling"),
    (("scaling", "kind"), "standard"), (("observation_error",), -0.1), (("correction",), [math.nan]),
    (("correction",), [1.0, 1.0]), (("calibration",), {"ensemble": {"members": 10**9}, "variables": {}}),
    (("calibration",), {"ensemble": {"members": 2}, "variables": {"sst": NEVER_SEEN}}, "out of range"),
    (("labels",), {"sst.dims": "lat"}), (("labels",), {"sst.dims": ["lat", "depth"]}),
    (("sensors",), [{"variable": "sst", "of": "sst", "error": 0.0}]), (("first_guess",), {"kind": "letks"}),
    (("first_guess",), {"kind": "eof_iteration", "iterations": 10**9}), (("initial",), "guess"),
    (("provenance",), []), (("format",), 99, "format 99"), (("solver",), {}, "solver"),
    (("solver", "width"), 7, "are inconsistent"), (("prior", "kind"), "os.system", "unknown kind"),
    (("prior", "kind"), ["unet"], "unknown kind"), (("prior", "width"), 10**7, "are inconsistent"),
    (("layout", "axes"), [], "axes"),
], ids=str)  # fmt: skip
def test_a_lie_is_told_when_the_model_is_loaded(model_path, tmp_path, lie):
    """Loading is refused in one line that names the file and, if given, the entry."""
    way, value, *said = lie
    path = changed(model_path, tmp_path / "m.safetensors", lambda h: put(h, way, value))
    with limits(), pytest.raises(ModelError, match=r"m\.safetensors: ") as raised:
        da4dvar.load(path)
    assert "\n" not in str(raised.value)
    assert all(part in str(raised.value) for part in said)


def test_a_network_of_a_million_networks(model_path, tmp_path):
    """Numbers are bounded before anything is built from them."""

    def direct(header: dict[str, Any]) -> None:
        header['solver'] = {
            "kind": "direct", "channels": 6, "boundary": ["zero", "zero"], "iterations": 10**5,
        }  # fmt: skip

    with limits(5), pytest.raises(ModelError, match="iterations is 100000"):
        da4dvar.load(changed(model_path, tmp_path / "m.safetensors", direct))


def test_what_is_told_about_a_model_may_be_changed(model_path, tmp_path, small):
    """Scores and provenance do not affect the results of a model."""
    for change in ({}, {"scores": {"rmse": math.nan}}, {"provenance": {"title": "another"}}):
        path = changed(model_path, tmp_path / "m.safetensors", lambda h, change=change: h.update(change))
        assert used_or_refused(path, small)
