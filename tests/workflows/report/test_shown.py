"""What a notebook displays of fits, scores and filled data."""

import numpy as np
import xarray as xr
from evaluation.report.test_files import Reader
from workflows.autofit.test_fit import network, quiet

import da4dvar
from da4dvar.evaluation.scores import evaluate_files


def test_a_fit_and_what_it_fills(tmp_path):
    """The table of the methods; the method, the error and the flags of a filled file; the scores."""
    fitted = da4dvar.fit(network(), minutes=0.05, say=quiet)
    shown = fitted._repr_html_()
    assert Reader(shown).open == []
    assert f"{fitted.method['pm']} (chosen)" in shown
    assert "expect an error of" in shown
    filled = fitted.interpolate(network(), flags="argo")
    said = filled.da4dvar._repr_html_()
    for word in (fitted.method["pm"], "observed (0)", "88.5 %", "11.5 %"):
        assert f">{word}<" in said
    assert "No variable was filled" in network().da4dvar._repr_html_()
    assert "No variable was filled" in filled.pm.da4dvar._repr_html_()
    network().fillna(0.0).to_netcdf(tmp_path / "truth.nc")
    filled[["pm"]].to_netcdf(tmp_path / "filled.nc")
    scores = evaluate_files(str(tmp_path / "filled.nc"), str(tmp_path / "truth.nc"))
    assert f"{scores['pm']['all']['rmse']:.4g}" in scores._repr_html_()


def test_a_fit_without_gaps():
    """It says that there are none."""
    full = xr.Dataset({"t": ("time", np.arange(30.0))})
    assert "No variable has gaps" in da4dvar.fit(full, minutes=0.02, say=quiet)._repr_html_()
