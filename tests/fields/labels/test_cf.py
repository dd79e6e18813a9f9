"""Roles of coordinates, by CF attributes and names."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from cf_xarray.criteria import coordinate_criteria

import da4dvar
from da4dvar.fields.labels.cf import ROLES, axis_role, dim_role, dims_by_role, geographic

CRITERIA = [
    (attribute, value, ROLES[what])
    for what in ROLES
    for attribute, values in coordinate_criteria[what].items()
    for value in values
]


def coordinate(name: str, dtype: str = "float64", **attrs: object) -> xr.DataArray:
    """A coordinate of two values along a dimension of another name."""
    values = xr.DataArray(np.zeros(2, dtype), dims="cell", attrs=attrs)
    return xr.Dataset(coords={name: values})[name]


@pytest.mark.parametrize(("attribute", "value", "role"), CRITERIA)
def test_every_attribute_that_cf_xarray_knows_gives_a_role(attribute, value, role):
    """Whatever the name of the coordinate."""
    assert axis_role(coordinate("a", **{attribute: value})) == role


@pytest.mark.parametrize("value", [np.array([1.0, 2.0]), 3, ["degrees_north"], ""])
@pytest.mark.parametrize("attribute", ["axis", "units", "standard_name", "coordinates"])
def test_an_attribute_that_is_not_text_gives_no_role(attribute, value):
    """A file may hold any attribute; the accessor of cf-xarray fails on some."""
    assert axis_role(coordinate("a", **{attribute: value})) is None


@pytest.mark.parametrize(("dim", "attrs", "role"), [
    ("latitude", {}, "Y"), ("LON", {}, "X"), ("t", {}, "T"), ("lat", {"axis": "X"}, "X"), ("index", {}, None),
    ("latent_heat", {}, None), ("row", {}, None),
])  # fmt: skip
def test_a_name_counts_where_attributes_say_nothing(dim, attrs, role):
    """A dimension has the role of its coordinate, else that of a usual name, and of no similar one."""
    with_coordinate = xr.DataArray(np.zeros(2), {dim: (dim, [0.0, 1.0], attrs)}, dims=dim)
    assert dim_role(with_coordinate, dim) == role
    assert axis_role(with_coordinate[dim]) == attrs.get("axis")
    if not attrs:
        assert dim_role(with_coordinate.drop_vars(dim), dim) == role


@pytest.mark.parametrize(("coords", "found"), [
    ([coordinate("lat"), coordinate("nav_lat")], ["lat", "nav_lat"]),
    ([coordinate("lat"), coordinate("y", units="degrees_north")], ["y"]),
    ([coordinate("lat", axis="Y", units="degrees")], ["lat"]),
    ([coordinate("y", axis="Y")], []),
    ([coordinate("y", standard_name="projection_y_coordinate", units="m")], []),
    ([coordinate("lat", standard_name="grid_latitude")], []),
    ([coordinate("lat", units="degrees_east")], []),
    ([coordinate("lat", "U3", standard_name="latitude")], []),
])  # fmt: skip
def test_latitudes_in_degrees(coords, found):
    """By attributes, else by name; never an axis of a projection, of a rotated grid, or of text."""
    assert [c.name for c in geographic({c.name: c for c in coords}, "Y")] == found


def test_dimensions_have_the_given_names_first():
    """Then their own, then those of the same role where there is one only."""
    coords = {"a": ("a", [0.0, 1.0], {"units": "degrees_north"}), "b": ("b", [0.0], {"axis": "T"})}
    array = xr.DataArray(np.zeros((2, 1, 1)), coords, dims=("a", "b", "lon"))
    assert dims_by_role(array, {}) == {"time": "b", "lat": "a"}
    assert dims_by_role(array, {"time": "lon"}) == {"time": "lon", "lat": "a"}


def test_no_other_module_looks_for_coordinates():
    """The spellings of CF attributes and the lists of usual names stand in one file of the package."""
    package = Path(da4dvar.__file__).parent
    spelled = re.compile(r"""attrs(\.get\(|\[)["'](axis|positive)|\.startswith\(\(?["']lat|["']nav_lat""")
    found = [
        str(p.relative_to(package)) for p in package.rglob("*.py") if spelled.search(p.read_text("utf-8"))
    ]
    assert found == ["fields/labels/cf.py"]
