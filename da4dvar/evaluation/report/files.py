"""Evaluation report of files, written to an HTML page and figures."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from da4dvar.errors import DataError
from da4dvar.evaluation.comparison import Comparison, compare_files
from da4dvar.evaluation.figures import pretty
from da4dvar.evaluation.report.classes import class_parts
from da4dvar.evaluation.report.example import example_of, index_at
from da4dvar.evaluation.report.maps import map_part
from da4dvar.evaluation.report.page import PRINT, page, png, versions
from da4dvar.evaluation.report.part import Part, Table, number, percent
from da4dvar.evaluation.report.power import spectra_part
from da4dvar.evaluation.report.reliability import reliability_part
from da4dvar.evaluation.report.samples import samples_part
from da4dvar.evaluation.report.series import series_part
from da4dvar.evaluation.report.shape import Shape
from da4dvar.evaluation.report.stations import stations_part
from da4dvar.evaluation.scores import scores_of
from da4dvar.evaluation.text import BOXES, COLUMNS, Scores
from da4dvar.fields.files.store import check_output, open_dataset, write_whole

Figures = dict[str, bytes]
# Kinds of figures that a variable may have.
KINDS = ("map", "stations", "series", "classes", "reliability", "samples", "spectra")


def report_files(
    estimate: str,
    truth: str,
    observed: str | None = None,
    *,
    variable: Mapping[str, str] | None = None,
    report: str | Path | None = None,
    figures: str | Path | None = None,
    at: str | None = None,
    model: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> Scores:
    """Score a file against another, and write a report and figures.

    Parameters
    ----------
    estimate, truth : str
        Paths of data sets on the same coordinates. For each variable, the estimate may also hold its standard
        deviation ``<name>_std``, the ends of intervals ``<name>_lower_90`` and ``<name>_upper_90``, and joint
        samples ``<name>_samples``.
    observed : str, optional
        Path of the data set with gaps, for scores by gap length and by distance.
    variable : mapping of str to str, optional
        Name of a variable in `observed`, where it differs.
    report : path, optional
        Page to write, with the suffix .html.
    figures : path, optional
        Folder to write the figures to, as PNG files; it is created if its parent folder exists.
    at : str, optional
        Time to draw; by default one with a typical error.
    model : str, optional
        Name of a model that ships with the package, or path of a model file; its energy descent on a few
        windows of `observed` is added to the report.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Where these windows are solved; see :meth:`da4dvar.Interpolator.interpolate`.
    overwrite : bool
        Replace an existing page and existing figures.

    Returns
    -------
    dict
        Scores as returned by :func:`da4dvar.evaluation.scores.evaluate_files`.

    Raises
    ------
    DataError
        If the files do not fit each other or the model, the output cannot be written, or there is no such
        device.
    ModelError
        If the model does not exist.

    Examples
    --------
    >>> import xarray as xr
    >>> from tempfile import TemporaryDirectory
    >>> truth = xr.Dataset({"sst": (("time", "lat"), [[10.0, 11.0], [12.0, 13.0]])}, {"time": [0, 1]})
    >>> with TemporaryDirectory() as folder:
    ...     truth.to_netcdf(f"{folder}/truth.nc")
    ...     (truth + 0.5).to_netcdf(f"{folder}/filled.nc")
    ...     found = report_files(f"{folder}/filled.nc", f"{folder}/truth.nc", report=f"{folder}/report.html")
    ...     os.listdir(folder).count("report.html"), found["sst"]["all"]["rmse"]
    (1, 0.5)
    """
    inputs = [estimate, truth, *([] if observed is None else [observed])]
    check_report(report, inputs, overwrite)
    check_figures(figures)
    if model is not None and observed is None:
        raise DataError("--model: the solver needs the data set with gaps; pass it with --observed FILE")
    check_new(figures, ["descent"] if model is not None else [], overwrite)
    scores = Scores()
    sections: list[tuple[str, Sequence[Part]]] = []
    images: Figures = {}
    last = descent_of(model, observed, truth, variable, device)
    if last.figure is not None and figures is not None:
        images["descent"] = png(last.figure, PRINT)
    units = {}
    for one in compare_files(estimate, truth, observed, variable):
        check_new(figures, [f"{one.name}-{kind}" for kind in KINDS], overwrite)
        scores[one.name], units[one.name] = scores_of(one), one.units
        parts = parts_of(one, at)
        sections.append((one.title, parts))
        if figures is not None:
            images |= {f"{one.name}-{p.kind}": png(p.figure, PRINT) for p in parts if p.figure is not None}
    if figures is not None:
        write_figures(images, Path(figures))
    if report is not None:
        opening = [compared(inputs, estimate, model), scores_part(scores, units)]
        whole = [(p.title, [p]) for p in opening] + sections + [(last.title, [last])]
        text = page(f"Evaluation of {Path(estimate).name}", whole)
        write_whole(Path(report), lambda beside: beside.write_text(text, encoding="utf-8"))
    return scores


def parts_of(one: Comparison, at: str | None) -> list[Part]:
    """Return the parts of a report about one variable.

    Raises
    ------
    DataError
        If the time `at` cannot be drawn.
    """
    shape = Shape.of(one.estimate)
    centre = None
    if at is not None:
        if shape.time is None:
            raise DataError(f"--at {at}: variable {one.name!r} has no time dimension; omit --at")
        centre = index_at(one.estimate[shape.time], at)
    parts = [
        map_part(one, shape, example_of(one, shape, at)),
        series_part(one, shape, centre),
        class_parts(one),
        reliability_part(one),
        samples_part(one),
        spectra_part(one, shape),
    ]
    if shape.located:
        parts.insert(1, stations_part(one, shape))
    return parts


def descent_of(
    model: str | None, observed: str | None, truth: str, variable: Mapping[str, str] | None, device: str
) -> Part:
    """Return the part about the solver, or a line of text if no model was given."""
    if model is None or observed is None:
        return Part(
            "descent",
            "Energy descent",
            ["No model was given; name one with --model to see its energy descent."],
        )
    from da4dvar.evaluation.report.descent import descent_part

    return descent_part(model, observed, truth, variable, device=device)


def scores_part(scores: Scores, units: Mapping[str, str]) -> Part:
    """Return the table with the scores of all variables."""
    keys = [k for k in COLUMNS if any(k in s for parts in scores.values() for s in parts.values())]
    rows = []
    for name, parts in scores.items():
        for part, found in parts.items():
            if part == BOXES:
                continue
            shown = [
                percent(found.get(k, float("nan")))
                if k.startswith("coverage")
                else number(found.get(k, float("nan")), 4)
                for k in keys
            ]
            rows.append([name, part, f"{found['cells']:.0f}", *shown, pretty(units[name])])
    head = ["variable", "cells", "number", *(COLUMNS[k] for k in keys), "units"]
    text = [
        "RMSE, bias and CRPS are in the units of the variable. R-score: mean square error over the "
        "variance of the truth. Spread/skill: 1 for honest error bars, less for too narrow ones; “in 90 %”: "
        "part of the truths in the 90 % interval. Energy, in the units of the variable, and variogram: "
        "scores of joint samples, of which the second sees wrong correlations; less is better."
    ]
    return Part("scores", "Scores by variable", text, [Table(head, rows)])


def compared(inputs: Sequence[str], estimate: str, model: str | None) -> Part:
    """Return the part that lists the files, the model and the versions of a comparison."""
    kinds = ("estimate", "truth", "observed")
    rows = [[kind, Path(path).name] for kind, path in zip(kinds, inputs, strict=False)]
    if len(inputs) < 3:
        rows.append(["observed", "not given; observed and unobserved cells are scored together"])
    with open_dataset(estimate) as ds:
        by = made_by(str(ds.attrs.get("history", "")))
        rows.append(
            ["cells", ", ".join(f"{d} {n}" for d, n in ds.sizes.items() if not str(d).startswith("window_"))]
        )
    if by:
        rows.append(["estimate made by", by])
    if model is not None:
        rows.append(["model of the energy descent", Path(model).name])
    rows.append(["versions", versions(*(["torch"] if model is not None else []))])
    return Part("compared", "What was compared", (), [Table([], rows, words=True)])


def made_by(history: str) -> str:
    """Return the last model or method named in a history attribute, without its folder.

    Examples
    --------
    >>> made_by("2026-01-01T00:00:00Z da4dvar interpolate a.nc b.nc --model /home/me/sea.safetensors")
    'model sea.safetensors'
    """
    found = []
    for pattern, text in (
        (r"--model[ =](\S+)", "model {}"),
        (r"by the model '([^']+)'", "“{}”"),
        (r"--method[ =](\S+)", "method {}"),
    ):
        match = re.search(pattern, history)
        if match:
            found.append(text.format(match[1].rsplit("/", 1)[-1]))
    return ", ".join(found)


def check_report(report: str | Path | None, inputs: Sequence[str], overwrite: bool) -> None:
    """Check that the page can be written, before any work is done.

    Raises
    ------
    DataError
    """
    if report is not None:
        check_output(report, [p for p in inputs if os.path.exists(p)], overwrite, (".html",))


def check_figures(folder: str | Path | None) -> None:
    """Check that the folder exists or can be created, and is writable.

    Raises
    ------
    DataError
    """
    if folder is None:
        return
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise DataError(f"--figures {place}: a file, expected a folder; choose another name")
    around = place if place.is_dir() else place.resolve().parent
    if not around.is_dir():
        raise DataError(f"--figures {place}: folder {place.parent} does not exist; create it first")
    if not os.access(around, os.W_OK):
        raise DataError(f"--figures {place}: no permission to write in {around.name}; choose another folder")


def check_new(folder: str | Path | None, names: Sequence[str], overwrite: bool) -> None:
    """Check that no figure exists that may not be replaced.

    Raises
    ------
    DataError
    """
    there = [] if folder is None or overwrite else [Path(folder) / f"{name}.png" for name in names]
    for path in there:
        if path.exists():
            raise DataError(f"{path}: exists already; pass --overwrite to replace it, or name another folder")


def write_figures(images: Figures, folder: Path) -> None:
    """Write each image to a file of its name in a folder."""
    folder.mkdir(exist_ok=True)
    for name, content in images.items():
        write_whole(folder / f"{name}.png", lambda beside, content=content: beside.write_bytes(content))  # type: ignore[misc]
