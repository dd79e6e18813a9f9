"""A model of labelled data: its network, its layout, and the record of what it has learned."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypedDict, Unpack

import xarray as xr
from torch import nn

from da4dvar.analysis.ensemble import CalibratedEnsemble
from da4dvar.baselines import Baseline
from da4dvar.errors import DataError, ModelError, RecipeError
from da4dvar.fields.channels import stack_variables
from da4dvar.fields.covariates import Covariates
from da4dvar.fields.initial import check_initial
from da4dvar.fields.labels.conform import Conformed, conform
from da4dvar.fields.labels.signature import Signature
from da4dvar.fields.scaling.standard import Scaling
from da4dvar.fields.sensors import (
    Sensor,
    as_state,
    check_sensors,
    errors,
    first_of,
    firsts,
    units_of_state,
)
from da4dvar.layout import Layout
from da4dvar.variational.checks import check_channels, check_operators, fixed
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.observation import Observation
from da4dvar.variational.solvers.base import Solver


@dataclass(frozen=True)
class Learned:
    """What a model has learned, apart from the weights of its network; always replaced as a whole.

    Attributes
    ----------
    scaling : Scaling
    covariates : Covariates
    signature : Signature, optional
        Of the data that the model was fitted to; None before that.
    correction : tuple of float
        For each variable, how far to go from the first guess to the minimum; empty without a first guess.
    observation_error : float, optional
        Standard deviation, in the units of the data.
    calibration : CalibratedEnsemble, optional
    scores, provenance : mapping
        What was measured, and how the model was trained.
    """

    scaling: Scaling
    covariates: Covariates
    signature: Signature | None = None
    correction: tuple[float, ...] = ()
    observation_error: float | None = None
    calibration: CalibratedEnsemble | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


class Changes(TypedDict, total=False):
    """Entries of `Learned` to be replaced."""

    scaling: Scaling
    covariates: Covariates
    signature: Signature | None
    correction: tuple[float, ...]
    observation_error: float | None
    calibration: CalibratedEnsemble | None
    scores: Mapping[str, Any]
    provenance: Mapping[str, Any]


class Model:
    """A network, the layout that leads to its tensors, and what was learned.

    Parameters
    ----------
    prior, solver, layout, scaling, observation, rho, observation_weight, prior_weight, learn_weights, \
    initial, time, observation_error, first_guess, covariates, derived, sensors
        As for :class:`da4dvar.Interpolator`.

    Attributes
    ----------
    model : VariationalModel
        The network: U and the solver.
    learned : Learned
    """

    def __init__(
        self,
        prior: nn.Module,
        solver: Solver,
        layout: Layout,
        scaling: Scaling,
        *,
        observation: nn.Module | None = None,
        rho: str = "square",
        observation_weight: float = 1.0,
        prior_weight: float = 1.0,
        learn_weights: bool = True,
        initial: str = "zero",
        time: str = "time",
        observation_error: float | None = None,
        first_guess: Baseline | None = None,
        covariates: Sequence[str] = (),
        derived: Sequence[str] = (),
        sensors: Sequence[Sensor] = (),
    ) -> None:
        check_initial(initial, time, layout.dims)
        cost = VariationalCost(prior, observation, rho, observation_weight, prior_weight, learn_weights)
        self.model = VariationalModel(cost, solver)
        self.layout, self.initial, self.time = layout, initial, time
        self.first_guess, self.sensors = first_guess, tuple(sensors)
        check_sensors(self.sensors, layout)
        check_operators(self.model, [layout.variables.index(s.of) for s in self.sensors])
        if self.sensors and first_guess is not None:
            raise RecipeError(
                "a first guess needs one observation of each variable, but there are sensors; leave it out"
            )
        seen = self.sensors[0].variable if self.sensors else None
        self._given_error = observation_error
        self.learned = Learned(
            scaling, Covariates(covariates, derived, layout, time, seen), observation_error=observation_error
        )

    def __repr__(self) -> str:
        known = {} if self.signature is None else self.signature.variables
        units = {n: entry["units"] for n, entry in known.items() if "units" in entry}
        names = [f"{n} [{units[n]}]" if n in units else n for n in self.layout.variables]
        sizes = [f"{d} ({self.layout.window[d]})" if d in self.layout.window else d for d in self.layout.dims]
        solver = self.model.solver
        iterations = getattr(solver, "iterations", None)
        numbers = {n: s for n, s in self.scores.items() if isinstance(s, int | float)}
        lines = {
            "variables": ", ".join(names),
            "windows": ", ".join(sizes),
            "covariates": ", ".join(self.covariates.names),
            "prior": type(self.model.cost.prior).__name__,
            "solver": type(solver).__name__ + (f", {iterations} iterations" if iterations else ""),
            "start": self.initial if self.first_guess is None else type(self.first_guess).__name__,
            "scores": ", ".join(f"{n} {s:.4g}" for n, s in numbers.items()),
            "error bars": f"{bars.ensemble.members} members, calibrated"
            if (bars := self.calibration)
            else "",
        }
        title = self.provenance.get("title") or ("fitted" if known else "not fitted")
        described = [f"  {name:<11} {text}" for name, text in lines.items() if text]
        return "\n".join([f"<da4dvar.{type(self).__name__}: {title}>", *described])

    @property
    def scaling(self) -> Scaling:
        """The normalisation of the variables."""
        return self.learned.scaling

    @property
    def covariates(self) -> Covariates:
        """The covariates and their normalisation."""
        return self.learned.covariates

    @property
    def signature(self) -> Signature | None:
        """The signature of the data that the model was fitted to; None before that."""
        return self.learned.signature

    @property
    def correction(self) -> tuple[float, ...]:
        """For each variable, how far to go from the first guess to the minimum."""
        return self.learned.correction

    @property
    def observation_error(self) -> float | None:
        """The standard deviation of the observation error that the model is trained for."""
        return self.learned.observation_error

    @property
    def calibration(self) -> CalibratedEnsemble | None:
        """The ensemble and the calibration that give error bars, if there is one."""
        return self.learned.calibration

    @property
    def scores(self) -> Mapping[str, Any]:
        """Scores by name, as measured."""
        return self.learned.scores

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How, on what and with which versions the model was trained."""
        return self.learned.provenance

    def replaced(self, **changes: Unpack[Changes]) -> Self:
        """A model with the same network and another record of what was learned.

        Parameters
        ----------
        **changes
            Entries of :class:`Learned`.

        Returns
        -------
        Interpolator
            A new one; this one stays as it is.
        """
        other = copy.copy(self)
        other.learned = replace(self.learned, **changes)
        return other

    def with_solver(self, solver: Solver) -> Self:
        """A model that minimises the same cost with another solver."""
        other = copy.copy(self)
        other.model = VariationalModel(self.model.cost, solver)
        return other

    def prepared(self, ds: xr.Dataset, truth: xr.Dataset | None = None) -> Learned:
        """The record that a fit begins with: signature, scaling and covariates of a data set.

        The operators of several sensors are weighed by the errors of the sensors, in place.
        """
        covariates, scaling = copy.deepcopy(self.covariates), copy.deepcopy(self.scaling)
        if covariates:
            covariates.fit(ds)
        check_channels(self.model, covariates.channels(ds, {str(d): n for d, n in ds.sizes.items()}))
        whole = [d for d in fixed(self.model, self.layout) if d not in self.layout.window]
        names = [s.variable for s in self.sensors] or self.layout.variables
        signature = Signature.of(ds, names, self.layout.dims, whole, covariates.names)
        known = ds if truth is None else truth
        if self.sensors:
            # Everything that the sensors see is in the units of the state from here on.
            units = units_of_state(self.sensors, ds, truth)
            for sensor in self.sensors:
                signature.variables[sensor.variable] |= {"units": u} if (u := units[sensor.of]) else {}
            known = firsts(ds, self.sensors, units, self.layout) if truth is None else truth
        scaling.fit(known, self.layout.variables, self.layout.dims)
        if self.sensors:
            operator = self.model.cost.observation
            assert isinstance(operator, Observation)  # it was checked to have as many sensors
            operator.weigh(errors(self.sensors, ds, units, scaling.std))
        return Learned(scaling, covariates, signature, observation_error=self._given_error)

    def fitted_signature(self) -> Signature:
        """The signature of the data that the model was fitted to.

        Raises
        ------
        ModelError
            If it was not fitted.
        """
        if self.signature is None:
            raise ModelError("the interpolator has not been fitted; call fit, or load a model file")
        return self.signature

    def conform(
        self,
        ds: xr.Dataset | xr.DataArray,
        *,
        variable: Mapping[str, str] | str | None = None,
        mask: str | xr.DataArray | None = None,
        dim: Mapping[str, str] | None = None,
    ) -> Conformed:
        """The data set under the model's names; see :func:`da4dvar.fields.labels.conform.conform`."""
        return conform(ds, self.fitted_signature(), variable, mask, dim)

    def states(self, ds: xr.Dataset) -> xr.DataArray:
        """The model's variables, normalised, as one array, dims ``(variable, *batch, *layout.dims)``."""
        for name in self.layout.variables:
            if name not in ds:
                raise DataError(f"there is no variable {name!r}; it has {', '.join(map(str, ds))}")
        wanted = ds[list(self.layout.variables)].astype("float32", keep_attrs=True)
        return stack_variables(self.scaling.normalise(wanted), self.layout).astype("float32")

    def observations(self, ds: xr.Dataset) -> xr.DataArray:
        """What is observed, normalised, dims ``(variable, *batch, *layout.dims)``: an entry for each sensor.

        Every sensor is normalised by the scaling of the variable that it sees, so that H(x) = x means what it
        says. Without sensors, these are the variables themselves.
        """
        if not self.sensors or self.signature is None:
            return self.states(ds)
        units = {s.of: self.signature.variables[s.variable].get("units") for s in self.sensors}
        seen = []
        for sensor in self.sensors:
            number = self.layout.variables.index(sensor.of)
            seen.append(self.states(as_state(ds, sensor, units, self.layout)).isel(variable=[number]))
        return xr.concat(seen, "variable", coords="minimal", compat="override")

    def first_sensors(self) -> list[int] | None:
        """The number of the first sensor of each variable, where there are sensors."""
        return first_of(self.sensors, self.layout) if self.sensors else None

    def frozen(self) -> VariationalModel:
        """A copy of the network that holds nothing of its training."""
        return copy.deepcopy(self.model).requires_grad_(False).eval()
