"""Options of an interpolation: one list of them, and all faces take what is in it."""

import inspect
from typing import get_type_hints

import pytest
import xarray as xr

import da4dvar
from da4dvar.analysis.options import DEFAULTS, DOCUMENTED, TYPES

METHOD = da4dvar.Interpolator.interpolate
FACES = (da4dvar.interpolate, xr.Dataset.da4dvar.interpolate, da4dvar.interpolate_file)


def keywords(function):
    """The keywords of a function with their defaults, in order."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def test_the_options_are_the_keywords_of_the_method():
    """They agree in name, order, type, default and documentation."""
    hints = get_type_hints(METHOD)
    assert list(keywords(METHOD).items()) == list(DEFAULTS.items())
    assert {name: hints[name] for name in TYPES} == TYPES
    assert DOCUMENTED in inspect.getdoc(METHOD)


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__qualname__)
def test_every_face_shows_all_options(face):
    """In its signature, which editors complete from, and in its docstring, for help()."""
    assert DEFAULTS.items() <= keywords(face).items()
    assert DOCUMENTED in inspect.getdoc(face)
    assert "**options" not in inspect.getdoc(face)


def test_fill_and_its_accessor_have_the_same_options():
    """In name, order and default."""
    assert keywords(xr.Dataset.da4dvar.fill) == keywords(da4dvar.fill)
    assert list(keywords(xr.Dataset.da4dvar.fill)) == list(keywords(da4dvar.fill))


@pytest.mark.parametrize("call", [
    lambda ds, **options: da4dvar.interpolate(ds, "lorenz96", **options),
    lambda ds, **options: ds.da4dvar.interpolate("lorenz96", **options),
    lambda ds, **options: da4dvar.interpolate_file("in.nc", "out.nc", "lorenz96", **options),
], ids=["function", "accessor", "file"])  # fmt: skip
def test_an_unknown_option_is_one_line_that_offers_the_nearest(call):
    """Before anything is loaded."""
    with pytest.raises(TypeError, match=r"has no option 'intervall': did you mean 'interval'\?"):
        call(xr.Dataset(), intervall=0.9)
