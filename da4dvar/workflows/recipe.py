"""Recipes: the tables of a TOML file as data, gap patterns, a model and a training."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from da4dvar.analysis.ensemble import Ensemble
from da4dvar.analysis.error_bars import calibrated, calibration_pairs
from da4dvar.api import load
from da4dvar.config.registry import build, call
from da4dvar.config.tables import Table, check_keys, check_table
from da4dvar.errors import DataError, RecipeError, warn
from da4dvar.fields.covariates import Covariates
from da4dvar.fields.gaps.patterns import GapPattern, Mixture, Transplanted
from da4dvar.interpolator import Interpolator
from da4dvar.layout import Layout
from da4dvar.modelfile.header import COST_KEYS
from da4dvar.modelfile.read import first_guess_of
from da4dvar.modelfile.write import versions
from da4dvar.training.warm_start import take_weights
from da4dvar.workflows.coordinates import coordinates_of
from da4dvar.workflows.data import Part, RecipeData, transplanted_masks
from da4dvar.workflows.sensors import operator_table, sensors_of
from da4dvar.workflows.tables import GAP_SOURCE, SECTIONS, check_size

if TYPE_CHECKING:
    from da4dvar.training.plan import Training


class Recipe:
    """Recipe with checked tables.

    Parameters
    ----------
    tables : dict
        Tables, as read from TOML.
    folder : Path
        Folder to which relative paths refer.
    data : Dataset, optional
        Data in memory, used in place of the files that the recipe names.

    Raises
    ------
    RecipeError
        If a table or key is unknown or missing.

    Examples
    --------
    >>> twin = {"simulate": {"system": "lorenz96", "series": 2, "steps": 30}, "observed": {"x": "x_observed"}}
    >>> tables = {
    ...     "data": twin | {"truth": {}, "train": {}, "validation": {}},
    ...     "layout": {"variables": ["x"], "axes": ["component", "time"], "periodic": ["component"]},
    ...     "scaling": {"kind": "standard"},
    ...     "prior": {"kind": "unet", "width": 4},
    ...     "solver": {"kind": "lstm", "width": 4},
    ... }
    >>> recipe = Recipe(tables, Path())
    >>> train = recipe.data("train")
    >>> bool(train.truth.x.notnull().all()), recipe.interpolator(train.seen.sizes).layout.boundary
    (True, ('periodic', 'zero'))
    """

    def __init__(self, tables: Table, folder: Path, data: xr.Dataset | None = None) -> None:
        check_table(tables, SECTIONS, "recipe")
        for section in ("data", "layout", "scaling", "prior", "solver"):
            if section not in tables:
                raise RecipeError(f"recipe: no table [{section}]; see the folder recipes for examples")
        self.tables, self.folder = tables, folder
        self.layout = call(Layout, tables["layout"], "layout")
        # Mistakes in this table are reported now and not after hours of training.
        call(Ensemble, tables.get("uncertainty", {}), "uncertainty")
        check_table(tables.get("cost", {}), {"time": str}, "cost", others=True)
        # Mistakes in their names are reported before any data are read.
        self.sensors = sensors_of(tables, self.layout)
        if self.sensors and "uncertainty" in tables:
            raise RecipeError("uncertainty: ensembles do not support several sensors; leave the table out")
        buffered = bool(tables.get("train", {}).get("buffer"))
        self.source = RecipeData(tables["data"], self.layout, folder, data, self.time, self.sensors, buffered)
        names = {k: tables["data"].get(k, ()) for k in ("covariates", "derived")}
        seen = self.sensors[0].variable if self.sensors else None
        self.covariates = Covariates(names["covariates"], names["derived"], self.layout, self.time, seen)

    def replaced(self, **tables: Table) -> Recipe:
        """Return the recipe with other tables for the model or the training; the data are shared.

        Parameters
        ----------
        **tables : dict
            Tables that replace those of the same names; not ``data`` or ``layout``.

        Returns
        -------
        Recipe
        """
        made = Recipe(self.tables | tables, self.folder, self.source.given)
        made.source = self.source
        return made

    def data(self, part: str) -> Part:
        """Return a part of the data; see :meth:`da4dvar.workflows.data.RecipeData.part`.

        Parameters
        ----------
        part : {"train", "validation", "test"}
            Name of the part; "test" only if points are `hidden`.

        Returns
        -------
        Part

        Raises
        ------
        DataError
            If there is no such part.
        """
        return self.source.part(part)

    def tests(self) -> dict[str, xr.Dataset]:
        """Return the test points; see :meth:`da4dvar.workflows.data.RecipeData.tests`.

        Returns
        -------
        dict of str to Dataset of bool
        """
        return self.source.tests()

    @property
    def time(self) -> str:
        """Name of the time dimension."""
        return str(self.tables.get("cost", {}).get("time", "time"))

    def gaps(self) -> GapPattern | list[GapPattern | None] | None:
        """Return the gap pattern of the recipe, or one for each sensor if any sensor has its own.

        Returns
        -------
        GapPattern, list of GapPattern, or None
            None if the recipe has no table ``[gaps]``.
        """
        common = self._mixture(self.tables.get("gaps", []))
        own = [table.get("gaps") for table in self.tables.get("observations", ())]
        if any(own):
            return [common if table is None else self._mixture(table) for table in own]
        return common

    def _mixture(self, tables: Any) -> GapPattern | None:
        tables = [tables] if isinstance(tables, Mapping) else list(tables)
        if not tables:
            return None
        patterns, weights = [], []
        for table in tables:
            check_table(table, {"weight": float}, "gaps", others=True)
            arguments = dict(table)
            weights.append(float(arguments.pop("weight", 1.0)))
            patterns.append(self._pattern(arguments))
        return Mixture(patterns, weights) if len(patterns) > 1 else patterns[0]

    def interpolator(self, sizes: Mapping[str, int]) -> Interpolator:
        """Return the untrained model for data of the given sizes.

        Parameters
        ----------
        sizes : mapping of str to int
            Number of cells along each dimension of the data.

        Returns
        -------
        Interpolator

        Raises
        ------
        RecipeError
            If a part of the model cannot be built.
        """
        offered: dict[str, Any] = {
            "channels": self.layout.channel_count(sizes),
            "boundary": self.layout.boundary,
            "space": [self.layout.window.get(axis, sizes.get(axis, 0)) for axis in self.layout.axes],
        }
        if self.covariates:
            offered["covariates"] = self.covariates.channels(self.source.dataset, sizes)
        if self.tables["prior"].get("kind") == "covariance":
            offered |= coordinates_of(self.source.dataset, self.layout, self.time)
        cost = dict(self.tables.get("cost", {}))
        check_keys(cost, (*COST_KEYS, "initial", "time"), "cost")
        check_size(self.tables, offered)
        parts = {s: build(s, self.tables[s], offered) for s in ("prior", "solver")}
        observation = self.tables.get("observation", {"kind": "identity"})
        if self.sensors:
            observation = operator_table(self.tables, self.layout)
            # An operator acts on one variable, and an instrument observes each time separately.
            offered |= {"channels": offered["channels"] // len(self.layout.variables), "shared": True}
        arguments = {
            "layout": self.layout,
            "scaling": build("scaling", self.tables["scaling"]),
            "observation": build("observation", observation, offered),
            "first_guess": first_guess_of(self.tables.get("first_guess")),
            "covariates": self.covariates.names,
            "derived": self.covariates.derived,
            "sensors": self.sensors,
        }
        return call(Interpolator, arguments | parts | cost, "cost")

    def train(
        self,
        folder: Path,
        resume: bool = False,
        progress: bool = False,
        start: Interpolator | None = None,
        devices: int = 1,
    ) -> Interpolator:
        """Train the model of the recipe.

        Parameters
        ----------
        folder : Path
            Folder for the checkpoints and the log.
        resume : bool
            Continue from the last checkpoint in `folder`.
        progress : bool
            Show a progress bar.
        start : Interpolator, optional
            Model with the same prior and solver from whose weights to start; by default, the model that the
            recipe names under `start`. A chain can start from a model whose solver is like its first one.
        devices : int
            Number of processes, or of GPUs, that share each batch.

        Returns
        -------
        Interpolator
            The trained model, calibrated if the recipe has a table ``[uncertainty]``.

        Raises
        ------
        RecipeError
            If `start` has a different prior or solver.
        """
        import torch

        from da4dvar.training.plan import Training

        table = dict(self.tables.get("train", {}))
        check_table(table, {"start": str}, "train", others=True)
        if "start" in table:
            begin = load(self.folder / table.pop("start"))
            start = begin if start is None else start
        training = call(Training, table, "train")
        train, validation, gaps = self.data("train"), self.data("validation"), self.gaps()
        # The only use of torch's global generator, because its initialisers accept no other.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            interpolator = self.interpolator({str(d): n for d, n in train.seen.sizes.items()})
        if start is not None:
            take_weights(interpolator, start)
        interpolator.fit(
            train.seen,
            train.truth,
            validation=validation.seen,
            validation_truth=validation.truth,
            gaps=gaps,
            training=training,
            noise=self.source.noise,
            folder=folder,
            resume=resume,
            progress=progress,
            devices=devices,
        )
        provenance = {
            "title": self.tables.get("title", ""),
            "recipe": self.tables,
            "data": {k: str(v) for k, v in train.seen.attrs.items() if k in ("title", "source")},
            "seed": training.seed,
            "finished": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "versions": versions(),
        }
        if start is not None:
            provenance["started_from"] = start.provenance
        interpolator = interpolator.replaced(provenance=provenance)
        if "uncertainty" not in self.tables:
            return interpolator
        assert not isinstance(gaps, list)  # __init__ rejects sensors together with this table
        return self._with_error_bars(interpolator, validation, gaps, training)

    def _with_error_bars(
        self, interpolator: Interpolator, validation: Part, gaps: GapPattern | None, training: Training
    ) -> Interpolator:
        plan = call(Ensemble, self.tables["uncertainty"], "uncertainty")
        names = list(self.layout.variables)
        covariates = validation.seen.drop_vars(names)
        pairs = calibration_pairs(validation.seen[names], validation.truth, gaps, self.time, training.seed)
        conformed = [
            (interpolator.conform(seen.merge(covariates)), interpolator.conform(true.merge(covariates)).data)
            for seen, true in pairs
        ]
        try:
            found = calibrated(interpolator, conformed, plan, training.seed, training.device)
            return interpolator.replaced(calibration=found)
        except DataError as error:
            # A model that took hours to train is not discarded because it lacks calibration points.
            warn(f"no error bars: {error}")
            return interpolator

    def _pattern(self, table: dict[str, Any]) -> GapPattern:
        if table.get("kind") != "transplanted" or "path" not in table:
            pattern: GapPattern = build("gaps", table)
            return pattern
        check_table(table, GAP_SOURCE, "gaps", others=True)
        masks = transplanted_masks({k: table.pop(k) for k in GAP_SOURCE if k in table}, self.folder)
        arguments = {k: v for k, v in table.items() if k != "kind"}
        return call(Transplanted, {"masks": masks, **arguments}, "gaps of kind 'transplanted'")
