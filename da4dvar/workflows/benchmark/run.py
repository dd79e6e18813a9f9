"""Run of a benchmark: a folder of recipes, each a row of a table, on one test set."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from da4dvar.config.tables import Table
from da4dvar.errors import DataError
from da4dvar.workflows.benchmark.rows import Benchmark

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
    "seconds": "s per series",
    "parameters": "parameters",
    "trained": "training",
}
# Columns that are left out if no row has a value.
OPTIONAL = ("i_score", "interior", "paper_p")


def tables(results: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Return the table of the rows as Markdown and as CSV."""
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
    """Format a cell of the Markdown table."""
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
    device: str = "auto",
) -> str:
    """Run rows of a benchmark, and write the table and figures of all rows with results.

    Parameters
    ----------
    folder : Path
        Folder with ``benchmark.toml`` and a recipe for each row.
    rows : sequence of str
        Names of the rows to run; all rows if empty.
    variant : str, optional
        Name of another test set of the benchmark.
    series : int, optional
        Number of test series to simulate, or of the first samples of a file to use.
    output : Path, optional
        Folder for the results, with one JSON file per row; by default ``results`` in `folder`.
    report : callable, optional
        Function called with the name of each row before it is run.
    device : {"auto", "cpu", "cuda"}
        Where models solve their windows.

    Returns
    -------
    str
        The table in Markdown.

    Raises
    ------
    RecipeError
        If a file or a model is missing, or a file holds unknown settings.
    DataError
        If the folder for the results cannot be created.

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
    return tables(run_rows(folder, rows, variant, series, output, report, device))[0]


def run_rows(
    folder: Path,
    rows: Sequence[str] = (),
    variant: str | None = None,
    series: int | None = None,
    output: Path | None = None,
    report: Any = None,
    device: str = "auto",
) -> dict[str, Table]:
    """Run rows of a benchmark like :func:`run_folder`, and return the results of all rows by name."""
    from da4dvar.workflows.benchmark.figures import draw_example, draw_pathways

    benchmark = Benchmark(folder, variant, series, device)
    chosen = [benchmark.row(name) for name in rows or benchmark.names]
    output = folder / "results" if output is None else output
    kept = output if variant is None else output / variant
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{kept}: the folder for the results cannot be created ({error.strerror}); name another"
        ) from error
    # Load all models first, so that a missing one is reported before anything runs.
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
    return found
