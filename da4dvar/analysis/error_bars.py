"""Standard errors and intervals of estimates, from a calibrated ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from da4dvar.analysis.analyse import analyse
from da4dvar.analysis.calibration import ONE_SIGMA, Calibration, levels_of
from da4dvar.analysis.ensemble import CalibratedEnsemble, Ensemble, ErrorParts
from da4dvar.analysis.model import Model
from da4dvar.errors import DataError, warn
from da4dvar.fields.gaps.holdout import HIDDEN, Holdout
from da4dvar.fields.gaps.observe import thinned
from da4dvar.fields.gaps.patterns import GapPattern, Mixture
from da4dvar.fields.labels.conform import Conformed, check_same_cells
from da4dvar.fields.labels.given import as_dataset
from da4dvar.fields.labels.intervals import with_error_bars


def wanted(
    calibration: CalibratedEnsemble | None,
    std: bool,
    members: int | None,
    interval: float | Sequence[float],
) -> Ensemble | None:
    """Return the ensemble to run, if one is requested; see :class:`da4dvar.analysis.options.Options`.

    Raises
    ------
    DataError
        If the ensemble is invalid, or an interval is requested from a model without calibration.
    """
    levels = levels_of(interval)
    if not std and members is None and not levels:
        return None
    if levels and calibration is None:
        raise DataError(
            "the model has no calibration, which intervals need; create one with "
            "da4dvar calibrate MODEL observed.nc truth.nc -o NEW.safetensors"
        )
    for known in () if calibration is None else calibration.variables.values():
        for level in levels:
            known.factor(level)
    plan = Ensemble() if calibration is None else calibration.ensemble
    return plan if members is None else replace(plan, members=members)


def with_uncertainty(
    filled: xr.Dataset,
    conformed: Conformed,
    parts: ErrorParts | None,
    calibration: CalibratedEnsemble | None,
    interval: float | Sequence[float],
) -> xr.Dataset:
    """Add standard errors and intervals to an output data set if an ensemble was run."""
    if parts is None:
        return filled
    if calibration is None:
        warn(UNCALIBRATED)
        return with_error_bars(filled, conformed, parts.spread, {})
    known, levels = calibration.variables, levels_of(interval)
    sigma = {name: calibration.sigma(name, parts) for name in known}
    std, *halves = (
        xr.Dataset({n: s * known[n].factor(level) for n, s in sigma.items()})
        for level in (ONE_SIGMA, *levels)
    )
    return with_error_bars(filled, conformed, std, dict(zip(levels, halves, strict=True)))


def calibrate(
    model: Model,
    ds: xr.Dataset | xr.DataArray,
    truth: xr.Dataset | xr.DataArray,
    variable: Mapping[str, str] | str | None = None,
    mask: str | xr.DataArray | None = None,
    dim: Mapping[str, str] | None = None,
    ensemble: Ensemble = Ensemble(),  # noqa: B008 — frozen
    seed: int = 0,
    device: str = "auto",
) -> CalibratedEnsemble:
    """Calibrate an ensemble on cells whose true value is known but not observed.

    Parameters
    ----------
    model : Model
        Fitted model, which is not changed.
    ds, truth : Dataset or DataArray
        Observations from a period that was not used in training, and the truth at all or some of the cells.
    variable, mask, dim
        See :meth:`da4dvar.Interpolator.interpolate`. The names in `variable` also apply to `truth` if it has
        them and lacks those of the model.
    ensemble : Ensemble
        Size and perturbations of the ensemble.
    seed : int
        Random seed of withheld observations and perturbations.
    device : {"auto", "cpu", "cuda"}
        Where windows are solved; see :meth:`da4dvar.Interpolator.interpolate`.

    Returns
    -------
    CalibratedEnsemble
        Value for the attribute `calibration` of the model.

    Raises
    ------
    DataError
        If the data do not fit the model, or fewer than 50 cells are known but not observed.

    Examples
    --------
    >>> from da4dvar import load
    >>> from da4dvar.simulate import lorenz96
    >>> twin = lorenz96(series=1, steps=16, seed=3)
    >>> seen = twin[["x_observed"]].rename(x_observed="x")
    >>> found = calibrate(load("lorenz96"), seen, twin[["x"]], ensemble=Ensemble(members=2))
    >>> found.variables["x"].points  # 16 times of 40 components, without 4 times of 20
    560
    """
    ds, given = as_dataset(ds, model.fitted_signature(), variable)
    truth, names = as_dataset(truth, model.fitted_signature())
    names |= {m: u for m, u in given.items() if u in truth.variables and m not in truth.variables}
    observed = model.conform(ds.compute(), variable=given, mask=mask, dim=dim)
    beside = [given.get(n, n) for n in model.covariates.names]
    truth = truth.assign({n: ds[n] for n in beside if n not in truth})
    true = model.conform(truth.compute(), variable=names, dim=dim).data
    return calibrated(model, [(observed, true)], ensemble, seed, device)


def calibrated(
    model: Model,
    pairs: Sequence[tuple[Conformed, xr.Dataset]],
    ensemble: Ensemble,
    seed: int,
    device: str = "auto",
) -> CalibratedEnsemble:
    """Calibrate an ensemble on pairs of observations and truth.

    Parameters
    ----------
    model : Model
        Fitted model.
    pairs : sequence of (Conformed, Dataset)
        Observations and truth, both under the model's names.
    ensemble : Ensemble
        Size and perturbations of the ensemble.
    seed : int
        Random seed.
    device : {"auto", "cpu", "cuda"}
        Where windows are solved.

    Returns
    -------
    CalibratedEnsemble
        Ensemble with a calibration of each variable.

    Raises
    ------
    DataError
        If observations and truth differ in their cells, or fewer than 50 cells are known only to the truth.
    """
    errors: dict[str, list[tuple[np.ndarray, ...]]] = {n: [] for n in model.layout.variables}
    for conformed, truth in pairs:
        check_same_cells(conformed.data, truth)
        solved = analyse(model, conformed, ensemble=ensemble, seed=seed, device=device)
        parts = solved.parts
        assert parts is not None
        for name, found in errors.items():
            true = truth[name]
            hidden = (true.notnull() & conformed.data[name].isnull()).values
            guess = parts.guess[name] if name in parts.guess else xr.zeros_like(true)
            share = parts.share[name].broadcast_like(true)
            arrays = (true - solved.estimates[name], parts.spread[name], guess, parts.distance[name], share)
            found.append(tuple(a.transpose(*true.dims).values[hidden] for a in arrays))
    variables = {}
    for name, found in errors.items():
        try:
            variables[name] = Calibration.fit(*(np.concatenate(a) for a in zip(*found, strict=True)))
        except DataError as error:
            raise DataError(f"variable {name!r}: {error}") from error
    return CalibratedEnsemble(ensemble, variables)


def calibration_pairs(
    seen: xr.Dataset, truth: xr.Dataset | None, gaps: GapPattern | None, time: str, seed: int
) -> list[tuple[xr.Dataset, xr.Dataset]]:
    """Return pairs of observations and truth with hidden points, from validation data.

    Parameters
    ----------
    seen, truth : Dataset
        Observations and, optionally, truth. If the truth has no values beyond the observations, `gaps` are
        drawn in them, once for each pattern of a mixture. Without `gaps`, points are hidden in the shapes of
        the gaps of the data.
    gaps : GapPattern, optional
        Gaps of the training.
    time : str
        Name of the time dimension.
    seed : int
        Random seed.

    Returns
    -------
    list of (Dataset, Dataset)
        Observations and truth.
    """
    true = seen if truth is None else truth
    if any(bool((true[n].notnull() & seen[n].isnull()).any()) for n in seen.data_vars):
        return [(seen, true)]
    if gaps is None:
        return [Holdout(HIDDEN, seed=seed).taken(seen, time)]
    generator = np.random.default_rng([seed, 5])
    patterns = gaps.patterns if isinstance(gaps, Mixture) else [gaps]
    return [(seen.map(thinned, args=(pattern, generator)), true) for pattern in patterns]


UNCALIBRATED = (
    "the model has no calibration: standard errors are the raw spread of the members, which may differ much "
    "from the actual errors; calibrate the model with da4dvar calibrate"
)
