"""A method that fills one variable at a time, within its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import xarray as xr

from da4dvar.baselines import Baseline
from da4dvar.config.tables import Table
from da4dvar.errors import warn
from da4dvar.fields.bounds import Bounds, angle, components, kept_within

if TYPE_CHECKING:
    # Classical methods are tried, and may have filled a file, before torch is loaded.
    from da4dvar.interpolator import Interpolator


@dataclass(frozen=True)
class Candidate:
    """A method under the name that the tables print.

    Attributes
    ----------
    name : str
        Name.
    method : Baseline
        Method.
    table : dict
        Table of a recipe that describes it; empty for a model.
    others : tuple of str
        Names of the variables that it uses as they are; see :class:`Together`.
    """

    name: str
    method: Baseline
    table: Table
    others: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def needs(self) -> float:
        """Seconds that the method needs at least to be fitted; see :class:`da4dvar.baselines.Baseline`."""
        return float(getattr(self.method, "needs_seconds", 0.0))

    def fitted(self, array: xr.DataArray, bounds: Bounds) -> Candidate:
        """Return the method with its parameters fitted to a variable, so that no estimate fits them again.

        Parameters
        ----------
        array : DataArray
            Variable with NaN in the gaps.
        bounds : Bounds
            Possible values.

        Returns
        -------
        Candidate
            Itself, if the method has no such parameters.
        """
        fit = getattr(self.method, "fitted", None)
        if fit is None:
            return self
        parts = components(array, bounds) if bounds.circular else array.to_dataset()
        method = fit(parts)
        return replace(self, method=method, table=fitted_table(method, self.table))

    def estimate(
        self,
        array: xr.DataArray,
        bounds: Bounds,
        others: xr.Dataset | None = None,
        error: bool = True,
    ) -> tuple[xr.DataArray, xr.DataArray | None]:
        """Return the analysis of a variable within its bounds, and its standard error if there is one.

        Parameters
        ----------
        array : DataArray
            Variable with NaN in the gaps.
        bounds : Bounds
            Possible values. Angles are estimated by their sine and cosine.
        others : Dataset, optional
            Data set with the other variables, for a method that uses them.
        error : bool
            Whether a standard error is wanted if it takes time of its own.

        Returns
        -------
        estimate : DataArray
        error : DataArray or None

        Raises
        ------
        DataError
            If the method cannot fill the variable.
        """
        name = str(array.name)
        wanted = error and not bounds.circular
        filled = (
            self.method.interpolate if wanted else getattr(self.method, "estimate", self.method.interpolate)
        )
        if bounds.circular:
            return angle(filled(components(array, bounds)), bounds, array), None
        found = filled(array.to_dataset())
        return kept_within(found[name], bounds, array), found.get(f"{name}_std")


@dataclass(frozen=True)
class Together(Candidate):
    """A method that fills a variable with the help of `others` at the same stations and times."""

    def estimate(
        self,
        array: xr.DataArray,
        bounds: Bounds,
        others: xr.Dataset | None = None,
        error: bool = True,
    ) -> tuple[xr.DataArray, xr.DataArray | None]:
        """Return the analysis of a variable within its bounds; see :meth:`Candidate.estimate`.

        Warns
        -----
        UserWarning
            If other variables are missing, or have other dimensions; the estimate then does without them.
        """
        name, known = str(array.name), {} if others is None else others
        there = {n: known[n] for n in self.others if n in known and set(known[n].dims) == set(array.dims)}
        if absent := [n for n in self.others if n not in there]:
            warn(
                f"{name}: {self.name} uses {', '.join(absent)} as well, which the data lack; "
                "the error may be larger than was promised"
            )
        found = self.method.interpolate(xr.Dataset({name: array, **there}))
        return kept_within(found[name], bounds, array), found.get(f"{name}_std")


@dataclass(frozen=True)
class Learned(Candidate):
    """A trained model under the name that the tables print.

    Attributes
    ----------
    method : Interpolator
        Model.
    device : {"auto", "cpu", "cuda"}
        Where its windows are solved.
    """

    method: Interpolator
    device: str = "auto"

    def fitted(self, array: xr.DataArray, bounds: Bounds) -> Candidate:
        """Return itself, as a model has been trained."""
        return self

    def estimate(
        self,
        array: xr.DataArray,
        bounds: Bounds,
        others: xr.Dataset | None = None,
        error: bool = True,
    ) -> tuple[xr.DataArray, xr.DataArray | None]:
        """Return the analysis of a variable within its bounds; see :meth:`Candidate.estimate`."""
        name, own = str(array.name), self.method.layout.variables
        ds = array.to_dataset() if others is None else others.assign({name: array})
        renamed = {} if name in own else {own[0]: name}
        filled = self.method.interpolate(ds, variable=renamed or None, analysis=True, device=self.device)
        found = filled[own[0] if renamed else name].rename(name)
        return kept_within(found, bounds, array), None


def fitted_table(method: Baseline, table: Table) -> Table:
    """Return the table of a method with its fitted covariance, in the method that it contains if need be."""
    if "method" in table:
        return table | {"method": fitted_table(getattr(method, "method"), table["method"])}  # noqa: B009
    covariance = getattr(method, "covariance", None)
    return table if covariance is None else table | {"covariance": covariance}
