"""A recipe: the tables of a TOML file as data, gap patterns, a model and a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dask
import xarray as xr

from da4dvar.analysis.ensemble import Ensemble
from da4dvar.analysis.error_bars import calibrated, calibration_pairs
from da4dvar.api import load
from da4dvar.config.registry import build, call
from da4dvar.config.tables import Table, check_keys, check_table
from da4dvar.errors import DataError, RecipeError, nearest, warn
from da4dvar.fields.covariates import Covariates
from da4dvar.fields.files.store import loaded, open_dataset
from da4dvar.fields.gaps.holdout import Holdout
from da4dvar.fields.gaps.patterns import GapPattern, Mixture, Transplanted
from da4dvar.fields.labels.conform import observed_by, pick
from da4dvar.interpolator import Interpolator
from da4dvar.layout import Layout
from da4dvar.modelfile.header import COST_KEYS
from da4dvar.modelfile.read import first_guess_of
from da4dvar.modelfile.write import versions
from da4dvar.training.warm_start import take_weights
from da4dvar.workflows.data import select, simulated
from da4dvar.workflows.sensors import operator_table, sensors_of
from da4dvar.workflows.tables import DATA, GAP_SOURCE, SECTIONS, check_size


@dataclass
class Data:
    """What is seen and what is true, for one part of a recipe's data.

    Parameters
    ----------
    seen : Dataset
        NaN in the gaps; complete if gaps are to be drawn in it.
    truth : Dataset or None
        None where only observations are known.

    Examples
    --------
    >>> y = xr.Dataset({"sst": ("time", [1.0, float("nan")])})
    >>> Data(y, None).truth is None
    True
    """

    seen: xr.Dataset
    truth: xr.Dataset | None


class Recipe:
    """A recipe whose tables have been checked.

    Parameters
    ----------
    tables : dict
        As read from TOML.
    folder : Path
        What relative paths start from.

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

    def __init__(self, tables: Table, folder: Path) -> None:
        check_table(tables, SECTIONS, "recipe")
        for section in ("data", "layout", "scaling", "prior", "solver"):
            if section not in tables:
                raise RecipeError(f"recipe: no table [{section}]; see the recipes for examples")
        self.tables, self.folder = tables, folder
        self.data_table = dict(tables["data"])
        check_table(self.data_table, DATA, "data")
        if "hidden" in self.data_table:
            self.data_table.setdefault("train", {})
            self.data_table.setdefault("validation", self.data_table["train"])
        for key in ("train", "validation"):
            if key not in self.data_table:
                raise RecipeError(f"data: no {key!r}; say which part of the data that is, or `hidden`")
        if ("path" in self.data_table) == ("simulate" in self.data_table):
            raise RecipeError("data: expected either `path` or `simulate`")
        self.layout = call(Layout, tables["layout"], "layout")
        one = isinstance(self.data_table.get("path"), str)
        if self.buffered and (not one or "hidden" in self.data_table):
            raise RecipeError(
                "train: a buffer is for a `path` of one file or Zarr store, without points `hidden`; "
                "leave buffer out, or write the files to one Zarr store"
            )
        # Hours of training before a mistake in it shows would be too late.
        call(Ensemble, tables.get("uncertainty", {}), "uncertainty")
        if not 0 <= self.data_table.get("noise", 0.0) < math.inf:
            raise RecipeError(f"data: noise is {self.data_table['noise']}, expected a standard deviation")
        check_table(tables.get("cost", {}), {"time": str}, "cost", others=True)
        # A mistake in their names shows before any data are read.
        self.sensors = sensors_of(tables, self.layout)
        if self.sensors and "uncertainty" in tables:
            raise RecipeError("uncertainty: there is no ensemble of several sensors yet; leave it out")
        names = {k: self.data_table.get(k, ()) for k in ("covariates", "derived")}
        seen = self.sensors[0].variable if self.sensors else None
        self.covariates = Covariates(names["covariates"], names["derived"], self.layout, self.time, seen)

    def data(self, part: str) -> Data:
        """The training or validation part of the data, loaded.

        Parameters
        ----------
        part : {"train", "validation", "test"}
            The last where points are `hidden`: all but them, and they as the truth.

        Returns
        -------
        Data

        Raises
        ------
        DataError
            If there is no such part.
        """
        parts = ["train", "validation", *(["test"] if "hidden" in self.data_table else [])]
        if part not in parts:
            raise DataError(f"data: unknown part {part!r}; {nearest(part, parts)}")
        seen, ds = self._seen(part)
        if "hidden" in self.data_table:
            return self._with_hidden(seen, part)
        if "truth" not in self.data_table:
            return Data(seen, None)
        true_names = self.data_table["truth"]
        truth = xr.Dataset({n: pick(ds, true_names.get(n, n)).rename(n) for n in self.layout.variables})
        return Data(seen, truth if part == "train" and self.buffered else loaded(truth, self.named))

    def tests(self) -> dict[str, xr.Dataset]:
        """The points kept for the test, true where hidden, by what they were hidden as.

        Returns
        -------
        dict of str to Dataset of bool
        """
        seen, _ = self._seen("train")
        return self.holdout.tests(seen[list(self.layout.variables)], self.time)

    def _seen(self, part: str) -> tuple[xr.Dataset, xr.Dataset]:
        """What is observed of a part of the data, by the names of the layout, and all that there is of it."""
        source = self._source()
        if self.buffered:
            # Which chunks has no say in what is drawn.
            with dask.config.set({"array.chunk-size": "16MiB"}):
                source = source.chunk({d: "auto" if d == self.time else -1 for d in source.dims})
        ds = select(source, self.data_table.get(part, self.data_table["train"]), f"data.{part}")
        observed = self.data_table.get("observed", {})
        names = {n: observed.get(n, n) for n in self.layout.variables}
        if self.sensors:
            names = {sensor.variable: sensor.variable for sensor in self.sensors}
        seen = xr.Dataset({n: pick(ds, source).rename(n) for n, source in names.items()})
        if "mask" in self.data_table:
            mask = self.data_table["mask"]
            seen = seen.map(lambda a: a.where(observed_by(ds, mask, a)), keep_attrs=True)
        seen = seen.assign({n: pick(ds, n) for n in self.covariates.names})
        seen = seen.assign_attrs(ds.attrs)
        return (seen if part == "train" and self.buffered else loaded(seen, self.named)), ds

    def _with_hidden(self, seen: xr.Dataset, part: str) -> Data:
        """All of the data but for the points kept for the test and for the validation: its truth."""
        given = seen[list(self.covariates.names)]
        seen = seen[list(self.layout.variables)]
        kept, test, rest, checked = self.holdout.parts(seen, self.time)
        kept, rest = kept.assign(given.data_vars), rest.assign(given.data_vars)
        if part == "test":
            return Data(kept, test)
        return Data(rest, checked if part == "validation" else None)

    @property
    def named(self) -> str:
        """The data as a message calls them."""
        return str(self.data_table.get("path", "data"))

    @property
    def buffered(self) -> bool:
        """Whether the training data stay on the disk, and are read block by block."""
        return bool(self.tables.get("train", {}).get("buffer"))

    @property
    def holdout(self) -> Holdout:
        """Which observed points are kept from the training."""
        return call(Holdout, self.data_table.get("hidden", {}), "data.hidden")

    @property
    def time(self) -> str:
        """The name of the dimension of time."""
        return str(self.tables.get("cost", {}).get("time", "time"))

    def gaps(self) -> GapPattern | list[GapPattern | None] | None:
        """The gap patterns to draw, if the recipe names any; one for each sensor if one has its own.

        Returns
        -------
        GapPattern, list of GapPattern, or None
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
        """The model, untrained, for data of these sizes.

        Parameters
        ----------
        sizes : mapping of str to int
            Cells along each dimension of the data.

        Returns
        -------
        Interpolator

        Raises
        ------
        RecipeError
            If a part of it cannot be made.
        """
        offered: dict[str, Any] = {
            "channels": self.layout.channel_count(sizes),
            "boundary": self.layout.boundary,
            "space": [self.layout.window.get(axis, sizes.get(axis, 0)) for axis in self.layout.axes],
        }
        if self.covariates:
            offered["covariates"] = self.covariates.channels(self._source(), sizes)
        cost = dict(self.tables.get("cost", {}))
        check_keys(cost, (*COST_KEYS, "initial", "time"), "cost")
        check_size(self.tables, offered)
        parts = {s: build(s, self.tables[s], offered) for s in ("prior", "solver")}
        observation = self.tables.get("observation", {"kind": "identity"})
        if self.sensors:
            observation = operator_table(self.tables, self.layout)
            # Of one variable, whose times an instrument sees one by one.
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
        """Train the recipe's model.

        Parameters
        ----------
        folder : Path
            Where checkpoints and the log are kept.
        resume : bool
            Go on from the last checkpoint there.
        progress : bool
            Show a progress bar.
        start : Interpolator, optional
            A model of the same prior and solver, whose weights to start from; that of the recipe's
            `start` if not given. A chain may start from a model whose solver is like its first.
        devices : int
            Processes, or GPUs, that share every batch.

        Returns
        -------
        Interpolator
            Calibrated, if the recipe has a table of uncertainty.

        Raises
        ------
        RecipeError
            If `start` has another prior or solver.
        """
        import torch

        from da4dvar.training.plan import Training

        table = dict(self.tables.get("train", {}))
        check_table(table, {"start": str}, "train", others=True)
        if "start" in table:
            begin = load(self.folder / table.pop("start"))
            start = begin if start is None else start
        training = call(Training, table, "train")
        train, validation = self.data("train"), self.data("validation")
        # The one use of torch's global generator: its initialisers know no other.
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
            gaps=self.gaps(),
            training=training,
            noise=float(self.data_table.get("noise", 0.0)),
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
        if "uncertainty" in self.tables:
            plan = call(Ensemble, self.tables["uncertainty"], "uncertainty")
            names, gaps = list(self.layout.variables), self.gaps()
            assert not isinstance(gaps, list)  # sensors were refused
            beside = validation.seen.drop_vars(names)
            pairs = calibration_pairs(
                validation.seen[names], validation.truth, gaps, self.time, training.seed
            )
            conformed = [
                (interpolator.conform(seen.merge(beside)), interpolator.conform(true.merge(beside)).data)
                for seen, true in pairs
            ]
            try:
                calibration = calibrated(interpolator, conformed, plan, training.seed)
                interpolator = interpolator.replaced(calibration=calibration)
            except DataError as error:
                # What was learned in hours is not lost for want of points.
                warn(f"no error bars: {error}")
        return interpolator

    def _source(self) -> xr.Dataset:
        if "path" in self.data_table:
            return self._open(self.data_table["path"])
        return simulated(self.data_table["simulate"], "data.simulate")

    def _open(self, paths: Any) -> xr.Dataset:
        given = [paths] if isinstance(paths, str) else list(paths)
        return open_dataset([str(self.folder / p) for p in given])

    def _pattern(self, table: dict[str, Any]) -> GapPattern:
        if table.get("kind") != "transplanted" or "path" not in table:
            pattern: GapPattern = build("gaps", table)
            return pattern
        check_table(table, GAP_SOURCE, "gaps", others=True)
        source = {k: table.pop(k) for k in GAP_SOURCE if k in table}
        masks = pick(self._open(source["path"]), source.get("variable", "observed"))
        try:
            masks = masks.rename(source.get("rename", {}))
        except ValueError as error:
            raise RecipeError(f"gaps.rename: {error}") from error
        masks = loaded(select(masks, source.get("select", {}), "gaps.select"), str(source["path"]))
        arguments = {k: v for k, v in table.items() if k != "kind"}
        return call(Transplanted, {"masks": masks.fillna(0) != 0, **arguments}, "gaps of kind 'transplanted'")
