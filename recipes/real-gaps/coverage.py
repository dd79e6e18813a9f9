"""Coverage of the 90 % intervals of a fit, by length of the gap, on data whose truth was kept aside.

    python recipes/real-gaps/coverage.py [NAME ...] [--minutes 2] [--method auto] [--sla FILE] [--fits FOLDER]

A fit sees the observations only, and fills the gaps with intervals. The truth of `pm10` and `colorado` is
that of the blocks which the recipe hides for its test. Classes of fewer than 300 points are left out.
Intervals are those of an observation; the truth of the sea level has no noise, so that it
is also scored with noise like theirs. "own error" is the standard error of the method itself, with the noise
that it estimated, relative to the error at the hidden points.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import xarray as xr
from promised import CASES, HERE, SEA_LEVEL, Pair, modis, oisst, sla

import da4dvar
from da4dvar.config.tables import read_recipe
from da4dvar.evaluation.gap_classes import CLASSES, class_of_gaps
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.gaps.geometry import gap_length
from da4dvar.workflows.autofit.compete import Result
from da4dvar.workflows.autofit.fitted import Fitted
from da4dvar.workflows.recipe import Recipe

LEVEL, WANTED, FEWEST = 0.9, (86.0, 94.0), 300
EDGES = list(zip((0, *CLASSES), (*CLASSES, None), strict=True))
NOISY = f"{SEA_LEVEL}, with noise"


def blocks(name: str) -> Pair:
    """Observations of a recipe, and those that it hides for its test."""
    recipe = Recipe(read_recipe(HERE / f"{name}.toml", []), HERE)
    part = recipe.data("test")
    names = list(recipe.layout.variables)
    assert part.truth is not None
    return part.seen[names].load(), part.truth[names].load()


def with_noise(seen: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Return the truth with noise of the standard deviation that the observations have."""
    generator = np.random.default_rng(0)
    return truth.map(
        lambda true: true + float((seen[true.name] - true).std()) * generator.normal(size=true.shape)
    )


YEARS = {
    f"oisst, {sampling}, {year}": lambda sampling=sampling, year=year: oisst(sampling, year)
    for sampling in ("tracks", "clouds")
    for year in ("2009", "2010", "2011")
}
MASKS = {f"modis, mask{n}": lambda n=n: modis(f"mask{n}") for n in (20, 30, 40, 50)}
SERIES = {name: lambda name=name: blocks(name) for name in ("pm10", "colorado")}


def classes_of(seen: xr.DataArray, time: str, gaps: np.ndarray) -> dict[str, np.ndarray]:
    """Return the points of each class of gap lengths that has enough, and all."""
    length = gap_length(seen.notnull(), time).transpose(*seen.dims).values
    out = {class_of_gaps(low + 1, high): (length > low) & (length <= (high or np.inf)) for low, high in EDGES}
    return {"all": gaps} | {name: gaps & at for name, at in out.items() if (gaps & at).sum() >= FEWEST}


def fitted_to(seen: xr.Dataset, minutes: float, method: str, kept: Path | None) -> Fitted:
    """Return a fit: the one that is kept in a file, if there is one."""
    if kept is not None and kept.exists():
        return da4dvar.load_fit(kept)
    fitted = da4dvar.fit(seen, minutes=minutes, method=method, say=lambda line: None)
    if kept is not None:
        fitted.save(kept)
    return fitted


def own_error(result: Result) -> str:
    """Return √(Σ w (σ² + ε²) / Σ w e²) at the hidden points, as text; nothing for a method without σ."""
    found, name = result.for_bars, result.winner.name
    if name not in found.std:
        return ""
    square = np.average(found.std[name] ** 2, weights=found.weight) + result.comparison.noise**2
    return f"{np.sqrt(square / found.mean_square(name)):.2f}"


def main(names: list[str], minutes: float, method: str, path: Path | None, fits: Path | None) -> None:
    cases = (
        YEARS | {"era5": CASES["era5"]} | MASKS | SERIES | ({SEA_LEVEL: lambda: sla(path)} if path else {})
    )
    kinds = ["all", *(class_of_gaps(low + 1, high) for low, high in EDGES)]
    rows = [["data", "filled by", *kinds, "flag 3", "in 86-94 %", "own error", "width", "seconds"]]
    for title, make in cases.items():
        if names and not any(name in title for name in names):
            continue
        seen, truth = make()
        begin = time.process_time()
        kept = fits and fits / f"{title.replace(', ', '_')}_{method}.json"
        fitted = fitted_to(seen, minutes, method, kept)
        filled = fitted.interpolate(seen, interval=LEVEL)
        seconds = time.process_time() - begin
        truths = {title: truth} | ({NOISY: with_noise(seen, truth)} if title == SEA_LEVEL else {})
        for name, (label, true) in ((n, pair) for n in fitted.results for pair in truths.items()):
            low, high = (
                filled[f"{name}_{end}_90"].transpose(*seen[name].dims).values for end in ("lower", "upper")
            )
            value = true[name].transpose(*seen[name].dims).values
            gaps = seen[name].isnull().values & np.isfinite(value) & np.isfinite(low)
            inside = (low <= value) & (value <= high)
            found = {
                k: 100 * inside[at].mean() for k, at in classes_of(seen[name], fitted.time, gaps).items()
            }
            beyond = gaps & (filled[f"{name}_flag"].transpose(*seen[name].dims).values == 3)
            good = [WANTED[0] <= c <= WANTED[1] for k, c in found.items() if k != "all"]
            row = [label if len(fitted.results) == 1 else f"{label}, {name}", fitted.method[name]]
            row += [f"{found[k]:.1f}" if k in found else "" for k in kinds]
            row += [f"{100 * inside[beyond].mean():.0f} of {beyond.sum()}" if beyond.any() else ""]
            row += [f"{sum(good)} of {len(good)}", own_error(fitted.results[name])]
            rows.append([*row, f"{(high - low)[gaps].mean():.3g}", f"{seconds:.0f}"])
            print(as_columns([rows[0], rows[-1]]), flush=True)
    print("\n" + as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="parts of the names of the rows")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--sla", type=Path, default=None)
    parser.add_argument(
        "--fits", type=Path, default=None, help="existing folder that keeps fits of classical methods"
    )
    given = parser.parse_args()
    main(given.names, given.minutes, given.method, given.sla, given.fits)
