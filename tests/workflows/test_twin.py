"""Baselines for whole data sets: what is refused before a method sees it, and what is said."""

import numpy as np
import pytest
from examples import gappy_sst, make_sst

from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.fields.files.store import write_dataset
from da4dvar.workflows.fill import fill_classically


@pytest.mark.parametrize(("change", "said"), [
    (lambda ds: ds.isel(time=[0, 2, 1, 3]), "'time' goes back once, .*; use --times sort"),
    (lambda ds: ds.isel(time=[0, 1, 1, 2]), "'time' repeats itself once, .*; use --times sort"),
    (lambda ds: ds.isel(time=slice(0)), "no entries"),
    (lambda ds: ds.assign(sst=ds.sst.where(ds.sst < 15, np.inf)), "infinite values"),
])  # fmt: skip
def test_data_that_no_method_can_fill(change, said):
    """In a line, whatever the method."""
    for method in ("linear", "climatology", "eof_iteration"):
        with pytest.raises(DataError, match=said):
            fill_classically(change(gappy_sst(12)), method, {}, {})


def test_uneven_times_are_told_where_steps_are_counted():
    """The line between two observations is drawn by steps; a climatology is by dates."""
    ds = gappy_sst(12).isel(time=[0, 1, 2, 5, 6, 7])
    with pytest.warns(Da4dvarWarning, match="steps of 'time' are uneven, and linear counts steps"):
        fill_classically(ds, "linear", {}, {}, times="keep")
    fill_classically(ds, "climatology", {}, {}, times="keep")


def test_a_history_is_taken_in_the_units_of_the_data(tmp_path):
    """One in kelvin gives the climatology of one in degrees; one in kilograms gives none."""
    history = make_sst(400, start="2000-01-01").drop_encoding()
    kelvin = (history.sst.astype("f8") + 273.15).assign_attrs(units="K")
    write_dataset(history, tmp_path / "c.nc")
    write_dataset(history.assign(sst=kelvin), tmp_path / "k.nc")
    one, other = (
        fill_classically(gappy_sst(12), "climatology", {}, {}, str(tmp_path / f"{n}.nc")).sst for n in "ck"
    )
    np.testing.assert_allclose(one, other, atol=1e-3)
    write_dataset(history.assign(sst=history.sst.assign_attrs(units="kg")), tmp_path / "w.nc")
    write_dataset(history.rename(sst="tos"), tmp_path / "v.nc")
    for name, said in (("w.nc", "cannot be converted"), ("v.nc", "no variable 'sst'")):
        with pytest.raises(DataError, match=said):
            fill_classically(gappy_sst(12), "climatology", {}, {}, str(tmp_path / name))
