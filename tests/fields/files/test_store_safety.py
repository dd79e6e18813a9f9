"""What writing must not cost: an input, a folder of other things, a value, an attribute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.files.store import check_output, load_dataset, open_dataset, write_dataset

SUFFIXES = (".nc", ".zarr")

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path, suffix: str) -> None:
    """Neither before the work nor after it; an empty folder and a store are."""
    path = tmp_path / f"a{suffix}"
    path.mkdir()
    write_dataset(xr.Dataset({"x": 1.0}), path, overwrite=True)
    if suffix == ".zarr":
        write_dataset(xr.Dataset({"x": 2.0}), path, overwrite=True)
    other = tmp_path / f"b{suffix}"
    other.mkdir()
    (other / "thesis.txt").write_text("years")
    with pytest.raises(DataError, match="no Zarr store, which is never replaced"):
        check_output(other, [], overwrite=True)
    with pytest.raises(DataError, match="never replaced"):
        write_dataset(xr.Dataset({"x": 1.0}), other, overwrite=True)
    assert (other / "thesis.txt").read_text() == "years"


def test_an_output_within_an_input_or_around_it_is_refused(tmp_path: Path) -> None:
    """The one would change the input, the other take it away."""
    write_dataset(xr.Dataset({"x": 1.0}), tmp_path / "in.zarr")
    (tmp_path / "in.zarr" / "deep.nc").touch()
    with pytest.raises(DataError, match="lies within the input"):
        check_output(tmp_path / "in.zarr" / "out.nc", [tmp_path / "in.zarr"], overwrite=True)
    with pytest.raises(DataError, match="holds the input"):
        check_output(tmp_path / "in.zarr", [tmp_path / "in.zarr" / "deep.nc"], overwrite=True)
    check_output(tmp_path / "in.zarr.nc", [tmp_path / "in.zarr"], overwrite=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fill", [70000, np.nan, -9999])
def test_nothing_is_lost_in_packing(tmp_path: Path, suffix: str, fill: float) -> None:
    """A fill value that the integers lack, and a value that is rounded to the fill value, are not packed."""
    ds = xr.Dataset({"x": ("t", np.array([5.0, np.nan, -99.985], "float32"))})
    ds.x.encoding = {"dtype": np.dtype("int16"), "scale_factor": 0.03, "_FillValue": fill}
    write_dataset(ds, tmp_path / f"a{suffix}")
    back = load_dataset(tmp_path / f"a{suffix}").x
    np.testing.assert_allclose(back, ds.x, atol=0.016)


def test_attributes_that_netcdf_lacks_become_text(tmp_path: Path) -> None:
    """A table of a Zarr store does not stop a NetCDF file from being written."""
    ds = xr.Dataset({"x": ("t", [1.0], {"made": {"by": "hand"}, "none": None})}, attrs={"list": [1, "a"]})
    write_dataset(ds, tmp_path / "a.nc")
    back = load_dataset(tmp_path / "a.nc")
    assert back.x.attrs == {"made": '{"by": "hand"}', "none": "null"}
    assert back.attrs == {"list": '[1, "a"]'}
    assert ds.x.attrs["made"] == {"by": "hand"}


def test_files_of_two_units_are_not_joined(tmp_path: Path) -> None:
    """The second would be taken for what the first says."""
    for k, units in enumerate(("K", "degC")):
        part = xr.Dataset({"x": ("t", [1.0], {"units": units})}, coords={"t": [k]})
        write_dataset(part, tmp_path / f"{k}.nc")
    with pytest.raises(DataError, match="'x' is in K and degC in the 2 files"):
        open_dataset(tmp_path / "*.nc")
