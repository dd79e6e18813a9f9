"""Ensembles of analyses, and the information about the error of each cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import xarray as xr

from da4dvar.analysis.calibration import Calibration
from da4dvar.errors import DataError

MEMBERS = 8
MOST = 10_000


@dataclass(frozen=True)
class Ensemble:
    """x̂_m = arg min U(x, y + ε_m, Ω_m) from x(0) + δ_m: minimisations with perturbed observations.

    ε has the observation error stated by the model or the data; δ is drawn in units of the standard error of
    the first guess. A first guess without standard errors, or an initial state at the mean, is not perturbed,
    because the solver was trained on no other initial state: noise of 0.1 standard deviations gave a spread
    that was unrelated to the errors.

    Parameters
    ----------
    members : int
        Number of members.
    withheld : float
        Fraction of the observations withheld from each member. With one half, the spread followed the errors
        better than with one fifth (rank correlation 0.14 and 0.10; three members, SST from tracks).
    block : mapping of str to int
        Cells along each dimension of the boxes in which observations are withheld, 1 by default.
    start : float
        Standard deviation of δ, in standard errors of the first guess.

    Raises
    ------
    DataError
        If a value is out of its range.

    Examples
    --------
    >>> Ensemble(members=4, block={"time": 3}).withheld
    0.5
    >>> Ensemble(members=1)
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: an ensemble of 1 has no spread; expected 2 members or more
    """

    members: int = MEMBERS
    withheld: float = 0.5
    block: Mapping[str, int] = field(default_factory=dict)
    start: float = 0.5

    def __post_init__(self) -> None:
        if self.members < 2:
            raise DataError(f"an ensemble of {self.members} has no spread; expected 2 members or more")
        if self.members > MOST:
            raise DataError(f"an ensemble of {self.members} is too large; expected up to {MOST} members")
        if not 0 <= self.withheld < 1:
            raise DataError(f"the fraction withheld is {self.withheld:g}, expected 0 or more and below 1")
        if not self.start >= 0:
            raise DataError(f"start (perturbation of the first guess) is {self.start:g}, expected 0 or more")
        for dim, cells in self.block.items():
            if cells < 1:
                raise DataError(f"boxes of {cells} cells along {dim!r}, expected 1 or more")


@dataclass(frozen=True)
class ErrorParts:
    """Information about the error of each cell, under the model's names.

    Parameters
    ----------
    spread : Dataset
        √ mean (x̂_m − x̂)² over the members, in the units of the variables.
    guess : Dataset
        Standard error of the first guess, for the variables that have one.
    distance : Dataset
        Distance to the nearest observation, in cells along time and the layout's axes; inf if there is none.
    share : Dataset
        Share of the times at which the cell is observed, from 0 to 1.

    Examples
    --------
    >>> cell = xr.Dataset({"sst": ("time", [0.3])})
    >>> ErrorParts(spread=cell, guess=xr.Dataset(), distance=10 * cell, share=cell).distance.sst.values
    array([3.])
    """

    spread: xr.Dataset
    guess: xr.Dataset
    distance: xr.Dataset
    share: xr.Dataset


@dataclass(frozen=True)
class CalibratedEnsemble:
    """An ensemble and the calibration of each variable.

    Parameters
    ----------
    ensemble : Ensemble
        Ensemble to run.
    variables : mapping of str to Calibration
        Calibrations by the model's names of the variables.

    Examples
    --------
    >>> from da4dvar import load
    >>> known = load("oisst-tasman").calibration
    >>> sorted(known.variables), known.ensemble.members
    (['sst'], 8)
    """

    ensemble: Ensemble
    variables: Mapping[str, Calibration]

    def sigma(self, name: str, parts: ErrorParts) -> xr.DataArray:
        """Return σ of a variable, lazy if `parts` is.

        Parameters
        ----------
        name : str
            Name of the variable.
        parts : ErrorParts
            Error information.

        Returns
        -------
        DataArray
            In the units of the variable.
        """
        spread = parts.spread[name]
        guess = parts.guess[name].fillna(0.0) if name in parts.guess else 0.0
        return self.variables[name].sigma(spread, guess, parts.distance[name], parts.share[name])

    def to_dict(self) -> dict[str, Any]:
        """Return plain tables for the header of a model file.

        Returns
        -------
        dict
        """
        variables = {name: asdict(calibration) for name, calibration in self.variables.items()}
        return {"ensemble": asdict(self.ensemble), "variables": variables}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any] | None) -> Self | None:
        """Create the object from the result of :meth:`to_dict`, or return None for None.

        Parameters
        ----------
        table : mapping or None
            Result of :meth:`to_dict`.

        Returns
        -------
        CalibratedEnsemble or None
        """
        if table is None:
            return None
        variables = {n: Calibration.from_dict(c) for n, c in table["variables"].items()}
        return cls(Ensemble(**table["ensemble"]), variables)
