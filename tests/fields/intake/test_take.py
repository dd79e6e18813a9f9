"""The intake: masks and conditions, fields with NaN in their gaps, and everything else untouched."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.intake.quality import where
from da4dvar.fields.intake.take import take_in

DAYS = np.arange("2001-01-01", "2001-01-07", dtype="M8[D]").astype("M8[ns]")
LEVELS = [0, 1, 3, 4, 5, 5]


def sea():
    """A field with a fill value, its quality, a station name, and bounds without a time."""
    return xr.Dataset(
        {
            "sst": ("time", np.array([280, 281, -999, 283, 284, 285], "int16"), {"missing": -999}),
            "quality": (
                "time",
                LEVELS,
                {"flag_values": [0, 1, 2, 3, 4, 5], "flag_meanings": "a b c d good best"},
            ),
            "name": ((), "Alert"),
            "lat_bnds": (("lat", "bnds"), [[0.0, 1.0]]),
        },
        {"time": DAYS},
    )


def taken(ds, **options):
    """The intake, with its notes."""
    return take_in(ds, say=lambda _: None, **options)


def test_fields_get_their_gaps_and_all_else_is_untouched():
    """Whole numbers become floats, with the gap as NaN."""
    found = taken(sea())
    assert found.fields == ("sst",)
    assert found.time == "time"
    assert found.carried == {"quality": "a flag", "name": "text", "lat_bnds": "bounds"}
    np.testing.assert_array_equal(found.data.sst, [280, 281, np.nan, 283, 284, 285])
    xr.testing.assert_identical(found.data.drop_vars("sst"), sea().drop_vars("sst"))


MASKS = {
    "quality>=4": [0, 0, 0, 1, 1, 1],
    "quality > 4": [0, 0, 0, 0, 1, 1],
    "quality<=1": [1, 1, 0, 0, 0, 0],
    "quality==1,4": [0, 1, 0, 1, 0, 0],
    "quality=best": [0, 0, 0, 0, 1, 1],
    "quality!=0": [0, 1, 1, 1, 1, 1],
    "quality": [0, 1, 1, 1, 1, 1],
}


@pytest.mark.parametrize(("mask", "expected"), MASKS.items(), ids=MASKS)
def test_a_mask_may_be_a_condition(mask, expected):
    """Comparisons with numbers and with words of the flag meanings."""
    np.testing.assert_array_equal(where(mask, sea().quality), np.array(expected, bool))
    seen = np.array(expected, bool) & (sea().sst != -999)
    np.testing.assert_array_equal(taken(sea(), mask=mask).data.sst.notnull(), seen)


@pytest.mark.parametrize("mask", ["quality>=4", "quality!=3", "quality<4"])
def test_what_is_missing_meets_no_condition(mask):
    """Whichever it is."""
    assert not where(mask, xr.DataArray([np.nan], dims="time", name="quality")).any()


def test_characters_can_be_compared():
    """As the quality flags of Argo."""
    flags = xr.DataArray(np.array([b"1", b"4", b" "]), dims="time", name="TEMP_QC")
    np.testing.assert_array_equal(where("TEMP_QC==1,2", flags), [True, False, False])


def test_a_plain_mask_of_several_levels_is_noted():
    """With the condition that could be meant."""
    (note,) = [n for n in taken(sea(), mask="quality").notes if n.startswith("mask")]
    assert "has 5 values from 0 to 5" in note
    assert "--mask 'quality>=5'" in note


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mask": "quality>=high"}, "got 'high', expected a number or one of a, b, c, d, good, best"),
        ({"mask": "quality>=1,2"}, ">= takes one value"),
        ({"mask": "name>1"}, "mask 'name' holds .*expected numbers"),
        ({"mask": "qualty>=4"}, "no variable 'qualty': did you mean 'quality'"),
        ({"variable": "name"}, "variable 'name' holds .*, expected numbers"),
        ({"variable": "lat_bnds"}, "has no dimension 'time' .*--dim time=NAME"),
        ({"variable": "tas"}, "there is no variable 'tas'"),
    ],
)
def test_what_cannot_be_taken_is_refused(options, text):
    """In one line."""
    with pytest.raises(DataError, match=text):
        taken(sea(), **options)


def test_data_without_time_or_field_say_what_they_have():
    """And how to add a time."""
    with pytest.raises(
        DataError, match=r"no time dimension .there are: lat, bnds.*--dim time=NAME.*expand_dims"
    ):
        taken(sea().drop_dims("time"))
    with pytest.raises(DataError, match=r"no numeric variable to fill: 'quality' .a flag., 'name' .text"):
        taken(sea().drop_vars("sst"))


def test_chosen_variables_are_renamed_and_the_rest_is_carried():
    """A name that is taken is given up, with a note."""
    ds = sea().assign(tas=("time", np.arange(6.0) ** 2))
    assert taken(ds, variable="tas").carried["sst"] == "it was not chosen"
    found = taken(ds, variable={"tas": "sst"})
    assert found.fields == ("tas",)
    assert "sst" not in found.data
    assert any("'tas' of the input is left out" in note for note in found.notes)


def test_an_empty_variable_does_not_stop_the_others():
    """It is carried; alone it is left to the verb."""
    ds = sea().assign(ice=("time", np.full(6, np.nan)))
    assert taken(ds).carried["ice"] == "it holds no value"
    assert taken(ds[["ice"]]).fields == ("ice",)


def test_absent_times_are_inserted_after_the_mask():
    """A mask as an array has the labels of the data as they were."""
    ds = sea().isel(time=[0, 1, 2, 4, 5])
    found = taken(ds, mask=ds.quality >= 1)
    np.testing.assert_array_equal(found.data.sst, [np.nan, 281, np.nan, np.nan, 284, 285])
    assert taken(ds, times="keep").data.sizes["time"] == 5


def test_large_data_stay_lazy():
    """Nothing but a sample is read."""
    lazy = sea().assign(sst=("time", np.arange(6.0))).chunk(time=2)
    assert taken(lazy, mask="quality>=3").data.sst.chunks is not None
