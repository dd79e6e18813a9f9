"""A benchmark: a folder of recipes, each a row of a table, run on one test set."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from da4dvar import config
from da4dvar.baselines import Baseline
from da4dvar.baselines.sparse_coding import SparseCoding
from da4dvar.errors import RecipeError, nearest
from da4dvar.fields.conform import pick
from da4dvar.fields.metrics import i_score, r_score
from da4dvar.fields.store import open_dataset
from da4dvar.interpolator import Interpolator
from da4dvar.modelfile import find, load
from da4dvar.observing import observe
from da4dvar.recipe import Recipe
from da4dvar.selection import select, simulated
from da4dvar.variational.solvers.chain import Chain

FILE = "benchmark.toml"
KEYS = ("title", "rows", "test", "variants", "origin", "interior", "pathways", "example")
ROW_KEYS = ("prior", "joint", "solver", "paper", "paper_p", "target", "model", "trained")
TEST_KEYS = ("simulate", "path", "select", "observed", "truth", "gaps", "noise", "seed")
COLUMNS = {
    "prior": "prior",
    "joint": "joint",
    "solver": "solver",
    "paper": "paper",
    "r_score": "R-score",
    "error": "standard error",
    "i_score": "I-score",
    "interior": "interior",
    "paper_p": "paper, P",
    "p_score": "P-score",
    "seconds": "s a series",
    "parameters": "parameters",
    "trained": "training",
}
# Left out of a table none of whose rows has it.
OPTIONAL = ("i_score", "interior", "paper_p")
# States that a prior is given at once.
BATCH = 256


@dataclass(frozen=True)
class Row:
    """A row: its tables, and how it turns what is seen into an estimate."""

    name: str
    path: Path
    tables: config.Table
    variant: str | None = None

    @property
    def about(self) -> config.Table:
        """What the table says of the row."""
        about: config.Table = self.tables["row"]
        return about

    def interpolator(self) -> Interpolator | None:
        """The row's model, of the test set's variant if there is one; nothing for a baseline.

        Raises
        ------
        RecipeError
            If it has to be trained first.
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
        """The data set without gaps."""
        if model is not None:
            return model.interpolate(seen, batch_size=64)
        return self.baseline.interpolate(seen)

    @cached_property
    def baseline(self) -> Baseline:
        """The classical method of a row that is one."""
        table = dict(self.tables["baseline"])
        if "history" in table:
            table["history"] = history(table["history"], self.path)
        if "dynamics" in table:
            dynamics = config.build("dynamics", table.pop("dynamics"))
            cls = config.class_of("baseline", table.pop("kind"))
            made: Baseline = config.call(cls, {"dynamics": on_arrays(dynamics), **table}, self.name)
            return made
        found: Baseline = config.build("baseline", table)
        return found


def history(table: Mapping[str, Any], row: Path) -> xr.Dataset:
    """The complete data that a baseline learns from: a `path`, a `select`ion and the `variables` of it."""
    config.check_keys(table, ("path", "select", "variables"), f"{row.name}: history")
    ds = select(open_dataset([str(row.parent / table["path"])]), table.get("select", {}), "history.select")
    return ds[list(table.get("variables", ds.data_vars))].load()


def on_arrays(dynamics: torch.nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """A right-hand side that takes and gives numpy arrays."""

    def tendency(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            slope: np.ndarray = dynamics(torch.from_numpy(x)).numpy()
            return slope

    return tendency


class Benchmark:
    """The rows of a folder and the data that they are tested on.

    Parameters
    ----------
    folder : Path
        Holds ``benchmark.toml`` and a recipe for each row.
    variant : str, optional
        Another test set of the benchmark.
    series : int, optional
        Test series to simulate, or the first so many samples of a file; as the benchmark says if not given.

    Raises
    ------
    RecipeError
        If a file is missing, or says what is not known.

    Examples
    --------
    >>> Benchmark(Path("nowhere"))
    Traceback (most recent call last):
    ...
    da4dvar.errors.RecipeError: nowhere: no benchmark.toml there; give the folder of a benchmark
    """

    def __init__(self, folder: Path, variant: str | None = None, series: int | None = None) -> None:
        if not (folder / FILE).is_file():
            raise RecipeError(f"{folder}: no {FILE} there; give the folder of a benchmark")
        self.folder = folder
        self.tables = config.read_recipe(folder / FILE)
        config.check_keys(self.tables, KEYS, FILE)
        self.names = list(self.tables.get("rows", []))
        test = dict(self.tables.get("test", {}))
        variants = self.tables.get("variants", {})
        if variant is not None:
            if variant not in variants:
                raise RecipeError(f"{FILE}: no variant {variant!r}; {nearest(variant, variants)}")
            test |= variants[variant]
        config.check_keys(test, TEST_KEYS, f"{FILE}: test")
        self.test = test
        self.series, self.variant = series, variant
        if series is not None and "simulate" in test:
            test["simulate"] = test["simulate"] | {"series": series}

    def row(self, name: str) -> Row:
        """The row of that name.

        Parameters
        ----------
        name : str

        Returns
        -------
        Row

        Raises
        ------
        RecipeError
            If there is none, or its recipe does not say what it is.
        """
        if name not in self.names:
            raise RecipeError(f"{self.folder}: there is no row {name!r}; {nearest(name, self.names)}")
        path = self.folder / f"{name}.toml"
        tables = config.read_recipe(path)
        config.check_keys(tables.get("row", {}), ROW_KEYS, f"{path.name}: row")
        if "row" not in tables:
            raise RecipeError(f"{path}: no table [row]; say what the row is")
        return Row(name, path, tables, self.variant)

    def data(self) -> tuple[xr.Dataset, xr.Dataset]:
        """What is seen and what is true, under the names of the truth."""
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
            gaps = config.build("gaps", self.test["gaps"])
            noise, seed = self.test.get("noise", 0.0), self.test.get("seed", 0)
            return observe(truth, gaps, float(noise), int(seed)), truth
        seen = xr.Dataset({n: pick(ds, observed.get(n, n)).rename(n) for n in true}).load()
        return seen.isel({d: slice(n) for d, n in truth.sizes.items()}), truth

    def run(self, row: Row, model: Interpolator | None, seen: xr.Dataset, truth: xr.Dataset) -> config.Table:
        """The scores of a row, and what the table says of it."""
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
        baseline = row.baseline
        if not isinstance(baseline, SparseCoding):
            return None
        name = next(iter(truth))
        return float(r_score(baseline.projected(truth)[name] - origin, truth[name] - origin))

    def _within(self, truth: xr.DataArray) -> list[str]:
        """The dimensions of one sample: all but the first."""
        return [str(d) for d in truth.dims[1:]]


def p_score(model: Interpolator, truth: xr.Dataset) -> float | None:
    """Mean of (x − Φ(x))² over mean of x² for the true x; nothing for a model without a prior."""
    solver = model.model.solver
    cost = solver.cost if isinstance(solver, Chain) and solver.cost is not None else model.model.cost
    if isinstance(cost.prior, torch.nn.Identity):
        return None
    x = torch.from_numpy(model.batch(truth))
    with torch.no_grad():
        squares = sum(float((part - cost.prior(part)).square().sum()) for part in x.split(BATCH))
    return squares / float(x.square().sum())


def tables(results: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The table of the rows as Markdown and as CSV."""
    missing = [c for c in OPTIONAL if all(r.get(c) in (None, "") for r in results.values())]
    columns = {c: title for c, title in COLUMNS.items() if c not in missing}
    shown = {name: {c: text(c, r.get(c)) for c in columns} for name, r in results.items()}
    lines = ["| " + " | ".join(["row", *columns.values()]) + " |", "|" + "---|" * (len(columns) + 1)]
    lines += ["| " + " | ".join([name, *cells.values()]) + " |" for name, cells in shown.items()]
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(["row", *columns.values()])
    for name, result in results.items():
        writer.writerow([name, *("" if result.get(c) is None else result[c] for c in columns)])
    return "\n".join(lines) + "\n", sheet.getvalue()


def text(column: str, value: Any) -> str:
    """A cell of the Markdown table."""
    if value is None or value == "":
        return "-"
    if column in ("r_score", "error", "i_score", "interior", "p_score", "paper", "paper_p"):
        return f"{value:.2e}" if value < 1e-3 else f"{value:.4f}"
    if column == "seconds":
        return f"{value:.3f}"
    if column == "parameters":
        return f"{value:,}"
    return str(value)


def run_folder(
    folder: Path,
    rows: Sequence[str] = (),
    variant: str | None = None,
    series: int | None = None,
    output: Path | None = None,
    report: Any = None,
) -> str:
    """Run rows of a benchmark, and write the table and figures of all rows that were ever run.

    Parameters
    ----------
    folder : Path
        Holds ``benchmark.toml`` and a recipe for each row.
    rows : sequence of str
        All rows of the benchmark if empty.
    variant : str, optional
        Another test set of the benchmark.
    series : int, optional
        Test series to simulate, or the first so many samples of a file.
    output : Path, optional
        Where results are kept, one JSON file a row; ``results`` in `folder` if not given.
    report : callable, optional
        Told the name of each row before it is run.

    Returns
    -------
    str
        The table, in Markdown.

    Raises
    ------
    RecipeError
        If a file or a model is missing, or says what is not known.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> test = 'simulate = {system = "lorenz63", series = 2, steps = 17, step = 0.05}\\ntruth = {x = "x"}'
    >>> with TemporaryDirectory() as folder:
    ...     place = Path(folder)
    ...     text = f'rows = ["linear"]\\n[test]\\n{test}\\nobserved = {{x = "x_observed"}}'
    ...     _ = (place / "benchmark.toml").write_text(text)
    ...     _ = (place / "linear.toml").write_text('[row]\\n[baseline]\\nkind = "linear"')
    ...     print(run_folder(place).splitlines()[0])
    | row | prior | joint | solver | paper | R-score | standard error | P-score | ...
    """
    from da4dvar.pathways import draw_example, draw_pathways

    benchmark = Benchmark(folder, variant, series)
    chosen = [benchmark.row(name) for name in rows or benchmark.names]
    output = folder / "results" if output is None else output
    kept = output if variant is None else output / variant
    kept.mkdir(parents=True, exist_ok=True)
    # Before anything runs: a model that is missing shows at once.
    models = {row.name: row.interpolator() for row in chosen}
    seen, truth = benchmark.data()
    for row in chosen:
        if report is not None:
            report(row.name)
        result = benchmark.run(row, models[row.name], seen, truth)
        (kept / f"{row.name}.json").write_text(json.dumps(result, indent=1) + "\n")
    found = {n: json.loads(p.read_text()) for n in benchmark.names if (p := kept / f"{n}.json").is_file()}
    markdown, sheet = tables(found)
    (kept / "table.md").write_text(markdown)
    (kept / "table.csv").write_text(sheet)
    for draw, part in ((draw_pathways, "pathways"), (draw_example, "example")):
        drawn = [
            benchmark.row(name) for name in benchmark.tables.get(part, {}).get("rows", []) if name in found
        ]
        if drawn:
            draw(benchmark, drawn, seen, truth).savefig(kept / f"{part}.png", dpi=90)
    return markdown
