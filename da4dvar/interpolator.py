"""The interpolator, which fills the gaps of labelled data with a learned variational model."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

import numpy as np
import xarray as xr

from da4dvar.analysis.analyse import analyse
from da4dvar.analysis.assimilate import Assimilated, assimilate
from da4dvar.analysis.ensemble import Ensemble
from da4dvar.analysis.error_bars import calibrate, wanted, with_uncertainty
from da4dvar.analysis.forecast import check_forecast, forecast, forecast_window, has_dynamics
from da4dvar.analysis.known import costs_of, known_of, observed_names
from da4dvar.analysis.model import Model
from da4dvar.analysis.notes import credit, report
from da4dvar.analysis.options import Options, check_options, completed, with_options
from da4dvar.analysis.samples import ensemble_of_samples, with_joint_samples
from da4dvar.analysis.taken import take_for
from da4dvar.errors import DataError
from da4dvar.fields.files.store import add_history
from da4dvar.fields.gaps.patterns import GapPattern
from da4dvar.fields.labels.carried import carry
from da4dvar.fields.labels.given import under_own_names
from da4dvar.fields.labels.output import labelled
from da4dvar.fields.labels.samples import check_no_samples
from da4dvar.fields.sampling import check_samples, in_memory
from da4dvar.fields.sensors import by_state
from da4dvar.progress import Progress
from da4dvar.training.correction import correction_of
from da4dvar.training.dataset import samples, split, training_samples
from da4dvar.variational.device import device_of

if TYPE_CHECKING:
    from da4dvar.training.plan import Training

# Windows of the validation data whose costs are recorded.
COSTS = 32
# What a tab offers; the rest is for the modules that solve and train.
OFFERED = {
    *("fit", "interpolate", "lazily", "assimilate", "forecast", "calibrate", "save", "replaced"),
    *("model", "layout", "scaling", "signature", "scores", "provenance", "calibration", "correction"),
}


class Interpolator(Model):
    """x̂ = arg min U(x, y, Ω), with a prior and a solver that are learned together.

    Parameters
    ----------
    prior : nn.Module
        The prior Φ, which preserves the shape ``(batch, channel, *axes)``.
    solver : Solver
        Minimiser of the cost U.
    layout : Layout
        Assignment of dimensions to the axes of a tensor.
    scaling : Scaling
        Normalisation of the variables. The cost is computed from normalised values.
    observation : nn.Module, optional
        The observation operator H, by default the identity.
    rho : {"square", "absolute"}
        ρ of eq. (4).
    observation_weight, prior_weight : float
        λ of the two terms, or their initial values if they are learned.
    learn_weights : bool
        Whether the weights λ are learned.
    initial : {"zero", "observed", "linear"}
        Initial state x(0): the mean, the observations, or a linear interpolation in time.
    time : str
        Name of the time dimension.
    observation_error : float, optional
        Standard deviation of the observation error for which the model is trained, in the units of the
        data. A call of `fit` with `noise` replaces it until the next `fit`.
    first_guess : Baseline, optional
        Classical method that computes x(0) from the whole data set, instead of `initial`. Optimal
        interpolation with ``background="zero"`` is given the normalised observations.
    covariates, derived : sequence of str
        Additional input of the prior and the solver: complete variables, and quantities derived from the
        coordinates. See :class:`da4dvar.fields.covariates.Covariates`.
    sensors : sequence of Sensor
        Observed quantities, if they are not the variables themselves. `observation` must then be
        a :class:`da4dvar.variational.observation.Sensors` with one operator for each of them.

    Attributes
    ----------
    correction : tuple of float
        For each variable, the fraction of the network's correction that is added to the first guess; empty
        without a first guess.
    signature : Signature or None
        Description of the data that the model was fitted to.
    scores : dict
        Measured scores by name.
    provenance : dict
        Data, settings and package versions of the training.
    calibration : CalibratedEnsemble or None
        Calibration that turns an ensemble into error bars, set by `calibrate`.

    Raises
    ------
    ValueError
        If a choice is unknown, a weight is not positive, or `initial` is "linear" without a time dimension.

    Examples
    --------
    >>> from da4dvar import Layout
    >>> from da4dvar.fields.scaling.standard import Standard
    >>> from da4dvar.variational.priors.unet import UNet
    >>> from da4dvar.variational.solvers.lstm import ConvLSTM
    >>> model = Interpolator(
    ...     prior=UNet(1, ("zero",), width=4),
    ...     solver=ConvLSTM(1, ("zero",), width=4, iterations=3),
    ...     layout=Layout(["t2m"], axes=["time"], window={"time": 48}),
    ...     scaling=Standard(),
    ... )
    """

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name.startswith("_") or name in OFFERED]

    def fit(
        self,
        ds: xr.Dataset | xr.DataArray,
        truth: xr.Dataset | xr.DataArray | None = None,
        *,
        validation: xr.Dataset | xr.DataArray | None = None,
        validation_truth: xr.Dataset | xr.DataArray | None = None,
        gaps: GapPattern | Sequence[GapPattern | None] | None = None,
        training: Training | None = None,
        noise: float = 0.0,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = False,
        devices: int = 1,
    ) -> Self:
        """Learn the prior, the weights of U and the solver by minimising the reconstruction error.

        Parameters
        ----------
        ds : Dataset or DataArray
            Observations, with NaN in the gaps, or complete data if `gaps` are drawn in them. The covariates
            are also taken from this data set. A DataArray is taken as the model's only variable.
        truth : Dataset or DataArray, optional
            Data that the estimate is compared with. Without it, the error is computed at observed points
            that are hidden from the solver.
        validation, validation_truth : Dataset or DataArray, optional
            Observations and truth for choosing the best checkpoint. By default the last tenth of the times
            is used, or of the samples if there is no time dimension.
        gaps : GapPattern or sequence of GapPattern, optional
            Pattern of gaps drawn for each sample, or a sequence with one pattern for each variable or sensor,
            None where nothing is hidden. Without `truth` and `gaps`, gaps from other times of `ds` are
            transplanted.
        training : da4dvar.training.plan.Training, optional
            Number of steps, learning rates and the seed.
        noise : float
            Standard deviation of the noise added to the observations, in the units of the data.
        folder : path, optional
            Folder for checkpoints and the log, by default a temporary folder.
        resume : bool
            Whether to continue from the last checkpoint in `folder`.
        progress : bool
            Whether to show a progress bar.
        devices : int
            Number of GPUs, or of processes, that share each batch. See :func:`da4dvar.training.loop.train`.

        Returns
        -------
        Interpolator
            The fitted interpolator itself.

        Raises
        ------
        DataError
            If the data hold nothing to learn from, or a validation truth is missing.
        """
        from da4dvar.training.loop import train
        from da4dvar.training.plan import Training

        training = Training() if training is None else training
        names = observed_names(self)
        ds = under_own_names(ds, names, self.layout.dims)
        truth, validation, validation_truth = (
            None if given is None else under_own_names(given, known, self.layout.dims)
            for given, known in (
                (truth, self.layout.variables),
                (validation, names),
                (validation_truth, self.layout.variables),
            )
        )
        if validation is None:
            ds, truth, validation, validation_truth = split(self, ds, truth)
        elif truth is not None and validation_truth is None:
            raise DataError("got a truth for training but none for validation; give validation_truth as well")
        before = self.learned, copy.deepcopy(self.model.state_dict())
        try:
            self.prepare(ds, truth)
            # A separate validation truth already holds values that were not observed: hide no more.
            hidden = gaps if truth is not None or validation_truth is None else None
            learned = training_samples(self, ds, truth, gaps, noise, training)
            checked = samples(self, validation, validation_truth, hidden, noise, 1, training.seed + 1)
            with tempfile.TemporaryDirectory() as temporary:
                place = Path(temporary if folder is None else folder)
                score = train(self.model, learned, checked, training, place, resume, progress, devices)
            correction: tuple[float, ...] = ()
            costs: tuple[float, ...] = ()
            if training.steps:
                seed, network = training.seed + 1, self.frozen().to(device_of(training.device))
                drawn = [checked.draw(np.random.default_rng([seed, k])) for k in range(COSTS)]
                costs = costs_of(network, drawn)
                if self.first_guess is not None:
                    correction = correction_of(network, checked, 4 * training.validation_samples, seed)
        except BaseException:
            # Also after Ctrl-C, restore the model, so that it is never partly trained.
            self.learned = before[0]
            self.model.load_state_dict(before[1])
            raise
        self.learned = replace(
            self.learned,
            observation_error=noise or self.observation_error,
            correction=correction,
            known=replace(self.known, costs=costs),
            scores={"validation_rmse_normalised": score} if math.isfinite(score) else {},
        )
        return self

    def prepare(self, ds: xr.Dataset, truth: xr.Dataset | None = None) -> Self:
        """Learn the signature and the scaling of the data without training.

        Parameters
        ----------
        ds, truth : Dataset
            As for :meth:`fit`.

        Returns
        -------
        Interpolator
            The interpolator itself.
        """
        self.learned = self.prepared(ds, truth)
        self.learned = replace(self.learned, known=known_of(self, ds, truth))
        return self

    def interpolate(
        self,
        ds: xr.Dataset | xr.DataArray,
        *,
        variable: Mapping[str, str] | str | None = None,
        mask: str | xr.DataArray | None = None,
        dim: Mapping[str, str] | None = None,
        fill_value: str | float = "auto",
        times: str = "insert",
        analysis: bool = False,
        observation_error: float | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
        std: bool = False,
        members: int | None = None,
        interval: float | Sequence[float] = (),
        samples: int = 0,
        seed: int = 0,
        precision: str = "float32",
        device: str = "auto",
        force: bool = False,
    ) -> xr.Dataset:
        """Fill the gaps of a data set.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. If they are chunked, so is the result, and nothing is computed yet. A
            DataArray is taken as the model's only variable.
        variable : mapping of str to str, or str, optional
            Maps names of variables and covariates of the model to their names in the data, where these
            differ. A single name is that of the model's only variable.
        mask : str or DataArray, optional
            Where there is an observation: the name of a variable in the data that is true or non-zero there,
            a condition such as ``"quality_level>=4"``, or an array with the coordinates of the data.
        dim : mapping of str to str, optional
            Maps names of dimensions of the model to their names in the data, where these differ.
        fill_value : str or float, default "auto"
            Value that stands for a gap. ``"auto"`` also finds undeclared ones, which repeat and lie apart
            from all other values; ``"none"`` takes only what attributes declare.
        times : {"insert", "keep", "sort"}, default "insert"
            Insert absent time steps as gaps, keep the times as they are, or sort and merge them first.
        analysis : bool, default False
            Return the analysis in every cell. By default observed values are kept, to the last bit.
        observation_error : float, optional
            Standard deviation of the observation error, in the units of the data, if it differs from that in
            training. By default the attribute ``observation_error_std`` of the variable, if there is one.
        batch_size : int, optional
            Number of windows solved at once, by default 16, and 256 on a GPU, halved until its memory is
            enough. It affects speed and memory, and the result only by rounding.
        progress : callable, optional
            Function called with the number of finished windows and their total number.
        std : bool, default False
            Add standard errors, estimated from an ensemble.
        members : int, optional
            Size of the ensemble, which is run if `std`, `members` or `interval` is given. By default the size
            used in the model's calibration, or 8 without a calibration.
        interval : float or sequence of float, default ()
            Levels of the prediction intervals to add, such as 0.9. They require a calibrated model.
        samples : int, default 0
            Number of joint samples to add, whose errors are correlated like those of the estimate. The model
            must be calibrated, have dynamics, or start from optimal interpolation with its own covariance.
            Observed values are the same in all samples, unless `analysis` is set.
        seed : int, default 0
            Seed of the ensemble and of the samples.
        precision : {"float32", "bfloat16"}, default "float32"
            Precision of convolutions and matrix products. bfloat16 is faster on some processors, and less
            accurate.
        device : {"auto", "cpu", "cuda"}, default "auto"
            Where windows are solved: on a GPU (cuda) or on the processor. "auto" is a GPU if there is one.
        force : bool, default False
            Continue although the values lie far outside those that the model was trained on.

        Returns
        -------
        Dataset
            Each variable under the model's name, with the coordinates of the data; ``<name>_flag``
            (0 observed, 1 estimated, 2 not estimable); and the ``observation_term`` and ``prior_term`` of
            the cost of each window; and all other variables of the data, as they are. With an ensemble also
            ``<name>_std``, and ``<name>_lower_<p>`` and ``<name>_upper_<p>`` for each interval, where p is in
            per cent; and with samples ``<name>_samples`` along the dimension ``realization``. The result is a
            Dataset even if `ds` is a DataArray.

        Raises
        ------
        DataError
            If `ds` does not match the model, its values lie far outside those of the training, as in other
            units, `batch_size` is less than 1, an interval or samples are requested from a model that has
            none, or the samples do not fit in memory. Values of lazy data are checked when they are computed.
        TypeError
            If an option has a wrong type.

        Examples
        --------
        >>> from da4dvar import load
        >>> from da4dvar.simulate import lorenz96
        >>> ds = lorenz96(series=1, steps=40, seed=3)
        >>> filled = load("lorenz96").interpolate(ds.x_observed)
        >>> sorted(filled.data_vars)
        ['observation_term', 'prior_term', 'x', 'x_flag']
        """
        out = self.lazily(
            ds,
            variable=variable,
            mask=mask,
            dim=dim,
            fill_value=fill_value,
            times=times,
            analysis=analysis,
            observation_error=observation_error,
            batch_size=batch_size,
            progress=progress,
            std=std,
            members=members,
            interval=interval,
            samples=samples,
            seed=seed,
            precision=precision,
            device=device,
            force=force,
        )
        return in_memory(out, self.layout.variables, samples)

    @with_options
    def lazily(self, ds: xr.Dataset | xr.DataArray, **options: Unpack[Options]) -> xr.Dataset:
        """Fill the gaps like :meth:`interpolate`, with samples that are computed when they are written.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps.
        **options
            Keywords of :meth:`interpolate`.

        Returns
        -------
        Dataset
        """
        given = completed(self.lazily, options)
        check_options(**given)
        samples, seed, analysis = given["samples"], given["seed"], given["analysis"]
        check_samples(samples, seed)
        bars = wanted(self.calibration, given["std"], given["members"], given["interval"])
        ensemble = ensemble_of_samples(self) if samples else None
        taken, names = take_for(
            self,
            ds,
            variable=given["variable"],
            dim=given["dim"],
            mask=given["mask"],
            fill_value=given["fill_value"],
            times=given["times"],
        )
        check_no_samples(taken)
        conformed = self.conform(taken, variable=names, dim=given["dim"])
        sources = {str(source.name) for source in conformed.sources.values()}
        found = analyse(
            self,
            conformed,
            given["observation_error"],
            given["batch_size"],
            given["progress"],
            bars or ensemble,
            seed,
            given["precision"],
            given["device"],
            given["force"],
        )
        if self.sensors:
            # Several sensors have no single observed value that could be kept.
            conformed, analysis = by_state(conformed, self.sensors, self.layout), True
        estimates, weight, terms, grid = found.estimates, found.weight, found.terms, found.grid
        filled = labelled(conformed, estimates, weight, terms, grid, self.layout, analysis)
        report([*conformed.notes, *found.notes], conformed, terms, filled, self.time)
        if bars is not None:
            filled = with_uncertainty(filled, conformed, found.parts, self.calibration, given["interval"])
        if samples:
            filled = with_joint_samples(filled, self, conformed, found, samples, seed, analysis)
        return add_history(carry(filled, taken, sources), credit(self))

    def assimilate(
        self,
        ds: xr.Dataset | xr.DataArray,
        background: xr.Dataset | None = None,
        *,
        lag: int | None = None,
        background_error: float | None = None,
        model_error: float | None = None,
        inflation: float | None = None,
        observation_error: float | None = None,
        variable: Mapping[str, str] | str | None = None,
        mask: str | xr.DataArray | None = None,
        dim: Mapping[str, str] | None = None,
        fill_value: str | float = "auto",
        times: str = "insert",
        force: bool = False,
        progress: Progress | None = None,
        device: str = "auto",
    ) -> Assimilated:
        """Assimilate observations as they arrive, with a model that has dynamics.

        At every time t, U of the window from t − `lag` to t is minimised together with the background term
        ‖x(t − lag) − x_b‖²_B. When a time leaves the window, x_b and B of the next time follow from those
        before and from the observations that leave, so that no observation counts twice; see
        :class:`da4dvar.variational.cycle.Cycle`. The result does not depend on how the observations are
        divided among calls.

        Parameters
        ----------
        ds : Dataset or DataArray
            Observations, NaN where there is none. Times that were assimilated before are left out.
        background : Dataset, optional
            The background that an earlier call returned, with which this call goes on, with the settings of
            that call. Or a state of the
            first time, under the model's names and in its units, with its standard error ``<name>_std`` or
            with an ensemble ``<name>_samples`` of more members than the state has components. By default, the
            mean and the standard deviation of the training, or of the first observations if the model has no
            scaling.
        lag : int, default 40
            Number of steps over which an observation acts on earlier states.
        background_error : float, optional
            Standard deviation of the error of x_b in every window, in the units of the model: B is the same
            everywhere and always. By default, B follows from the Laplace posterior of the window before.
        model_error : float, optional
            Standard deviation of the error of the dynamics in one step, in the units of the model, if it is
            not that of the training. Smaller values give more weight to earlier observations.
        inflation : float, default 1.0
            Factor by which the standard errors of x_b grow in each step.
        observation_error, variable, mask, dim, fill_value, times, force
            See :meth:`interpolate`.
        progress : callable, optional
            Function called with the number of finished steps and their total number.
        device : {"auto", "cpu", "cuda"}, default "auto"
            See :meth:`interpolate`.

        Returns
        -------
        Assimilated
            The `analysis` and the `background` with which a later call goes on.

        Raises
        ------
        DataError
            If the model has no dynamics, the data do not match the model, the background is on another grid,
            there is a gap longer than `lag`, or the dynamics diverge.

        Examples
        --------
        >>> from da4dvar import load
        >>> from da4dvar.simulate import lorenz96
        >>> ds, model = lorenz96(series=1, steps=12, seed=3), load("lorenz96-ode")
        >>> first = model.assimilate(ds.x_observed.isel(time=slice(0, 8)), lag=8)
        >>> second = model.assimilate(ds.x_observed.isel(time=slice(8, 12)), first.background)
        >>> whole = model.assimilate(ds.x_observed, lag=8)
        >>> second.analysis.sizes["time"], bool((second.analysis.x == whole.analysis.x).all())
        (12, True)
        """
        return assimilate(
            self,
            ds,
            background,
            lag=lag,
            background_error=background_error,
            model_error=model_error,
            inflation=inflation,
            variable=variable,
            mask=mask,
            dim=dim,
            fill_value=fill_value,
            times=times,
            observation_error=observation_error,
            progress=progress,
            force=force,
            device=device,
        )

    def forecast(
        self,
        ds: xr.Dataset,
        steps: int,
        background: xr.Dataset | None = None,
        *,
        members: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> xr.Dataset:
        """Forecast the times that follow an analysis.

        A model with dynamics carries the last analysis forward, and with it an ensemble whose members are
        drawn from the covariance of its error. The error of the dynamics in each step, of variance 1 / λ_p,
        is added to each member. A model without dynamics interpolates a window whose last steps have no
        observations.

        Parameters
        ----------
        ds : Dataset
            An analysis of :meth:`assimilate` or :meth:`interpolate`. For a model without dynamics the
            observations, or an output of :meth:`interpolate`, whose flags tell what was observed.
        steps : int
            Number of steps.
        background : Dataset, optional
            The background that :meth:`assimilate` returned with the analysis, which holds the covariance.
            Without it, errors are independent, with the standard deviations ``<name>_std`` of `ds`, if any.
        members : int, optional
            Number of members, by default 50; a single forecast if the error of the analysis is not known, and
            8 members for a model without dynamics.
        seed : int, default 0
            Seed of the members.
        device : {"auto", "cpu", "cuda"}, default "auto"
            See :meth:`interpolate`.

        Returns
        -------
        Dataset
            Each variable at the times that follow, the mean of the members, with its flag. With an ensemble
            also their standard deviation, ``<name>_std``, and, if the model has dynamics, the members,
            ``<name>_samples`` along ``realization``.

        Raises
        ------
        DataError
            If the last time has gaps, the dynamics diverge, an ensemble is requested but the error of the
            analysis is not known, or the model has no dynamics and its window is not longer than `steps`.

        Examples
        --------
        >>> from da4dvar import load
        >>> from da4dvar.simulate import lorenz96
        >>> ds, model = lorenz96(series=1, steps=12, seed=3), load("lorenz96-ode")
        >>> found = model.assimilate(ds.x_observed)
        >>> model.forecast(found.analysis, 4, found.background, members=20).x_samples.sizes["realization"]
        20
        """
        check_forecast(steps, members)
        if has_dynamics(self):
            return forecast(self, ds, steps, background, members, seed, device)
        observed = forecast_window(self, ds, steps)
        ahead = self.interpolate(
            observed, analysis=True, members=members, seed=seed, times="keep", device=device
        )
        time = self.conform(observed).dims[self.time]
        return ahead.isel({time: slice(-steps, None)})

    def calibrate(
        self,
        ds: xr.Dataset | xr.DataArray,
        truth: xr.Dataset | xr.DataArray,
        *,
        variable: Mapping[str, str] | str | None = None,
        mask: str | xr.DataArray | None = None,
        dim: Mapping[str, str] | None = None,
        ensemble: Ensemble | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> Self:
        """Calibrate the error bars of an ensemble; see :func:`da4dvar.analysis.error_bars.calibrate`.

        Parameters
        ----------
        ds, truth : Dataset or DataArray
            Observations from a period that was not used for training, and the truth, complete or at some
            points.
        variable, mask, dim
            As for :meth:`interpolate`.
        ensemble : Ensemble, optional
            Size of the ensemble and perturbation of its members.
        seed : int
            Seed of the withheld observations and of the perturbations.
        device : {"auto", "cpu", "cuda"}, default "auto"
            See :meth:`interpolate`.

        Returns
        -------
        Interpolator
            The interpolator itself, with the attribute `calibration` set.
        """
        calibration = calibrate(self, ds, truth, variable, mask, dim, ensemble or Ensemble(), seed, device)
        self.learned = replace(self.learned, calibration=calibration)
        return self

    def save(self, path: str | Path) -> None:
        """Write a model file in safetensors format, with a full description of the model in its header.

        Parameters
        ----------
        path : str or path
            File to write.

        Raises
        ------
        ModelError
            If the model is not fitted, or has a component that is not registered and thus cannot be named in
            a file.
        """
        from da4dvar.modelfile.write import save

        save(self, Path(path))
