"""Run da4dvar and its peers on the same files, and score them on the same hidden points; see README.md.

python recipes/comparison/compare.py --other other/bin/python [--cases sst] [--peers gstools] [--minutes 2]

Every setting of a peer is scored on validation points, and the best one on the test points. Each run is a
process of its own on one thread, from file to file. A run that `runs.jsonl` holds is not repeated. The tables
of all runs are written to `tables.md`.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.config.tables import read_recipe
from da4dvar.workflows.recipe import Recipe
from da4dvar.workflows.twin import hide

HERE = Path(__file__).parent
REAL = HERE.parent / "real-gaps"
sys.path.append(str(REAL))
from promised import DATA, Pair, era5, oisst  # noqa: E402  (beside this folder)

RUNS, TABLES = HERE / "runs.jsonl", HERE / "tables.md"
# A run that takes longer is ended, and its row says so.
LONGEST = 10 * 60
Setting = dict[str, Any]
Run = dict[str, Any]

CASES = {
    "sst": ("sst", "°C", "Sea-surface temperature of one year under clouds"),
    "era5": ("t2m", "K", "Hourly temperature of one month under clouds"),
    "pm10": ("pm10", "µg m⁻³", "Daily particulate matter at 70 stations"),
}
LINES = [{"method": method} for method in ("linear", "pchip", "akima")]
MODES = [
    {"modes": modes, "alpha": alpha}
    for modes, alpha in ((5, 0.01), (30, 0.01), (30, 0.1), (30, 1.0), (80, 0.1), (80, 1.0), (150, 0.1))
]
POINTS = [
    {"model": model, "steps": steps, "points": points}
    for model, steps, points in (
        ("Exponential", 0, 400),
        ("Exponential", 2, 400),
        ("Stable", 2, 400),
        ("Exponential", 1, 1000),
        ("Exponential", 2, 1000),
    )
]
STATIONS = [
    {"model": "Exponential", "steps": steps, "points": 400, "offset": offset}
    for steps, offset in ((0, None), (2, None), (2, 2.0))
]
SAITS = [{"network": "SAITS", "window": steps} for steps in (24, 64)]
BRITS = [{"network": "BRITS", "window": 24}]
# The settings of every peer in every case, or the reason why there are none.
PEERS: dict[str, dict[str, list[Setting] | str]] = {
    "da4dvar": {case: [{}] for case in CASES},
    "da4dvar, optimal interpolation": {
        "sst": [{"method": "optimal_interpolation"}],
        "era5": "it is one of the methods of the other rows of da4dvar",
        "pm10": "it is for fields",
    },
    "da4dvar, 5 minutes": {
        "sst": "the row of da4dvar ended before its limit",
        "era5": [{"minutes": 5}],
        "pm10": "the row of da4dvar ended before its limit",
    },
    "xarray": dict.fromkeys(CASES, LINES),
    "pyDINEOF": {
        "sst": MODES,
        "era5": [{"modes": modes, "alpha": 0.1} for modes in (30, 80)],
        "pm10": "it asks for a field with dimensions lat and lon",
    },
    "gstools": {"sst": POINTS, "era5": POINTS[1:3], "pm10": STATIONS},
    "SAITS": {"sst": SAITS, "era5": SAITS[:1], "pm10": SAITS},
    "BRITS": dict.fromkeys(CASES, BRITS),
    "ocean4dvarnet": {
        "sst": [{"window": 15}],
        "era5": "its training skips samples with more than a tenth of NaN, and there are no complete months",
        "pm10": "its convolutions are for fields, and there are no complete years",
    },
    "DAPPER": dict.fromkeys(CASES, "it needs the equations of a model, and observations in arrays"),
}
PACKAGES = {"SAITS": "pypots", "BRITS": "pypots"}
TRAINED = ("pypots", "ocean4dvarnet")


def pair(case: str, part: str) -> Pair:
    """Return observations of a case and the truth of their gaps, for the validation or the test."""
    if case == "sst":
        return oisst("clouds", {"validation": "2010", "test": "2011"}[part])
    if case == "era5" and part == "test":
        return era5()
    recipe = Recipe(read_recipe(REAL / f"{case}.toml", []), REAL)
    data = recipe.data(part)
    names = list(recipe.layout.variables)
    assert data.truth is not None
    return data.seen[names].load(), data.truth[names].load()


def complete_years() -> xr.Dataset:
    """Return the years 1990 to 2009 as the target, and the same under clouds as the input of a training."""
    truth = (
        xr.open_dataset(DATA / "oisst-tasman/oisst_tasman_1990_2011.nc")
        .sel(time=slice("1990", "2009"))
        .load()
    )
    masks = f"{DATA}/cloud-masks/cloud_masks_32.nc:observed"
    dims = {"day": "time", "y": "lat", "x": "lon"}
    seen = hide(truth, "transplanted", 1.0, masks=masks, select_masks={"window": "0:99"}, dim=dims, seed=5)
    return xr.Dataset({"target": truth.sst, "input": seen.sst})


def command(peer: str, case: str, setting: Setting, folder: Path, other: str, minutes: float) -> list[str]:
    """Return the command that fills a file."""
    gappy, filled = str(folder / "gappy.nc"), str(folder / "filled.nc")
    if peer.startswith("da4dvar"):
        limit, method = setting.get("minutes", minutes), setting.get("method", "auto")
        options = ["--interval", "0.9", "--minutes", f"{limit:g}", "--method", method]
        return [sys.executable, "-W", "ignore", "-m", "da4dvar", "interpolate", gappy, filled, *options]
    package = PACKAGES.get(peer, peer)
    python = sys.executable if package == "xarray" else other
    fill = [package, gappy, filled, CASES[case][0], json.dumps(setting), "--minutes", f"{minutes:g}"]
    if package == "ocean4dvarnet":
        complete_years().to_netcdf(folder / "history.nc")
        fill += ["--history", str(folder / "history.nc")]
    return [python, "-W", "ignore", str(HERE / "peers.py"), *fill]


def spawned(line: list[str], log: Path) -> tuple[int, float, float]:
    """Run a command on one thread; return the exit code, the minutes of the clock and the peak memory in GiB.

    The peak is the last that Linux states while the process runs; what it states afterwards counts the
    memory of the parent as well.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    began, peak = time.monotonic(), 0
    with log.open("w") as file:
        process = subprocess.Popen(line, env=environment, stdout=file, stderr=subprocess.STDOUT)
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *(int(kib) for kib in re.findall(r"VmHWM:\s+(\d+)", status))])
            if time.monotonic() - began > LONGEST:
                process.kill()
            time.sleep(0.05)
    return process.returncode, (time.monotonic() - began) / 60, peak / 2**20


def scored(filled: xr.Dataset, seen: xr.DataArray, truth: xr.DataArray) -> Run:
    """Return the error at the hidden points, the share in the 90 % intervals, and the share left empty."""
    name = str(seen.name)
    ours = (name, f"{name}_lower_90", f"{name}_upper_90")
    names = ("estimate", "lower", "upper") if "estimate" in filled else ours
    estimate, *interval = (filled[n].transpose(*seen.dims) for n in names if n in filled)
    hidden = (seen.isnull() & truth.notnull()).values
    found = hidden & estimate.notnull().values
    error = (estimate.values - truth.values)[found]
    out: Run = {
        "points": int(hidden.sum()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "empty": 1 - found.sum() / hidden.sum(),
    }
    if interval:
        low, high = (end.values[found] for end in interval)
        true = truth.values[found]
        out["covered"] = float(((low <= true) & (true <= high)).mean())
    return out


def run(peer: str, case: str, part: str, setting: Setting, other: str, minutes: float) -> Run:
    """Fill the file of a case with a peer, and return its scores."""
    seen, truth = pair(case, part)
    name = CASES[case][0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        seen.to_netcdf(folder / "gappy.nc")
        line = command(peer, case, setting, folder, other, minutes)
        code, taken, memory = spawned(line, folder / "log.txt")
        said = (folder / "log.txt").read_text("utf-8", errors="replace").strip().splitlines() or [""]
        out: Run = {"case": case, "part": part, "peer": peer, "setting": setting, "limit": minutes}
        out |= {"minutes": taken, "gib": memory, "date": datetime.date.today().isoformat()}
        if code:
            failure = f"ended after {LONGEST // 60} minutes" if taken * 60 > LONGEST else said[-1][:200]
            return out | {"failure": failure}
        if peer.startswith("da4dvar"):
            out |= {"version": importlib.metadata.version("da4dvar"), "did": said[-1].partition(", ")[2]}
        else:
            out |= {"version": said[-1], "did": said[-2] if PACKAGES.get(peer, peer) in TRAINED else ""}
        with xr.open_dataset(folder / "filled.nc") as filled:
            return out | scored(filled.load(), seen[name], truth[name])


class Runs:
    """Runs that were done, and those that are done now."""

    def __init__(self, other: str, minutes: float) -> None:
        self.other, self.minutes = other, minutes
        lines = RUNS.read_text("utf-8").splitlines() if RUNS.exists() else []
        self.done = [json.loads(line) for line in lines]

    def __call__(self, peer: str, case: str, part: str, setting: Setting) -> Run:
        """Return the result of a run, which is done if it was not."""
        key = {"peer": peer, "case": case, "part": part, "setting": setting}
        for one in self.done:
            if key.items() <= one.items():
                return one
        result = run(peer, case, part, setting, self.other, self.minutes)
        print(json.dumps(result, ensure_ascii=False), flush=True)
        self.done.append(result)
        with RUNS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result, ensure_ascii=False) + "\n")
        return result

    def best(self, peer: str, case: str, settings: list[Setting]) -> Run:
        """Return the test of the setting that is best on the validation points."""
        if len(settings) == 1:
            return self(peer, case, "test", settings[0])
        tried = [self(peer, case, "validation", setting) for setting in settings]
        chosen = min(tried, key=lambda one: one.get("rmse", np.inf))
        return chosen if "failure" in chosen else self(peer, case, "test", chosen["setting"])


def first_sentence(failure: str) -> str:
    """Return the beginning of a message."""
    return failure.partition(". ")[0]


def row(peer: str, one: Run) -> str:
    """Return the row of a test."""
    if "failure" in one:
        return f"| {peer} | failed: {first_sentence(one['failure'])} | | | | |"
    numbers = [
        f"{peer} {one['version']}",
        f"{one['rmse']:#.3g}",
        f"{one['minutes']:.2f}",
        f"{one['gib']:.1f}",
    ]
    numbers += [f"{100 * one['covered']:.1f} %" if "covered" in one else "no intervals"]
    numbers += [f"{100 * one['empty']:.1f} %" if one["empty"] else ""]
    return f"| {' | '.join(numbers)} |"


def tables(done: list[Run]) -> Iterator[str]:
    """Yield the lines of the tables of all cases."""
    for case, (_, unit, title) in CASES.items():
        tests = {one["peer"]: one for one in done if one["case"] == case and one["part"] == "test"}
        if not tests:
            continue
        points = next(one["points"] for one in tests.values() if "points" in one)
        dates = sorted({one["date"] for one in tests.values()})
        yield f"## {title}: `{case}`\n"
        yield f"{points} hidden points, {' and '.join(dates)}.\n"
        yield f"| | RMSE [{unit}] | minutes | memory, GiB | in 90 % intervals | left empty |"
        yield "|---|---|---|---|---|---|"
        for peer in sorted(tests, key=lambda name: tests[name].get("rmse", np.inf)):
            yield row(peer, tests[peer])
        for peer, cases in PEERS.items():
            if peer not in tests:
                reason = cases[case] if isinstance(cases[case], str) else "time was short"
                yield f"| {peer} | not run: {reason} | | | | |"
        yield f"\n### Settings of `{case}`\n\n| | setting | RMSE of the validation [{unit}] | |"
        yield "|---|---|---|---|"
        for one in sorted(done, key=lambda run: list(PEERS).index(run["peer"])):
            if one["case"] == case and (one["part"] == "validation" or one.get("did")):
                setting = ", ".join(f"{k} {v}" for k, v in one["setting"].items() if k != "network")
                validated = one["part"] == "validation"
                score = "the test" if not validated else f"{one.get('rmse', np.nan):#.3g}"
                score = first_sentence(one["failure"]) if "failure" in one else score
                yield f"| {one['peer']} | {setting} | {score} | {one.get('did', '')} |"
        yield ""


def main(cases: list[str], peers: list[str], other: str, minutes: float) -> None:
    """Do the runs that are left, and write the tables."""
    runs = Runs(other, minutes)
    for peer in peers:
        for case in cases:
            settings = PEERS[peer][case]
            if not isinstance(settings, str):
                runs.best(peer, case, settings)
    TABLES.write_text("\n".join(tables(runs.done)).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--other", required=True, help="Python of the environment with the other packages")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--peers", default=";".join(PEERS), help="separated by semicolons")
    parser.add_argument("--minutes", type=float, default=2.0)
    given = parser.parse_args()
    main(given.cases.split(","), given.peers.split(";"), given.other, given.minutes)
