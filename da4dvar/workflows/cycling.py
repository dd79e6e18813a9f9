"""Assimilation and forecasts from file to file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from da4dvar.analysis.notes import credit
from da4dvar.api import model_of
from da4dvar.errors import DataError, warn
from da4dvar.fields.files.opening import groups_of
from da4dvar.fields.files.store import add_history, check_output, files_of, load_dataset, write_dataset
from da4dvar.outofcore.identity import digest
from da4dvar.progress import Progress

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator

# Group of an output that holds what a later call goes on with.
GROUP = "background"


def assimilate_file(
    source: str | Path | Sequence[str | Path],
    output: str | Path,
    model: Interpolator | str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    background: str | Path | None = None,
    lag: int | None = None,
    background_error: float | None = None,
    model_error: float | None = None,
    inflation: float | None = None,
    observation_error: float | None = None,
    variable: Mapping[str, str] | str | None = None,
    mask: str | None = None,
    dim: Mapping[str, str] | None = None,
    fill_value: str | float = "auto",
    times: str = "insert",
    force: bool = False,
    progress: Progress | None = None,
    device: str = "auto",
    group: str | None = None,
    command: str | None = None,
) -> None:
    """Assimilate the observations of a file, and write the analyses to a file, or append them.

    Parameters
    ----------
    source : path, glob or sequence of paths
        NetCDF files or Zarr stores with observations.
    output : path
        A NetCDF file or a Zarr store. Its group ``background`` holds all that is needed to go on. It is
        written anew as a whole, so that it is complete at any time.
    model : Interpolator, str or path
        A fitted model with dynamics, the name of a shipped model, or the path of a model file.
    resume : bool
        Whether to go on from the last analysis in `output`, with the settings of that assimilation. The
        observations of times that are there already are left out.
    overwrite : bool
        Whether to replace the output.
    background : path, optional
        File with the state of the first time and its error; see `background` of
        :meth:`da4dvar.Interpolator.assimilate`.
    lag, background_error, model_error, inflation, observation_error
        See :meth:`da4dvar.Interpolator.assimilate`.
    variable, mask, dim, fill_value, times, force, progress, device
        See :meth:`da4dvar.Interpolator.assimilate`.
    group : str, optional
        Group of the files that holds the variables.
    command : str, optional
        Line to add to the history of the output.

    Raises
    ------
    DataError
        If the data do not match the model, the output exists and neither `resume` nor `overwrite` is set, or
        it was written by another model; and as :meth:`da4dvar.Interpolator.assimilate`. The output is then
        as it was.
    ModelError
        If the model does not exist.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from da4dvar.simulate import lorenz96
    >>> seen = lorenz96(series=1, steps=12, seed=3)[["x_observed"]].rename(x_observed="x")
    >>> with TemporaryDirectory() as folder:
    ...     for days in (slice(0, 8), slice(8, 12)):
    ...         write_dataset(seen.isel(time=days), f"{folder}/obs.nc", overwrite=True)
    ...         assimilate_file(f"{folder}/obs.nc", f"{folder}/analysis.nc", "lorenz96-ode", resume=True)
    ...     with xr.open_dataset(f"{folder}/analysis.nc") as ds:
    ...         print(ds.sizes["time"])
    12
    """
    files, output = files_of([source] if isinstance(source, str | Path) else source), Path(output)
    going_on = resume and os.path.exists(output)
    check_output(output, files, overwrite or going_on)
    if resume and not going_on:
        warn("there is no earlier analysis to resume; starting a new one")
    if resume and background is not None:
        raise DataError("got both --resume and a background; leave one of them out")
    fitted = model_of(model)
    earlier = handed = None
    if going_on:
        handed = background_of(output)
        if handed is None:
            raise DataError(
                f"{output}: there is no group {GROUP!r} to go on from; give the output of an assimilation, "
                "or start over with --overwrite"
            )
        if handed.attrs.get("model") != digest(fitted):
            raise DataError(
                f"{output}: was written with another model; give that one, or start over with --overwrite"
            )
        earlier = load_dataset(output)
    elif background is not None:
        handed = load_dataset(background)
    found = fitted.assimilate(
        load_dataset(files, group),
        handed,
        lag=lag,
        background_error=background_error,
        model_error=model_error,
        inflation=inflation,
        observation_error=observation_error,
        variable=variable,
        mask=mask,
        dim=dim,
        fill_value=fill_value,
        times=times,
        force=force,
        progress=progress,
        device=device,
    )
    analysis = found.analysis
    if earlier is not None:
        time = fitted.conform(analysis).dims[fitted.time]
        before = earlier.isel({time: earlier[time].values < analysis[time].values[0]})
        analysis = xr.concat(
            [before, analysis], time, coords="minimal", compat="override", combine_attrs="override"
        ).assign_attrs(earlier.attrs)
    analysis = add_history(analysis, credit(fitted, "assimilated"))
    write_dataset(
        add_history(analysis, command) if command else analysis,
        output,
        overwrite or going_on,
        {GROUP: found.background.assign_attrs(model=digest(fitted))},
    )


def forecast_file(
    source: str | Path,
    output: str | Path,
    model: Interpolator | str | Path,
    steps: int,
    *,
    members: int | None = None,
    seed: int = 0,
    device: str = "auto",
    group: str | None = None,
    overwrite: bool = False,
    command: str | None = None,
) -> None:
    """Forecast the times that follow an analysis in a file, and write them to another file.

    Parameters
    ----------
    source : path
        Output of :func:`assimilate_file` or of :func:`da4dvar.interpolate_file`; for a model without
        dynamics also observations.
    output : path
        A NetCDF file or a Zarr store.
    model : Interpolator, str or path
        A fitted model, the name of a shipped model, or the path of a model file.
    steps, members, seed, device
        See :meth:`da4dvar.Interpolator.forecast`.
    group : str, optional
        Group of the file that holds the variables.
    overwrite : bool
        Whether to replace the output.
    command : str, optional
        Line to add to the history of the output.

    Raises
    ------
    DataError
        If the output exists, and as :meth:`da4dvar.Interpolator.forecast`. Nothing is written then.
    ModelError
        If the model does not exist.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from da4dvar.simulate import lorenz96
    >>> truth = lorenz96(series=1, steps=4, seed=3)[["x"]]
    >>> with TemporaryDirectory() as folder:
    ...     write_dataset(truth, f"{folder}/analysis.nc")
    ...     forecast_file(f"{folder}/analysis.nc", f"{folder}/forecast.nc", "lorenz96-ode", steps=20)
    ...     with xr.open_dataset(f"{folder}/forecast.nc") as ds:
    ...         print(ds.sizes["time"])
    20
    """
    check_output(output, files_of([source]), overwrite)
    fitted = model_of(model)
    ds = load_dataset(source, group)
    found = fitted.forecast(ds, steps, background_of(source), members=members, seed=seed, device=device)
    found = add_history(found, credit(fitted, "forecast"))
    write_dataset(add_history(found, command) if command else found, output, overwrite)


def background_of(path: str | Path) -> xr.Dataset | None:
    """Return what an assimilation has left in its output to go on from; None if there is nothing."""
    if not os.path.exists(path) or GROUP not in groups_of(str(path), os.path.isdir(path)):
        return None
    return load_dataset(path, GROUP)
