"""The outcome of a fit: methods and scores, which fill data sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from da4dvar.analysis.calibration import levels_of
from da4dvar.config.tables import Table
from da4dvar.errors import DataError, ModelError, nearest
from da4dvar.fields.bounds import Bounds, kept_within
from da4dvar.fields.files.store import write_whole
from da4dvar.fields.gaps.likeness import hardness_of
from da4dvar.fields.gaps.limits import MaxGap, within_limits
from da4dvar.fields.labels.filled import delivered
from da4dvar.fields.labels.given import checked, list_of
from da4dvar.fields.labels.samples import REALIZATION, check_no_direction, check_no_samples, with_samples
from da4dvar.fields.sampling import check_samples, drawn, in_memory, with_margins
from da4dvar.workflows.autofit.bars import ONE_SIGMA, bars_of
from da4dvar.workflows.autofit.comparison import Comparison, text_of
from da4dvar.workflows.autofit.compete import Result
from da4dvar.workflows.autofit.covariance import covariance_method
from da4dvar.workflows.report.shown import fitted_html

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


@dataclass(repr=False)
class Fitted:
    """Methods chosen for the variables of a data set, and their scores at hidden points.

    Parameters
    ----------
    results : dict of str to Result
        Winner, errors at hidden points and scales of each variable that has gaps.
    bounds : dict of str to Bounds
        Possible values of each variable.
    time : str
        Name of the time dimension.
    model : Interpolator or None
        Learned estimate, if one was trained and is the best for some variable.
    tables : dict
        Recipe of the learned estimate; empty without one.

    Examples
    --------
    >>> import numpy as np
    >>> from da4dvar import fit
    >>> t = np.arange(200.0)
    >>> y = xr.Dataset({"level": ("time", np.where(t % 17 < 3, np.nan, np.sin(t / 9)))})
    >>> fitted = fit(y, minutes=0.05)
    >>> int(fitted.interpolate(y).level.isnull().sum()), fitted.scores["level"].rmse["linear"][0] < 0.2
    (0, True)
    """

    results: dict[str, Result]
    bounds: dict[str, Bounds]
    time: str
    model: Interpolator | None = None
    tables: Table = field(default_factory=dict)

    @property
    def scores(self) -> dict[str, Comparison]:
        """Comparison of all methods for each variable that has gaps."""
        return {name: result.comparison for name, result in self.results.items()}

    @property
    def method(self) -> dict[str, str]:
        """Name of the method that fills each variable."""
        return {name: result.winner.name for name, result in self.results.items()}

    def __repr__(self) -> str:
        lines = [f"    {name}: {method}" for name, method in self.method.items()] or ["    no gaps"]
        return "\n".join(["<da4dvar.Fitted>", *lines])

    def _repr_html_(self) -> str:
        return fitted_html(self.scores.values())

    def table(self) -> str:
        """Return the scores as text.

        Returns
        -------
        str
        """
        return text_of(list(self.scores.values()))

    def interpolate(
        self,
        ds: xr.Dataset | xr.DataArray,
        *,
        analysis: bool = False,
        std: bool = False,
        interval: float | Sequence[float] = (),
        max_gap: MaxGap | None = None,
        limit_area: str | None = None,
        dim: str | Sequence[str] | None = None,
        flags: str = "da4dvar",
        samples: int = 0,
        seed: int = 0,
    ) -> xr.Dataset:
        """Fill the gaps of a data set by the best method for each variable.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps: those of the fit, or others like them.
        analysis : bool, default False
            Return the analysis in every cell. By default observed values are kept, to the last bit.
        std : bool, default False
            Add standard errors.
        interval : float or sequence of float, default ()
            Levels of the intervals to add, such as 0.9.
        max_gap, limit_area, dim
            Limits on which gaps are filled; see :func:`da4dvar.fields.gaps.limits.within_limits`. `dim` is
            the time dimension by default.
        flags : {"da4dvar", "qartod", "seadatanet", "argo", "fluxnet"}
            Codes of the flags.
        samples : int, default 0
            Number of joint samples to add. Errors of a sample are correlated like those of the estimate, so
            that the spread of a mean, or of any other statistic of the samples, is its uncertainty. Observed
            values are the same in all samples, unless `analysis` is set.
        seed : int, default 0
            Seed of the samples.

        Returns
        -------
        Dataset
            `ds` with its gaps filled. Each variable has ``<name>_flag`` (0 observed, 1 estimated, 2 not
            estimable, 3 estimated in a gap that is longer, or farther from observations, than any that was
            scored), the requested error bars, and ``<name>_samples`` along the dimension ``realization``,
            which is lazy if the variable of `ds` is.

        Raises
        ------
        DataError
            If a variable is missing, an option is invalid, or the samples do not fit in memory.
        """
        out = self.lazily(
            ds,
            analysis=analysis,
            std=std,
            interval=interval,
            max_gap=max_gap,
            limit_area=limit_area,
            dim=dim,
            flags=flags,
            samples=samples,
            seed=seed,
        )
        return in_memory(out, self.results, samples)

    def lazily(
        self,
        ds: xr.Dataset | xr.DataArray,
        *,
        analysis: bool = False,
        std: bool = False,
        interval: float | Sequence[float] = (),
        max_gap: MaxGap | None = None,
        limit_area: str | None = None,
        dim: str | Sequence[str] | None = None,
        flags: str = "da4dvar",
        samples: int = 0,
        seed: int = 0,
    ) -> xr.Dataset:
        """Fill the gaps like :meth:`interpolate`, with samples that are computed when they are written."""
        check_samples(samples, seed)
        if isinstance(ds, xr.DataArray):
            ds = ds.to_dataset(name=ds.name or next(iter(self.results)))
        # The other variables of a data set help as they are, and not as they were filled.
        out = given = checked(ds, (self.time, "..."))
        check_no_samples(out)
        levels = levels_of(interval)
        for name in self.results:
            if name not in out:
                raise DataError(f"there is no variable {name!r}: {nearest(name, map(str, out.data_vars))}")
            along = [self.time] if dim is None else list_of("dim", dim)
            allowed = within_limits(out[name].notnull(), along, max_gap, limit_area)
            out = self._filled(out, given, name, allowed, std, levels, analysis, flags, samples, seed)
        return out

    def _filled(
        self,
        ds: xr.Dataset,
        given: xr.Dataset,
        name: str,
        allowed: xr.DataArray,
        std: bool,
        levels: Sequence[float],
        analysis: bool,
        flags: str,
        samples: int,
        seed: int,
    ) -> xr.Dataset:
        result, array, bounds = self.results[name], ds[name], self.bounds[name]
        bars_wanted = bool(std or levels or samples) and not bounds.circular
        estimate, own = result.winner.estimate(array, bounds, given, error=bars_wanted)
        comparison = result.comparison
        hard = hardness_of(array.notnull(), self.time, result.reach)
        beyond = array.copy(data=hard.beyond(comparison.longest, comparison.farthest))
        sigma, intervals = None, {}
        if bars_wanted:
            bars = bars_of(result.for_bars, result.winner.name)
            known = None if own is None else own.transpose(*array.dims).values
            scale = array.copy(data=bars.scale(hard, known))
        if (std or levels) and not bounds.circular:
            sigma = scale * bars.factor(ONE_SIGMA)
            for level in levels:
                width = scale * bars.factor(level)
                intervals[level] = (
                    kept_within(estimate - width, bounds),
                    kept_within(estimate + width, bounds),
                )
        out = delivered(
            ds,
            name,
            estimate,
            allowed=allowed,
            beyond=beyond,
            std=sigma,
            intervals=intervals,
            analysis=analysis,
            scheme=flags,
        )
        error, spread = comparison.rmse[result.winner.name]
        out[name].attrs["filled_by"] = result.winner.name
        out[name].attrs["rmse_on_hidden_points"] = error
        out[name].attrs["rmse_on_hidden_points_standard_error"] = spread
        out[name].attrs["rmse_scale"] = comparison.scale
        if comparison.noise > 0:
            out[name].attrs["noise_of_observations"] = comparison.noise
        if not samples:
            return out
        check_no_direction(name, bounds.circular)
        # Lazy data are computed once, and not for every sample.
        array, estimate, there = array.compute(), estimate.compute(), out[name].notnull().compute()
        method = covariance_method(result, array, self.time)
        draw = with_margins(method.deviations(array, standardised=True), bars.factor)
        varied = estimate + scale * drawn(draw, array, samples, seed)
        possible = kept_within(varied.transpose(REALIZATION, *array.dims), bounds, array)
        every = possible.where(array.isnull() | analysis, array).where(there).astype(array.dtype)
        return with_samples(out, name, every)

    def counted(self, ds: xr.Dataset) -> None:
        """Record in the scores which part of the gaps of a data set lies beyond what was scored.

        Parameters
        ----------
        ds : Dataset
            Data with NaN in the gaps.
        """
        for name, result in self.results.items():
            observed = ds[name].notnull()
            hard = hardness_of(observed, self.time, result.reach)
            found = result.comparison
            wanted = ~observed.values & observed.any(self.time).broadcast_like(observed).values
            beyond = hard.beyond(found.longest, found.farthest)[wanted]
            result.comparison = replace(found, beyond=float(beyond.mean()) if beyond.size else 0.0)

    def save(self, path: str | Path) -> None:
        """Write the fit to a file, to fill other data like these with it.

        Parameters
        ----------
        path : str or path
            File to write: ``.json`` for the methods and scores, which :func:`da4dvar.load_fit`
            reads; ``.safetensors`` for a network, if one was trained and is the best for a variable.

        Raises
        ------
        ModelError
            If the file cannot hold this fit.
        """
        path = Path(path)
        if path.suffix == ".json":
            text = json.dumps(self.state())
            write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))
            return
        if self.model is None:
            methods = ", ".join(sorted(set(self.method.values()))) or "nothing"
            raise ModelError(
                f"{path}: there is no network to save, as the best method is {methods}; save the fit to a "
                ".json file, or train a network with method='learned' (--method learned)"
            )
        self.model.save(path)

    def state(self) -> dict[str, Any]:
        """Return the fit as values that JSON can hold.

        Returns
        -------
        dict

        Raises
        ------
        ModelError
            If a winner is a network, which has a model file of its own.
        """
        variables = {}
        for name, result in self.results.items():
            winner = result.winner
            if not winner.table:
                raise ModelError(
                    f"variable {name!r} is filled by {winner.name}, which has a model file of its own"
                )
            own = result.for_bars
            errors = {
                f.name: getattr(own, f.name).tolist()
                for f in fields(own)
                if f.name not in ("error", "std", "scale")
            }
            variables[name] = {
                "method": {"name": winner.name, "table": winner.table, "others": list(winner.others)},
                "comparison": asdict(result.comparison),
                "reach": asdict(result.reach),
                "bounds": asdict(self.bounds[name]),
                "error": own.error[winner.name].tolist(),
                "covariance": result.covariance,
                "std": own.std[winner.name].tolist() if winner.name in own.std else None,
                "points": errors,
            }
        return {"time": self.time, "variables": variables}
