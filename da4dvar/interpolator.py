"""The interpolator: labelled data in, labelled estimates out, by a learned variational model."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import xarray as xr

from da4dvar.analysis.analyse import analyse
from da4dvar.analysis.ensemble import Ensemble
from da4dvar.analysis.error_bars import calibrate, wanted, with_uncertainty
from da4dvar.analysis.model import Model
from da4dvar.analysis.notes import credit, report
from da4dvar.errors import DataError
from da4dvar.fields.files.store import add_history
from da4dvar.fields.gaps.patterns import GapPattern
from da4dvar.fields.labels.output import labelled
from da4dvar.fields.sensors import by_state
from da4dvar.progress import Progress
from da4dvar.training.correction import correction_of
from da4dvar.training.dataset import samples, split, training_samples

if TYPE_CHECKING:
    from da4dvar.training.plan import Training


class Interpolator(Model):
    """x̂ = arg min U(x, y, Ω), by a prior and a solver that are learned together.

    Parameters
    ----------
    prior : nn.Module
        Φ, which keeps the shape ``(batch, channel, *axes)``.
    solver : Solver
    layout : Layout
        How dimensions become the axes of a tensor.
    scaling : Scaling
        Normalisation of the variables; the cost is that of normalised values.
    observation : nn.Module, optional
        H; the identity if not given.
    rho : {"square", "absolute"}
        ρ of eq. (4).
    observation_weight, prior_weight : float
        λ of both terms; the values to start from if they are learned.
    learn_weights : bool
    initial : {"zero", "observed", "linear"}
        x(0): the mean, the observations, or linear in time.
    time : str
        The name of the dimension of time.
    observation_error : float, optional
        Standard deviation of the observation error that the model is trained for, in the units of the
        data; `fit` with a `noise` replaces it until the next `fit`.
    first_guess : Baseline, optional
        What makes x(0), in place of `initial`: a classical method that sees the whole data set.
    covariates, derived : sequence of str
        Complete variables beside the observations, and what is taken from the coordinates, that the prior
        and the solver are given; see :class:`da4dvar.fields.covariates.Covariates`.
    sensors : sequence of Sensor
        What is observed, where it is not the variables themselves; `observation` is then
        :class:`da4dvar.variational.observation.Sensors` of as many operators.

    Attributes
    ----------
    correction : tuple of float
        For each variable, how far from the first guess to the model's estimate; none without a first guess.
    signature : Signature or None
        Of the data that it was fitted to.
    scores : dict
        Scores by name, as measured.
    provenance : dict
        What it was trained on, how and with which versions.
    calibration : CalibratedEnsemble or None
        What makes error bars of an ensemble; `calibrate` sets it.

    Raises
    ------
    ValueError
        If a choice is unknown, a weight is not positive, or a start is linear in no time.

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

    def fit(
        self,
        ds: xr.Dataset,
        truth: xr.Dataset | None = None,
        *,
        validation: xr.Dataset | None = None,
        validation_truth: xr.Dataset | None = None,
        gaps: GapPattern | Sequence[GapPattern | None] | None = None,
        training: Training | None = None,
        noise: float = 0.0,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = False,
        devices: int = 1,
    ) -> Self:
        """Learn the prior, the weights of U and the solver, on the error of the reconstruction.

        Parameters
        ----------
        ds : Dataset
            What was observed, NaN in the gaps; complete if `gaps` are to be drawn in it. The covariates
            are taken from it as well.
        truth : Dataset, optional
            What the estimate is compared with. Without it, the error is taken on observed points
            that are hidden from the solver.
        validation, validation_truth : Dataset, optional
            The same for choosing the best checkpoint; if not given, the last tenth of the time,
            or of the samples where there is no time.
        gaps : GapPattern or sequence of GapPattern, optional
            A pattern drawn for every sample, or one for each variable or sensor, None where nothing is
            hidden. Without `truth` and without `gaps`, the gaps of other times of `ds` are transplanted.
        training : da4dvar.training.plan.Training, optional
            Steps, rates and the seed.
        noise : float
            Standard deviation of the noise added to what is seen, in the units of the data.
        folder : path, optional
            Where checkpoints and the log are kept; a temporary folder if not given.
        resume : bool
            Go on from the last checkpoint in `folder`.
        progress : bool
            Show a progress bar.
        devices : int
            Processes, or GPUs, that share every batch; see :func:`da4dvar.training.loop.train`.

        Returns
        -------
        Interpolator
            Itself.

        Raises
        ------
        DataError
            If there is nothing to learn from.
        """
        from da4dvar.training.loop import train
        from da4dvar.training.plan import Training

        training = Training() if training is None else training
        if validation is None:
            ds, truth, validation, validation_truth = split(self, ds, truth)
        elif truth is not None and validation_truth is None:
            raise DataError("a truth was given to train on, but none to validate with")
        before = self.learned, copy.deepcopy(self.model.state_dict())
        try:
            self.prepare(ds, truth)
            # A validation truth of its own is what is sought: nothing more is hidden for it.
            hidden = gaps if truth is not None or validation_truth is None else None
            learned = training_samples(self, ds, truth, gaps, noise, training)
            checked = samples(self, validation, validation_truth, hidden, noise, 1, training.seed + 1)
            with tempfile.TemporaryDirectory() as temporary:
                place = Path(temporary if folder is None else folder)
                score = train(self.model, learned, checked, training, place, resume, progress, devices)
            correction: tuple[float, ...] = ()
            if self.first_guess is not None and training.steps:
                count, seed = 4 * training.validation_samples, training.seed + 1
                correction = correction_of(self.frozen(), checked, count, seed)
        except BaseException:
            # Also at Ctrl-C: the model is as it was before, not half of one.
            self.learned = before[0]
            self.model.load_state_dict(before[1])
            raise
        self.learned = replace(
            self.learned,
            observation_error=noise or self.observation_error,
            correction=correction,
            scores={"validation_rmse_normalised": score} if math.isfinite(score) else {},
        )
        return self

    def prepare(self, ds: xr.Dataset, truth: xr.Dataset | None = None) -> Self:
        """Learn what data look like and how they are scaled, and nothing else; parameters as for `fit`."""
        self.learned = self.prepared(ds, truth)
        return self

    def interpolate(
        self,
        ds: xr.Dataset | xr.DataArray,
        *,
        variable: Mapping[str, str] | str | None = None,
        mask: str | xr.DataArray | None = None,
        dim: Mapping[str, str] | None = None,
        keep_observed: bool = False,
        observation_error: float | None = None,
        batch_size: int = 16,
        progress: Progress | None = None,
        std: bool = False,
        members: int | None = None,
        interval: float | Sequence[float] = (),
        seed: int = 0,
        precision: str = "float32",
    ) -> xr.Dataset:
        """Fill the gaps of a data set.

        Parameters
        ----------
        ds : Dataset or DataArray
            NaN in the gaps. If it is chunked, so is the result, and nothing is computed. A DataArray is the
            model's only variable.
        variable : mapping of str to str, or str, optional
            The name in the data of a variable or covariate of the model, where it is another; a single name
            is that of the model's only variable.
        mask : str or DataArray, optional
            Non-zero or true where there is an observation: the name of a variable of the data, or an array
            with the labels of the data.
        dim : mapping of str to str, optional
            The name in the data of a dimension of the model, where it is another.
        keep_observed : bool, default False
            Put the observed values back; by default every cell is the analysis.
        observation_error : float, optional
            Standard deviation of the observation error, in the units of the data, where it is another than in
            training; the attribute ``observation_error_std`` of the variable if not given.
        batch_size : int, default 16
            Windows solved at once; it changes speed and memory, and the answer only by rounding.
        progress : callable, optional
            Called with the number of windows that are done, and the number of all.
        std : bool, default False
            Add standard errors, by an ensemble.
        members : int, optional
            Size of the ensemble, which runs if `std`, `members` or `interval` is given; if not given, that of
            the model's calibration, or 8 without one.
        interval : float or sequence of float, default ()
            Levels of the intervals to add, such as 0.9; they need a model with a calibration.
        seed : int, default 0
            Seed of the ensemble.
        precision : {"float32", "bfloat16"}, default "float32"
            Precision of convolutions and matrix products; bfloat16 is faster on some processors, and less
            exact.

        Returns
        -------
        Dataset
            Each variable under the model's name, with its labels; ``<name>_flag`` (0 observed,
            1 interpolated, 2 not estimable); ``observation_term`` and ``prior_term`` of the cost
            of each window. With an ensemble ``<name>_std``, and ``<name>_lower_<p>`` and
            ``<name>_upper_<p>`` for each interval, p in per cent. Also for a DataArray.

        Raises
        ------
        DataError
            If `ds` does not fit the model, `batch_size` is below 1, or an interval lacks a calibration.

        Examples
        --------
        >>> from da4dvar import load
        >>> from da4dvar.simulate import lorenz96
        >>> ds = lorenz96(series=1, steps=40, seed=3)
        >>> filled = load("lorenz96").interpolate(ds.x_observed)
        >>> sorted(filled.data_vars)
        ['observation_term', 'prior_term', 'x', 'x_flag']
        """
        if keep_observed and self.sensors:
            raise DataError("of several sensors there is no one observed value to keep; leave it out")
        ensemble = wanted(self.calibration, std, members, interval)
        conformed = self.conform(ds, variable=variable, mask=mask, dim=dim)
        found = analyse(self, conformed, observation_error, batch_size, progress, ensemble, seed, precision)
        if self.sensors:
            conformed = by_state(conformed, self.sensors, self.layout)
        estimates, weight, terms, grid = found.estimates, found.weight, found.terms, found.grid
        filled = labelled(conformed, estimates, weight, terms, grid, self.layout, keep_observed)
        report(conformed, terms, filled, self.time)
        filled = with_uncertainty(filled, conformed, found.parts, self.calibration, interval)
        return add_history(filled, credit(self))

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
    ) -> Self:
        """Learn what to make of an ensemble; see :func:`da4dvar.analysis.error_bars.calibrate`.

        Parameters
        ----------
        ds, truth : Dataset or DataArray
            What is observed, of a time that is not that of the training, and the truth or some points of it.
        variable, mask, dim
            As for :meth:`interpolate`.
        ensemble : Ensemble, optional
            Its size, and how its members are disturbed.
        seed : int
            Seed of what is withheld, and of the perturbations.

        Returns
        -------
        Interpolator
            Itself.
        """
        calibration = calibrate(self, ds, truth, variable, mask, dim, ensemble or Ensemble(), seed)
        self.learned = replace(self.learned, calibration=calibration)
        return self

    def save(self, path: str | Path) -> None:
        """Write a model file: safetensors, with everything a user must know in its header.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        ModelError
            If it is not fitted, or has a part that a file cannot name.
        """
        from da4dvar.modelfile.write import save

        save(self, Path(path))
