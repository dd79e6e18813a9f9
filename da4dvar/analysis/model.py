"""Model of labelled data: network, layout, and the record of what was learned."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypedDict, Unpack

import xarray as xr
from torch import nn

from da4dvar.analysis.ensemble import CalibratedEnsemble
from da4dvar.analysis.quantiles import Known
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
    """Everything a model has learned except the weights of its network. Always replaced as a whole.

    Attributes
    ----------
    scaling : Scaling
        Normalisation of the variables.
    covariates : Covariates
        Covariates and their normalisation.
    signature : Signature, optional
        Signature of the training data; None before the fit.
    correction : tuple of float
        For each variable, the fraction of the step from the first guess to the minimum that is taken. Empty
        without a first guess.
    observation_error : float, optional
        Standard deviation of the observation error, in the units of the data.
    calibration : CalibratedEnsemble, optional
        Ensemble and calibration for error bars.
    scores, provenance : mapping
        Measured scores, and how the model was trained.
    known : Known
        Quantiles of the training data, with which other data are compared.
    """

    scaling: Scaling
    covariates: Covariates
    signature: Signature | None = None
    correction: tuple[float, ...] = ()
    observation_error: float | None = None
    calibration: CalibratedEnsemble | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    known: Known = field(default_factory=Known)


class Changes(TypedDict, total=False):
    """Fields of :class:`Learned` that can be replaced."""

    scaling: Scaling
    covariates: Covariates
    signature: Signature | None
    correction: tuple[float, ...]
    observation_error: float | None
    calibration: CalibratedEnsemble | None
    scores: Mapping[str, Any]
    provenance: Mapping[str, Any]
    known: Known


class Model:
    """A network, the layout of its tensors, and the record of what was learned.

    Parameters
    ----------
    prior, solver, layout, scaling, observation, rho, observation_weight, prior_weight, learn_weights, \
    initial, time, observation_error, first_guess, covariates, derived, sensors
        See :class:`da4dvar.Interpolator`.

    Attributes
    ----------
    model : VariationalModel
        Network: the cost U and the solver.
    learned : Learned
        Record of what was learned.
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
            raise RecipeError("a first guess cannot be combined with several sensors; remove it")
        if self.takes_guess_error and (first_guess is None or covariates or derived):
            raise RecipeError(
                f"the solver {type(solver).__name__} needs a first guess with standard errors, and no "
                "covariates; add [first_guess] of kind 'optimal_interpolation', remove covariates and derived"
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
        """Normalisation of the variables."""
        return self.learned.scaling

    @property
    def covariates(self) -> Covariates:
        """Covariates and their normalisation."""
        return self.learned.covariates

    @property
    def signature(self) -> Signature | None:
        """Signature of the training data; None before the fit."""
        return self.learned.signature

    @property
    def correction(self) -> tuple[float, ...]:
        """Fraction of the step from the first guess to the minimum, for each variable."""
        return self.learned.correction

    @property
    def observation_error(self) -> float | None:
        """Standard deviation of the observation error for which the model was trained."""
        return self.learned.observation_error

    @property
    def calibration(self) -> CalibratedEnsemble | None:
        """Ensemble and calibration for error bars, or None."""
        return self.learned.calibration

    @property
    def scores(self) -> Mapping[str, Any]:
        """Measured scores by name."""
        return self.learned.scores

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Data, settings and versions with which the model was trained."""
        return self.learned.provenance

    @property
    def known(self) -> Known:
        """Quantiles of the training data."""
        return self.learned.known

    @property
    def takes_guess_error(self) -> bool:
        """Whether the solver takes the standard error of the first guess."""
        return any(isinstance(m, Solver) and m.takes_guess_error for m in self.model.solver.modules())

    def guess(self, ds: xr.Dataset) -> xr.Dataset:
        """Return the first guess, with standard errors ``<name>_std`` if the method estimates them.

        A method whose background is zero is given anomalies: the normalised observations. Cells without
        a climatology remain NaN.

        Parameters
        ----------
        ds : Dataset
            Observations of the whole data set, under the model's names.

        Returns
        -------
        Dataset
            In the units of the data, with the variables of the layout.
        """
        names, method = list(self.layout.variables), self.first_guess
        assert method is not None
        if getattr(method, "background", None) != "zero":
            return method.interpolate(ds[names])
        found = method.interpolate(self.scaling.normalise(ds[names]))
        filled = self.scaling.restore(found)
        stds = {f"{n}_std": found[f"{n}_std"] * self.scaling.std.get(n, 1.0) for n in names}
        return filled.assign(
            {n: std.where(filled[n.removesuffix("_std")].notnull()) for n, std in stds.items()}
        )

    def guess_error(self, guess: xr.Dataset) -> xr.Dataset:
        """Return the standard errors of a first guess in normalised units, zero where unknown.

        Parameters
        ----------
        guess : Dataset
            Result of :meth:`guess`.

        Returns
        -------
        Dataset
            ``<name>_std``, of type float32.

        Raises
        ------
        DataError
            If the method estimates no standard errors.
        """
        found = {}
        for name in self.layout.variables:
            if f"{name}_std" not in guess:
                raise DataError(
                    f"the first guess of {name!r} by {type(self.first_guess).__name__} has no standard "
                    "error, which the solver needs; use one of kind 'optimal_interpolation'"
                )
            error = guess[f"{name}_std"].drop_attrs() / self.scaling.std.get(name, 1.0)
            found[f"{name}_std"] = error.fillna(0.0).astype("float32")
        return xr.Dataset(found)

    def replaced(self, **changes: Unpack[Changes]) -> Self:
        """Return a model with the same network and a changed record of what was learned.

        Parameters
        ----------
        **changes
            Fields of :class:`Learned`.

        Returns
        -------
        Interpolator
            New model; this one is not changed.
        """
        other = copy.copy(self)
        other.learned = replace(self.learned, **changes)
        return other

    def with_solver(self, solver: Solver) -> Self:
        """Return a model that minimises the same cost with another solver."""
        other = copy.copy(self)
        other.model = VariationalModel(self.model.cost, solver)
        return other

    def prepared(self, ds: xr.Dataset, truth: xr.Dataset | None = None) -> Learned:
        """Return the record with which a fit starts: signature, scaling and covariates of a data set.

        With several sensors, this also sets the weights of their operators from their errors, in place.
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
            # From here on, the observations of all sensors are in the units of the state.
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
        """Return the signature of the data that the model was fitted to.

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
        """Return the data set under the model's names; see :func:`da4dvar.fields.labels.conform.conform`."""
        return conform(ds, self.fitted_signature(), variable, mask, dim)

    def states(self, ds: xr.Dataset) -> xr.DataArray:
        """Return the normalised variables as one array, dims ``(variable, *batch, *layout.dims)``."""
        for name in self.layout.variables:
            if name not in ds:
                raise DataError(f"there is no variable {name!r}; the data set has {', '.join(map(str, ds))}")
        wanted = ds[list(self.layout.variables)].astype("float32", keep_attrs=True)
        return stack_variables(self.scaling.normalise(wanted), self.layout).astype("float32")

    def observations(self, ds: xr.Dataset) -> xr.DataArray:
        """Return normalised observations, dims ``(variable, *batch, *layout.dims)``, one entry per sensor.

        Each sensor is normalised by the scaling of the variable that it observes, so that the identity is a
        valid operator H. Without sensors, the entries are the variables of the state.
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
        """Return the index of the first sensor of each variable, or None without sensors."""
        return first_of(self.sensors, self.layout) if self.sensors else None

    def frozen(self) -> VariationalModel:
        """Return a copy of the network in evaluation mode, without gradients."""
        return copy.deepcopy(self.model).requires_grad_(False).eval()
