"""From files of points to a map in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.api import interpolate
from da4dvar.errors import DataError
from da4dvar.fields.files.store import add_history, check_output, files_of, load_dataset, write_dataset
from da4dvar.fields.labels.flags import in_scheme
from da4dvar.fields.labels.units import same_units
from da4dvar.fields.points.geometries import factor, from_dataset
from da4dvar.fields.points.record import Points
from da4dvar.fields.points.tables import from_csv
from da4dvar.fields.sampling import check_disk, check_samples
from da4dvar.progress import Phase, Progress
from da4dvar.workflows.points.binned import binned
from da4dvar.workflows.points.mapped import Mapped, blank, map_lazily, prepared

Say = Callable[[str], None]
STORES = (".nc", ".nc4", ".cdf", ".zarr")


def map_file(
    source: Sequence[str],
    output: str,
    *,
    model: str | None,
    grid: str | None,
    resolution: float | None,
    every: str | None,
    levels: Sequence[float],
    error: Mapping[str, float] | None,
    bias: Mapping[str, float] | str,
    minutes: float,
    method: str,
    variable: Mapping[str, str],
    mask: str | None,
    fill_value: str,
    group: str | None,
    bounds: Sequence[str],
    std: bool,
    interval: Sequence[float],
    flags: str,
    samples: int,
    seed: int,
    device: str,
    overwrite: bool,
    phase: Phase,
    progress: Progress | None,
    command: str,
    say: Say,
) -> Mapped | None:
    """Map the points of files to a grid and write the map; see :func:`da4dvar.map_points`.

    Parameters
    ----------
    source : sequence of str
        Files of points, NetCDF, Zarr or CSV. Of several files without platforms, each is a platform.
    output : str
        File or store to write.
    model : str or None
        Model that fills the grid, on which the points are averaged.
    device : {"auto", "cpu", "cuda"}
        Where the windows of the model are solved.
    grid : str or None
        File whose grid the map has.
    group : str or None
        Group of the input.
    overwrite, command
        See :func:`da4dvar.interpolate_file`.

    Returns
    -------
    Mapped or None
        None with a model, which has no scores of its own.

    Raises
    ------
    DataError
        If the input cannot be read or mapped, or the output cannot be written.
    """
    files = files_of(source)
    check_output(output, [*files, *([grid] if grid else [])], overwrite)
    check_samples(samples, seed)
    phase("reading")
    points = read_files(files, variable, mask, fill_value, group, say)
    target = None if grid is None else load_dataset(grid)
    if model is not None:
        phase("filling")
        if levels:
            raise DataError("--levels excludes --model, which takes no levels; omit one of them")
        cells = bins_of(points, target, resolution, every, error, bias, say)
        filled = interpolate(
            cells,
            model,
            analysis=True,
            fill_value="none",
            times="keep",
            std=std,
            interval=interval,
            samples=samples,
            seed=seed,
            device=device,
        )
        write_dataset(add_history(in_codes(filled, flags), command), output, overwrite)
        return None
    mapped = map_lazily(
        points,
        target,
        resolution=resolution,
        every=every,
        levels=levels,
        error=error,
        bias=bias,
        minutes=minutes,
        method=method,
        bounds=bounds,
        std=std,
        interval=interval,
        flags=flags,
        samples=samples,
        seed=seed,
        phase=phase,
        progress=progress,
        say=say,
        check=partial(check_disk, output=output),
    )
    phase("writing")
    write_dataset(add_history(mapped.data, command), output, overwrite)
    return mapped


def bins_of(
    points: Mapping[str, Points],
    grid: xr.Dataset | None,
    resolution: float | None,
    every: str | None,
    error: Mapping[str, float] | None,
    bias: Mapping[str, float] | str,
    say: Say,
) -> xr.Dataset:
    """Return the mean of the points in each cell of a grid, for a model that takes grids.

    Raises
    ------
    DataError
        If there is no such grid, or no point on it.
    """
    out = []
    for own in points.values():
        own, target = prepared(own, grid, resolution, every, (), error, bias, say)
        since = 0.0 if target.times is None else target.times[0]
        array = blank(target, own).copy(data=binned(own, target, since).values)
        out.append(array)
        say(
            f"{own.name}: the model takes observations in cells: {len(own)} points are averaged in "
            f"{int(array.notnull().sum())} cells of the grid"
        )
    return xr.merge(out)


def in_codes(filled: xr.Dataset, scheme: str) -> xr.Dataset:
    """Return a data set with its flags in the codes of a scheme."""
    names = [str(n) for n in filled.data_vars if str(n).endswith("_flag")]
    return filled.assign({n: in_scheme(filled[n], scheme) for n in names})


def read_files(
    files: Sequence[str],
    variable: Mapping[str, str],
    mask: str | None,
    fill_value: str,
    group: str | None,
    say: Say,
) -> dict[str, Points]:
    """Return the points of each variable of some files.

    Raises
    ------
    DataError
        If a file cannot be read, or files do not agree.
    """
    found: dict[str, list[Points]] = {}
    for file in files:
        if Path(file).suffix.lower() in STORES or Path(file).is_dir():
            ds = load_dataset(file, group)
            own = from_dataset(ds, variable or None, mask=mask, fill_value=fill_value, say=say)
        else:
            own = from_csv(file, variable or None, mask=mask, fill_value=fill_value, say=say)
        for name, points in own.items():
            if points.platform is None and len(files) > 1:
                points = replace(points, platform=np.full(len(points), Path(file).stem))
            found.setdefault(name, []).append(points)
    return {name: joined(parts) for name, parts in found.items()}


def joined(parts: Sequence[Points]) -> Points:
    """Return points of the same variable as one, in the units of the first.

    Raises
    ------
    DataError
        If a coordinate is missing in some, or units cannot be converted.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    units = first.attrs.get("units")
    same = [part if same_units(part.attrs.get("units"), units) else in_units(part, units) for part in parts]
    needed = {n for part in parts for n in part.columns()} - {"error"}
    for part in parts:
        if missing := needed - set(part.columns()):
            raise DataError(
                f"{first.name!r} has no {sorted(missing)[0]} in some files; give all files the same columns"
            )
    columns: dict[str, Any] = {n: np.concatenate([part.columns()[n] for part in same]) for n in needed}
    if any(part.error is not None for part in same):
        errors = [np.full(len(p), np.nan) if p.error is None else p.error for p in same]
        columns["error"] = np.concatenate(errors)
    return replace(first, **columns)


def in_units(points: Points, units: object) -> Points:
    """Return points in other units.

    Raises
    ------
    DataError
        If the units cannot be converted.
    """
    scale, offset = factor(points.attrs.get("units"), units, f"{points.name!r} of one file")
    error = None if points.error is None else points.error * scale
    return replace(points, value=points.value * scale + offset, error=error)
