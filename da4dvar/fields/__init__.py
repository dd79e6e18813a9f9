"""Labelled arrays: conversion of data sets to windows of numbers, and back.

The modules use xarray, dask and numpy but no tensors, and import only `errors` and `layout` from the rest of
the package. Gap patterns belong in `gaps`, normalisations in `scaling`, error measures in `scores`, and the
names of patterns and scalings in `kinds`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from da4dvar import attached

# Imported on first use: names are public here, and modules load what they need.
_PUBLIC = {
    "Anomaly": "scaling.anomaly",
    "Blocks": "gaps.patterns",
    "Covariates": "covariates",
    "GapPattern": "gaps.patterns",
    "Holdout": "gaps.holdout",
    "Mixture": "gaps.patterns",
    "Network": "gaps.patterns",
    "Overlap": "windows.grid",
    "Points": "points.record",
    "Random": "gaps.patterns",
    "Runs": "gaps.runs",
    "Scaling": "scaling.standard",
    "Sensor": "sensors",
    "Squares": "gaps.squares",
    "Standard": "scaling.standard",
    "Tracks": "gaps.patterns",
    "Transplanted": "gaps.patterns",
    "Unscaled": "scaling.standard",
    "WindowGrid": "windows.grid",
    "apart": "gaps.holdout",
    "bias": "scores.metrics",
    "box_coverage": "scores.boxes",
    "by_class": "gaps.geometry",
    "correlation": "scores.metrics",
    "coverage": "scores.probabilistic",
    "crps_gaussian": "scores.probabilistic",
    "distance_to_observation": "gaps.geometry",
    "distance_to_reporting": "gaps.geometry",
    "energy_score": "scores.ensembles",
    "from_csv": "points.tables",
    "from_dataset": "points.geometries",
    "from_frame": "points.tables",
    "gap_length": "gaps.geometry",
    "gap_lengths": "gaps.runs",
    "hidden_points": "gaps.holdout",
    "i_score": "scores.metrics",
    "load_dataset": "files.store",
    "missing_run": "gaps.geometry",
    "observe": "gaps.observe",
    "open_dataset": "files.store",
    "overlap_add": "windows.grid",
    "power_spectrum": "scores.spectra",
    "r_score": "scores.metrics",
    "rank_histogram": "scores.ensembles",
    "reliability": "scores.probabilistic",
    "resolved_wavelength": "scores.spectra",
    "rmse": "scores.metrics",
    "spread_skill": "scores.probabilistic",
    "variogram_score": "scores.ensembles",
    "write_dataset": "files.store",
}

__all__ = [*_PUBLIC]

if TYPE_CHECKING:
    from da4dvar.fields.covariates import Covariates as Covariates
    from da4dvar.fields.files.store import load_dataset as load_dataset
    from da4dvar.fields.files.store import open_dataset as open_dataset
    from da4dvar.fields.files.store import write_dataset as write_dataset
    from da4dvar.fields.gaps.geometry import by_class as by_class
    from da4dvar.fields.gaps.geometry import distance_to_observation as distance_to_observation
    from da4dvar.fields.gaps.geometry import distance_to_reporting as distance_to_reporting
    from da4dvar.fields.gaps.geometry import gap_length as gap_length
    from da4dvar.fields.gaps.geometry import missing_run as missing_run
    from da4dvar.fields.gaps.holdout import Holdout as Holdout
    from da4dvar.fields.gaps.holdout import apart as apart
    from da4dvar.fields.gaps.holdout import hidden_points as hidden_points
    from da4dvar.fields.gaps.observe import observe as observe
    from da4dvar.fields.gaps.patterns import Blocks as Blocks
    from da4dvar.fields.gaps.patterns import GapPattern as GapPattern
    from da4dvar.fields.gaps.patterns import Mixture as Mixture
    from da4dvar.fields.gaps.patterns import Network as Network
    from da4dvar.fields.gaps.patterns import Random as Random
    from da4dvar.fields.gaps.patterns import Tracks as Tracks
    from da4dvar.fields.gaps.patterns import Transplanted as Transplanted
    from da4dvar.fields.gaps.runs import Runs as Runs
    from da4dvar.fields.gaps.runs import gap_lengths as gap_lengths
    from da4dvar.fields.gaps.squares import Squares as Squares
    from da4dvar.fields.points.geometries import from_dataset as from_dataset
    from da4dvar.fields.points.record import Points as Points
    from da4dvar.fields.points.tables import from_csv as from_csv
    from da4dvar.fields.points.tables import from_frame as from_frame
    from da4dvar.fields.scaling.anomaly import Anomaly as Anomaly
    from da4dvar.fields.scaling.standard import Scaling as Scaling
    from da4dvar.fields.scaling.standard import Standard as Standard
    from da4dvar.fields.scaling.standard import Unscaled as Unscaled
    from da4dvar.fields.scores.boxes import box_coverage as box_coverage
    from da4dvar.fields.scores.ensembles import energy_score as energy_score
    from da4dvar.fields.scores.ensembles import rank_histogram as rank_histogram
    from da4dvar.fields.scores.ensembles import variogram_score as variogram_score
    from da4dvar.fields.scores.metrics import bias as bias
    from da4dvar.fields.scores.metrics import correlation as correlation
    from da4dvar.fields.scores.metrics import i_score as i_score
    from da4dvar.fields.scores.metrics import r_score as r_score
    from da4dvar.fields.scores.metrics import rmse as rmse
    from da4dvar.fields.scores.probabilistic import coverage as coverage
    from da4dvar.fields.scores.probabilistic import crps_gaussian as crps_gaussian
    from da4dvar.fields.scores.probabilistic import reliability as reliability
    from da4dvar.fields.scores.probabilistic import spread_skill as spread_skill
    from da4dvar.fields.scores.spectra import power_spectrum as power_spectrum
    from da4dvar.fields.scores.spectra import resolved_wavelength as resolved_wavelength
    from da4dvar.fields.sensors import Sensor as Sensor
    from da4dvar.fields.windows.grid import Overlap as Overlap
    from da4dvar.fields.windows.grid import WindowGrid as WindowGrid
    from da4dvar.fields.windows.grid import overlap_add as overlap_add

__getattr__, __dir__ = attached(__name__, _PUBLIC)
