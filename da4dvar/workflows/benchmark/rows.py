"""Rows of a benchmark, and the data on which they are tested."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from da4dvar.analysis.problem import whole_inputs
from da4dvar.api import load
from da4dvar.baselines import Baseline
from da4dvar.config.kinds import class_of
from da4dvar.config.registry import build, call
from da4dvar.config.tables import Table, check_keys, read_recipe
from da4dvar.errors import RecipeError, nearest
from da4dvar.fields.files.store import open_dataset
from da4dvar.fields.gaps.observe import observe
from da4dvar.fields.labels.conform import pick
from da4dvar.fields.scores.metrics import i_score, r_score
from da4dvar.interpolator import Interpolator
from da4dvar.modelfile.shipped import find
from da4dvar.variational.device import device_of
from da4dvar.workflows.data import select, simulated
from da4dvar.workflows.recipe import Recipe

FILE = "benchmark.toml"
KEYS = ("title", "rows", "test", "variants", "origin", "interior", "pathways", "example")
ROW_KEYS = ("prior", "joint", "solver", "paper", "paper_p", "target", "model", "trained")
TEST_KEYS = ("simulate", "path", "select", "observed", "truth", "gaps", "noise", "seed")
# Number of states to which a prior is applied at once.
BATCH = 256


@dataclass(frozen=True)
class Row:
    """Row of a benchmark: its recipe, and the method that turns observations into an estimate."""

    name: str
    path: Path
    tables: Table
    variant: str | None = None
    device: str = "auto"

    @property
    def about(self) -> Table:
        """The table ``[row]`` of the recipe."""
        about: Table = self.tables["row"]
        return about

    def interpolator(self) -> Interpolator | None:
        """Return the model of the row, for the variant of the test set if there is one; None for a baseline.

        Raises
        ------
        RecipeError
            If the model has to be trained first.
        """
        if "baseline" in self.tables:
            return None
        model = self.about.get("model")
        folder, file = self.path.parent / "models", f"{self.name}.safetensors"
        path = folder / file if model is None else find(model)
        if self.variant is not None and (folder / self.variant / file).is_file():
            path = folder / self.variant / file
        if path.is_file():
            return load(path)
        if self.tables.get("train", {}).get("steps") == 0:
            return Recipe(self.tables, self.path.parent).train(path)
        raise RecipeError(
            f"row {self.name!r}: no model {path}; train it first: da4dvar train {self.path} -o {path}"
        )

    def estimate(self, seen: xr.Dataset, model: Interpolator | None) -> xr.Dataset:
        """Return the data set with its gaps filled by the model or, without one, the baseline."""
        if model is not None:
            return model.interpolate(seen, analysis=True, batch_size=64, device=self.device)
        return self.baseline.interpolate(seen)

    @cached_property
    def baseline(self) -> Baseline:
        """The classical method of a row with a table ``[baseline]``."""
        table = dict(self.tables["baseline"])
        if "history" in table:
            table["history"] = history(table["history"], self.path)
        if "dynamics" in table:
            dynamics = build("dynamics", table.pop("dynamics"))
            cls = class_of("baseline", table.pop("kind"))
            made: Baseline = call(cls, {"dynamics": on_arrays(dynamics), **table}, self.name)
            return made
        found: Baseline = build("baseline", table)
        return found


def history(table: Mapping[str, Any], row: Path) -> xr.Dataset:
    """Load the complete data from which a baseline learns, given by `path`, `select` and `variables`."""
    check_keys(table, ("path", "select", "variables"), f"{row.name}: history")
    ds = select(open_dataset([str(row.parent / table["path"])]), table.get("select", {}), "history.select")
    return ds[list(table.get("variables", ds.data_vars))].load()


def on_arrays(dynamics: torch.nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """Wrap a right-hand side so that it takes and returns numpy arrays."""

    def tendency(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            slope: np.ndarray = dynamics(torch.from_numpy(x)).numpy()
            return slope

    return tendency


class Benchmark:
    """Rows of a benchmark folder and the data on which they are tested.

    Parameters
    ----------
    folder : Path
        Folder with ``benchmark.toml`` and a recipe for each row.
    variant : str, optional
        Name of another test set of the benchmark.
    series : int, optional
        Number of test series to simulate, or of the first samples of a file to use; by default, the number
        in the benchmark.
    device : {"auto", "cpu", "cuda"}
        Where models solve their windows.

    Raises
    ------
    RecipeError
        If a file is missing, or holds unknown settings.

    Examples
    --------
    >>> Benchmark(Path("nowhere"))
    Traceback (most recent call last):
    ...
    da4dvar.errors.RecipeError: nowhere: no benchmark.toml in this folder; give the folder of a benchmark
    """

    def __init__(
        self, folder: Path, variant: str | None = None, series: int | None = None, device: str = "auto"
    ) -> None:
        device_of(device)  # raises if there is none, before anything runs
        if not (folder / FILE).is_file():
            raise RecipeError(f"{folder}: no {FILE} in this folder; give the folder of a benchmark")
        self.folder = folder
        self.tables = read_recipe(folder / FILE)
        check_keys(self.tables, KEYS, FILE)
        self.names = list(self.tables.get("rows", []))
        test = dict(self.tables.get("test", {}))
        variants = self.tables.get("variants", {})
        if variant is not None:
            if variant not in variants:
                raise RecipeError(f"{FILE}: no variant {variant!r}; {nearest(variant, variants)}")
            test |= variants[variant]
        check_keys(test, TEST_KEYS, f"{FILE}: test")
        self.test = test
        self.series, self.variant, self.device = series, variant, device
        if series is not None and "simulate" in test:
            test["simulate"] = test["simulate"] | {"series": series}

    def row(self, name: str) -> Row:
        """Return the row of a given name.

        Parameters
        ----------
        name : str
            Name of the row.

        Returns
        -------
        Row

        Raises
        ------
        RecipeError
            If the row does not exist, or its recipe has no table ``[row]``.
        """
        if name not in self.names:
            raise RecipeError(f"{self.folder}: there is no row {name!r}; {nearest(name, self.names)}")
        path = self.folder / f"{name}.toml"
        tables = read_recipe(path)
        check_keys(tables.get("row", {}), ROW_KEYS, f"{path.name}: row")
        if "row" not in tables:
            raise RecipeError(f"{path}: no table [row]; add one that describes the row")
        return Row(name, path, tables, self.variant, self.device)

    def data(self) -> tuple[xr.Dataset, xr.Dataset]:
        """Return observations and truth, both under the names of the truth.

        Returns
        -------
        seen, truth : Dataset
        """
        if "simulate" in self.test:
            ds = simulated(self.test["simulate"], f"{FILE}: test.simulate")
        else:
            ds = open_dataset([str(self.folder / self.test.get("path", ""))])
            ds = select(ds, self.test.get("select", {}), f"{FILE}: test.select")
        true, observed = self.test.get("truth", {}), self.test.get("observed", {})
        truth = xr.Dataset({n: pick(ds, s).rename(n) for n, s in true.items()})
        if self.series is not None:
            truth = truth.isel({next(iter(truth.values())).dims[0]: slice(self.series)})
        truth = truth.load()
        if "gaps" in self.test:
            gaps = build("gaps", self.test["gaps"])
            noise, seed = self.test.get("noise", 0.0), self.test.get("seed", 0)
            return observe(truth, gaps, float(noise), int(seed)), truth
        seen = xr.Dataset({n: pick(ds, observed.get(n, n)).rename(n) for n in true}).load()
        return seen.isel({d: slice(n) for d, n in truth.sizes.items()}), truth

    def run(self, row: Row, model: Interpolator | None, seen: xr.Dataset, truth: xr.Dataset) -> Table:
        """Run a row and return its scores together with its description.

        Parameters
        ----------
        row : Row
            Row to run.
        model : Interpolator or None
            Model of the row; None for a baseline.
        seen, truth : Dataset
            Observations and truth, as returned by :meth:`data`.

        Returns
        -------
        dict
            Scores, processor time per sample, number of parameters and samples, and the row's description.
        """
        began = time.process_time()
        estimate = row.estimate(seen, model)
        seconds = time.process_time() - began
        name = next(iter(truth))
        origin = self.tables.get("origin", {}).get(name, 0.0)
        x, found, observed = truth[name] - origin, estimate[name] - origin, seen[name].notnull()
        of_sample = r_score(found, x, self._within(x))
        result = {
            **{k: row.about.get(k, "") for k in ("prior", "solver", "paper", "paper_p", "trained")},
            "joint": {True: "yes", False: "no"}[row.about["joint"]] if "joint" in row.about else "",
            "r_score": float(r_score(found, x)),
            "error": float(of_sample.std(ddof=1) / np.sqrt(of_sample.size)) if of_sample.size > 1 else None,
            "p_score": self._p_score(row, model, truth, origin),
            "seconds": seconds / of_sample.size,
            "parameters": None if model is None else sum(p.numel() for p in model.model.parameters()),
            "samples": of_sample.size,
        }
        if "gaps" in self.test:
            result["i_score"] = float(i_score(found, x, observed))
        if "interior" in self.tables:
            inside = {d: slice(first, last + 1) for d, (first, last) in self.tables["interior"].items()}
            result["interior"] = float(r_score(found.isel(inside), x.isel(inside)))
        return result

    def _p_score(
        self, row: Row, model: Interpolator | None, truth: xr.Dataset, origin: float
    ) -> float | None:
        if model is not None:
            return p_score(model, truth)
        projected = getattr(row.baseline, "projected", None)
        if projected is None:
            return None
        name = next(iter(truth))
        return float(r_score(projected(truth)[name] - origin, truth[name] - origin))

    def _within(self, truth: xr.DataArray) -> list[str]:
        """Return the dimensions of one sample, which are all but the first."""
        return [str(d) for d in truth.dims[1:]]


def p_score(model: Interpolator, truth: xr.Dataset) -> float | None:
    """Return mean of (x − Φ(x))² / mean of x² for the true x; None for a model without a prior."""
    # A chain may hold the cost that its second solver minimises.
    cost = getattr(model.model.solver, "cost", None) or model.model.cost
    if isinstance(cost.prior, torch.nn.Identity):
        return None
    x = torch.from_numpy(whole_inputs(model, truth).y)
    with torch.no_grad():
        squares = sum(float((part - cost.prior(part)).square().sum()) for part in x.split(BATCH))
    return squares / float(x.square().sum())
