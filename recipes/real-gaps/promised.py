"""The error that a fit promises, and the true one: a table of both, on data whose truth was kept aside.

    python recipes/real-gaps/promised.py [NAME ...] [--minutes 2] [--sla FILE]

A fit sees the observations only. The true error is that of what it filled, over all gaps. Where the truth
is free of noise, as that of the sea level, the promise is compared without the noise of the observations.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

import da4dvar
from da4dvar.evaluation.text import as_columns
from da4dvar.workflows.twin import hide

DATA = Path(__file__).parents[2] / "datasets"
HERE = Path(__file__).parent
SEA_LEVEL = "sea level"
SMALL = ("2009-01-01", "2009-05-01", "2009-09-01")
Pair = tuple[xr.Dataset, xr.Dataset]


def oisst(sampling: str, years: slice | str) -> Pair:
    """Sea-surface temperature under tracks or clouds."""
    truth = xr.open_dataset(DATA / "oisst-tasman/oisst_tasman_1990_2011.nc").sel(time=years).load()
    if sampling == "tracks":
        return hide(truth, "tracks", 0.035, seed=5), truth
    masks = f"{DATA}/cloud-masks/cloud_masks_32.nc:observed"
    dims = {"day": "time", "y": "lat", "x": "lon"}
    return hide(
        truth, "transplanted", 1.0, masks=masks, select_masks={"window": "100:135"}, dim=dims, seed=5
    ), truth


def era5() -> Pair:
    """Hourly temperature under clouds."""
    ds = xr.open_mfdataset([DATA / "era5-t2m-uk/era5_t2m_uk_2019_03.nc", HERE / "era5_clouds.nc"]).load()
    return ds[["t2m"]].where(ds.seen != 0), ds[["t2m"]]


def small(first: str) -> Pair:
    """A hundred days of 20 × 30 cells under clouds: the size of a first file of one's own."""
    seen, truth = oisst("clouds", "2009")
    part = {"time": slice(100), "lat": slice(20), "lon": slice(30)}
    return seen.sel(time=slice(first, None)).isel(part), truth.sel(time=slice(first, None)).isel(part)


def modis(mask: str) -> Pair:
    """Vegetation index under one of its masks."""
    ds = xr.open_dataset(DATA / "modis-ndvi-alaska/modis_ndvi_alaska.nc").load()
    return ds[["ndvi"]].where(ds[mask] != 0), ds[["ndvi"]]


def sla(path: Path) -> Pair:
    """Sea level along simulated tracks with noise, `sla`, and without both, `sla_true`."""
    ds = xr.open_dataset(path).load()
    return ds[["sla"]], ds[["sla_true"]].rename(sla_true="sla")


CASES: dict[str, Callable[[], Pair]] = {
    "oisst, tracks, one year": lambda: oisst("tracks", "2009"),
    "oisst, clouds, one year": lambda: oisst("clouds", "2009"),
    "oisst, clouds, three years": lambda: oisst("clouds", slice("2007", "2009")),
    **{f"100 days from {first}": lambda first=first: small(first) for first in SMALL},
    "era5": era5,
    **{f"modis, {mask}": lambda mask=mask: modis(mask) for mask in ("mask20", "mask30", "mask50")},
    # No choice was made on these.
    "oisst, tracks, 2011": lambda: oisst("tracks", "2011"),
    "oisst, clouds, 2011": lambda: oisst("clouds", "2011"),
    "modis, mask40": lambda: modis("mask40"),
}


def main(names: list[str], minutes: float, path: Path | None) -> None:
    cases = CASES | ({SEA_LEVEL: lambda: sla(path)} if path else {})
    rows = [["data", "winner", "promised", "±", "true", "ratio", "in 90 %", "flag 3", "shapes", "seconds"]]
    for title, make in cases.items():
        if names and not any(name in title for name in names):
            continue
        seen, truth = make()
        begin = time.monotonic()
        fitted = da4dvar.fit(seen, minutes=minutes, say=lambda line: None)
        filled = fitted.interpolate(seen, interval=0.9)
        seconds = time.monotonic() - begin
        for name, found in fitted.scores.items():
            gaps = seen[name].isnull() & truth[name].notnull() & filled[name].notnull()
            error = (filled[name] - truth[name]).where(gaps)
            true = float(np.sqrt((error**2).mean()))
            inside = (truth[name] >= filled[f"{name}_lower_90"]) & (truth[name] <= filled[f"{name}_upper_90"])
            beyond = float((filled[f"{name}_flag"] == 3).where(gaps).mean())
            promised, spread = found.rmse[found.winner]
            promised = found.rmse_of_field if title == SEA_LEVEL else promised
            numbers = [promised, spread, true, promised / true]
            row = [
                title,
                found.winner,
                *(f"{n:.3g}" for n in numbers),
                f"{float(inside.where(gaps).mean()):.0%}",
            ]
            rows.append([*row, f"{beyond:.1%}", str(found.shapes), f"{seconds:.0f}"])
            print(fitted.table(), flush=True)
    print("\n" + as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="parts of the names of the rows")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--sla", type=Path, default=None)
    given = parser.parse_args()
    main(given.names, given.minutes, given.sla)
