"""How long users wait: processor seconds and peak memory of each command, and of what else people would use.

python recipes/speed/waiting.py [--other PYTHON] [--dapper PYTHON] [--sizes small,medium] [--only "score"]

`--other` is the interpreter of an environment with the packages of `recipes/comparison` and scikit-learn, and
`--dapper` that of one with DAPPER. Without them, or without a package, a row says so. Every command is
a process of its own on one thread, from file to file, with the start of Python. Seconds are those of the
processor, as a machine may do other work; `waiting.jsonl` also holds those of the clock. A run in it is not
repeated, so that a package whose run was removed from a line is run alone. The table of all runs is printed.

The files are sea-surface temperature of the Tasman Sea under clouds, 100 and 1953 days of 32 × 32 cells (1e5
and 2e6 values), and a simulated year of the whole earth (4e8 values), in Zarr, for what streams. What needs
dynamics has a record of 1000 steps of Lorenz-96.
"""

from __future__ import annotations

import datetime
import json
import os
import resource
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr
from measuring import arguments, markdown, measured
from minutes import DATA, earth

from da4dvar.simulate import lorenz96
from da4dvar.workflows.twin import hide

RECIPES = Path(__file__).parents[1]
sys.path += [str(RECIPES / "comparison")]
from compare import pair, scored, spawned  # noqa: E402  (beside this folder)

RUNS = Path(__file__).parent / "waiting.jsonl"
DAYS = {"small": 100, "medium": 1953}
VALUES = {
    "small": "1e5",
    "medium": "2e6",
    "large": "4e8",
    "stations": "5e4",
    "window": "9e5",
    "series": "4e5",
    "record": "4e4",
}
FIELDS, ALL = ("small", "medium"), ("small", "medium", "large")
Run = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """A command of da4dvar on files of some sizes, and the same by other packages.

    Attributes
    ----------
    command : str
        Arguments of da4dvar, or a program in Python with its arguments; names in braces are files.
    rivals : dict of str to (str, dict)
        Name of the peer in `recipes/comparison/peers.py`, and its setting.
    sizes : tuple of str
        Sizes of the files.
    """

    command: str
    rivals: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    sizes: tuple[str, ...] = FIELDS


FILL = "{gappy} {filled} --quiet"
THINNED = {"model": "Exponential", "steps": 1, "points": 200}
SAITS = {"network": "SAITS", "window": 24}
# A tolerance twice that of the command line, which has no option for it.
COARSER = (
    "import sys, xarray as xr; from da4dvar.baselines.eof_iteration import EofIteration as E; "
    "E(tolerance=2e-3).interpolate(xr.open_dataset(sys.argv[1])).to_netcdf(sys.argv[2])"
)
WORK = {
    "interpolate in time": Work(
        f"baseline {FILL} --method linear", {"xarray.interpolate_na": ("xarray", {"method": "linear"})}
    ),
    "EOFs": Work(
        f"baseline {FILL} --method eof_iteration", {"pyDINEOF": ("pyDINEOF", {"modes": 30, "alpha": 0.1})}
    ),
    "EOFs to 2e-3": Work(f"{COARSER} {FILL}", sizes=("medium",)),
    "optimal interpolation": Work(
        f"baseline {FILL} --method optimal_interpolation",
        {"gstools": ("gstools", THINNED), "scikit-learn": ("scikit-learn", {"points": 1000})},
    ),
    "best of all methods": Work(f"interpolate {FILL} --minutes 2"),
    "stations": Work(f"interpolate {FILL} --minutes 0.5", {"SAITS": ("pypots", SAITS)}, ("stations",)),
    "trained model": Work(f"interpolate {FILL} --model oisst-tasman"),
    "with intervals": Work(f"interpolate {FILL} --model oisst-tasman --interval 0.9"),
    "score": Work("evaluate {estimate} {truth} --quiet", sizes=ALL),
    "aggregate": Work("aggregate {truth} {filled} --over lat,lon --period month --stat mean"),
    "hide": Work("gaps {truth} {filled} --kind random --fraction 0.3 --quiet"),
    "describe": Work("inspect {gappy}", sizes=ALL),
    "assimilate": Work(f"assimilate {FILL} --model lorenz96-ode", sizes=("record",)),
    "forecast": Work("forecast {truth} {filled} --quiet --model lorenz96-ode --steps 20", sizes=("record",)),
}


def made(size: str, folder: Path) -> dict[str, Path]:
    """Write the files of a size, and return their paths."""
    suffix = ".zarr" if size == "large" else ".nc"
    files = {name: folder / f"{name}{suffix}" for name in ("gappy", "truth", "estimate", "filled")}
    if size == "large":
        earth().to_zarr(files["gappy"], mode="w", zarr_format=2)
        (earth() + 0.1).to_zarr(files["truth"], mode="w", zarr_format=2)
        return files | {"estimate": files["gappy"]}
    if size == "stations":
        seen, truth = pair("pm10", "test")
    elif size == "record":
        twin = lorenz96(series=1, steps=1000, seed=5)
        seen, truth = twin[["x_observed"]].rename(x_observed="x"), twin[["x"]]
    else:
        every = xr.open_dataset(DATA / "oisst-tasman/oisst_tasman_1990_2011.nc")
        truth = every.isel(time=slice(-DAYS[size], None)).load()
        dims = {"day": "time", "y": "lat", "x": "lon"}
        masks = f"{DATA}/cloud-masks/cloud_masks_32.nc:observed"
        seen = hide(truth, "transplanted", 1.0, masks=masks, dim=dims, seed=5)
    seen.to_netcdf(files["gappy"])
    truth.to_netcdf(files["truth"])
    (truth + 0.1).to_netcdf(files["estimate"])
    return files


def processor() -> float:
    """Return the processor seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(line: list[str], size: str, files: dict[str, Path], folder: Path) -> Run:
    """Return seconds, memory and, if a file was filled, the error of its estimates."""
    before = processor()
    code, minutes, gib = spawned(line, folder / "log.txt")
    said = (folder / "log.txt").read_text("utf-8", errors="replace").strip().splitlines() or [""]
    if code:
        return {"failure": said[-1][:200]}
    out: Run = {"seconds": processor() - before, "clock": 60 * minutes, "gib": gib}
    if size in (*DAYS, "stations") and files["filled"].exists():
        with xr.open_dataset(files["gappy"]) as gappy, xr.open_dataset(files["truth"]) as truth:
            (name,) = (str(n) for n in gappy.data_vars if n in truth)
            with xr.open_dataset(files["filled"]) as filled:
                if "estimate" in filled or filled.get(name, gappy[name][:0]).shape == gappy[name].shape:
                    out["rmse"] = scored(filled.load(), gappy[name].load(), truth[name].load())["rmse"]
    if files:
        files["filled"].unlink(missing_ok=True)
    return out


def solve(other: str, names: list[str]) -> dict[str, Run]:
    """Return a solve of a window of 15 × 240 × 240, and the same by ocean4dvarnet."""
    found: dict[str, Run] = {}
    if "da4dvar" in names:
        found["da4dvar"] = measured("field.py")
    if "ocean4dvarnet" in names:
        missing = {"failure": "no environment; give --other PYTHON"}
        found["ocean4dvarnet"] = measured("published.py", python=other) if other else missing
    return found


def smoothed(dapper: str, names: list[str], folder: Path) -> dict[str, Run]:
    """Return the assimilation of a long series of Lorenz-96, and the same by DAPPER's iEnKS."""
    case, seed, place = "bocquet2015loc", 101, RECIPES / "dapper"
    begin = f"import sys; sys.path.insert(0, {str(place)!r}); sys.argv = ['']; "
    setting = {"upd_a": "Sqrt", "N": 40, "Lag": 3, "infl": 1.02, "nIter": 10, "wtol": 1e-4}
    known = f"{str(folder)!r}, {case!r}, {seed}"
    codes = {
        "": (dapper, f"import make; make.EXPERIMENTS[:] = [{case!r}]; make.main({str(folder)!r}, [{seed}])"),
        "da4dvar": (
            sys.executable,
            f"import assimilate as a; list(a.METHODS['whole']([a.Series.read(a.path_of({known}))]))",
        ),
        "iEnKS": (
            dapper,
            f"import rivals; rivals.run({str(folder)!r}, {case!r}, 'iEnKS', {setting!r}, {seed})",
        ),
    }
    found: dict[str, Run] = {}
    for name in ["", *names]:
        python, code = codes[name]
        missing = {"failure": "no environment; give --dapper PYTHON"}
        found[name] = run([python, "-c", begin + code], "series", {}, folder) if dapper else missing
    del found[""]
    return found


def names_of(work: str) -> list[str]:
    """Return the names of da4dvar and the other packages that do a work."""
    others = {"solve": ["ocean4dvarnet"], "smooth": ["iEnKS"]}
    return ["da4dvar", *(others[work] if work in others else WORK[work].rivals)]


def runs_of(work: str, size: str, names: list[str], other: str, dapper: str) -> dict[str, Run]:
    """Do a work with da4dvar and the other packages that are named; return what each took."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if work == "solve":
            return solve(other, names)
        if work == "smooth":
            return smoothed(dapper, names, folder)
        files, plan = made(size, folder), WORK[work]
        program = plan.command.startswith(COARSER)
        command = plan.command.removeprefix(COARSER).format(**files).split()
        ours = [
            sys.executable,
            "-W",
            "ignore",
            *(["-c", COARSER] if program else ["-m", "da4dvar"]),
            *command,
        ]
        found: dict[str, Run] = {}
        if "da4dvar" in names:
            found["da4dvar"] = run(ours, size if FILL in plan.command else "", files, folder)
        with xr.open_dataset(files["gappy"], engine="zarr" if size == "large" else None) as gappy:
            (name, *_) = map(str, gappy.data_vars)
        for rival, (peer, setting) in plan.rivals.items():
            if rival not in names:
                continue
            python = sys.executable if peer == "xarray" else other
            line = [python, "-W", "ignore", str(RECIPES / "comparison/peers.py"), peer]
            line += [str(files["gappy"]), str(files["filled"]), name, json.dumps(setting), "--minutes", "0.5"]
            missing = {"failure": "no environment; give --other PYTHON"}
            found[rival] = run(line, size, files, folder) if python else missing
        return found


def cells(one: Run) -> list[str]:
    """Return the cells of a table about a run."""
    if "failure" in one:
        return [one["failure"], "", ""]
    return [f"{one['seconds']:.1f}", f"{one['gib']:.2f}", f"{one['rmse']:.3g}" if "rmse" in one else ""]


def merged(lines: list[Run]) -> list[Run]:
    """Return each work and size once, with the latest runs of all packages, that of da4dvar first."""
    found: dict[tuple[str, str], Run] = {}
    for one in lines:
        before = found.get((one["work"], one["size"]), {"runs": {}})
        runs = before["runs"] | one["runs"]
        order = {name: runs[name] for name in (*names_of(one["work"]), *runs) if name in runs}
        found[one["work"], one["size"]] = one | {"runs": order}
    return list(found.values())


def table(done: list[Run]) -> str:
    """Return the table of all runs: a row for each package that does a work."""
    rows = [["work", "values", "", "s", "GiB", "error", "times the seconds of da4dvar", "times its GiB"]]
    for one in merged(done):
        ours = one["runs"].get("da4dvar", {"failure": "not run"})
        for name, found in one["runs"].items():
            ratios = ["", ""]
            if name != "da4dvar" and not {"failure"} & (found.keys() | ours.keys()):
                ratios = [f"{found[k] / ours[k]:.2f}" for k in ("seconds", "gib")]
            rows.append([one["work"], VALUES.get(one["size"], one["size"]), name, *cells(found), *ratios])
    return markdown(rows)


def main(other: str, dapper: str, sizes: list[str], only: list[str]) -> None:
    """Do the runs that are left, and print the table of all."""
    # As for users, who compile each module once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    done = [json.loads(line) for line in RUNS.read_text("utf-8").splitlines()] if RUNS.exists() else []
    known = {(one["work"], one["size"]): one["runs"] for one in merged(done)}
    wanted = [(work, size) for work, plan in WORK.items() for size in plan.sizes]
    wanted += [("solve", "window"), ("smooth", "series")]
    for work, size in wanted:
        names = [name for name in names_of(work) if name not in known.get((work, size), {})]
        if not names or (only and work not in only) or (size in ALL and size not in sizes):
            continue
        found = {"work": work, "size": size, "date": datetime.date.today().isoformat()}
        found["runs"] = runs_of(work, size, names, other, dapper)
        print(json.dumps(found), flush=True)
        done.append(found)
        with RUNS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
    print(table(done))


if __name__ == "__main__":
    given = arguments(__doc__, ("--other", ""), ("--dapper", ""), ("--sizes", "small,medium"), ("--only", ""))
    places = (python and str(Path(python).absolute()) for python in (given.other, given.dapper))
    main(*places, given.sizes.split(","), given.only.split(",") if given.only else [])
