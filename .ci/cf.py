"""Every kind of file that da4dvar writes, before the CF checker: prints the table of docs/cf.md.

python .ci/cf.py [--checker PATH/compliance-checker] [--keep FOLDER]

The exit code is 1 if a file has a finding that its input has not, and that is not in KNOWN.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parents[1]
SST = ROOT / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc"
TEST = "cf:1.11"
TRUTH, GAPPY, TWIN, TWIN63 = "truth.nc", "gappy.nc", "lorenz96.nc", "lorenz63.nc"
MODEL = ("--model", "oisst-tasman")
OF_TWIN = ("--model", "lorenz96", "--variable", "x=x_observed")
LEVELS = ("--interval", "0.5", "--interval", "0.9")
TWINS = ("--series", "2", "--steps", "60")
# Each file: what it came from, and the verb and options that make it.
FILES: dict[str, tuple[str | None, tuple[str, ...]]] = {
    GAPPY: (TRUTH, ("gaps", "--seed", "1")),
    "filled.nc": (GAPPY, ("interpolate", *MODEL)),
    "analysis.nc": (GAPPY, ("interpolate", *MODEL, "--analysis")),
    "errors.nc": (GAPPY, ("interpolate", *MODEL, "--std", *LEVELS)),
    "linear.nc": (GAPPY, ("baseline", "--method", "linear")),
    "climatology.nc": (GAPPY, ("baseline", "--method", "climatology")),
    "optimal.nc": (GAPPY, ("baseline", "--method", "optimal_interpolation")),
    "eof.nc": (GAPPY, ("baseline", "--method", "eof_iteration")),
    TWIN: (None, ("simulate", "lorenz96", *TWINS)),
    "twin.nc": (TWIN, ("interpolate", *OF_TWIN)),
    "regions.nc": (TWIN, ("interpolate", *OF_TWIN, "--scheduler", "threads")),
    TWIN63: (None, ("simulate", "lorenz63", *TWINS)),
}
# The time of a model has no date, no unit and no calendar, for which CF has no words; it stands where the
# checker wants no time.
KNOWN = (
    "time does not have correct time units",
    "'time' should have standard_name='time'",
    'variable "time" should have a string valued attribute "calendar"',
    "spatio-temporal dimensions are not in the recommended order",
)


def truth(path: Path) -> None:
    """Six weeks of sea-surface temperature in a file that the checker finds nothing in."""
    with xr.open_dataset(SST) as whole:
        ds = whole[["sst"]].sel(time=slice("2011-01-01", "2011-02-14")).load()
    ds.attrs |= {"Conventions": "CF-1.11", "history": "cut from OISST", "institution": "NOAA"}
    ds.attrs |= {"references": "Reynolds et al. (2007)", "comment": "for the CF checker"}
    ds.sst.attrs |= {"units_metadata": "temperature: on_scale"}
    for name, axis, word in (("time", "T", "time"), ("lat", "Y", "latitude"), ("lon", "X", "longitude")):
        ds[name].attrs |= {"standard_name": word, "long_name": word, "axis": axis}
    ds.time.attrs |= {"units_metadata": "leap_seconds: none"}
    ds.time.encoding = {"dtype": np.dtype("int32"), "units": "days since 1990-01-01", "calendar": "standard"}
    unfilled = {name: {"_FillValue": None} for name in ("lat", "lon")}
    ds.to_netcdf(path, encoding=unfilled)


def made(name: str, folder: Path) -> Path:
    """The file, made if it is not there yet."""
    path = folder / name
    if path.exists():
        return path
    if name == TRUTH:
        truth(path)
        return path
    source, (verb, *options) = FILES[name]
    files = [name] if source is None else [made(source, folder).name, name]
    if verb == "simulate":
        files = [options.pop(0), *files]
    subprocess.run([sys.executable, "-m", "da4dvar", verb, *files, *options, "-q"], cwd=folder, check=True)
    return path


def findings(file: Path, checker: str) -> dict[str, list[str]]:
    """What the checker says of a file: errors, warnings and advice, the same said of two variables once."""
    report = file.with_suffix(".json")
    command = [checker, f"--test={TEST}", "--format=json", f"--output={report}", str(file)]
    subprocess.run(command, check=False, capture_output=True)
    found = json.loads(report.read_text(encoding="utf-8"))[TEST]
    levels = {"errors": "high", "warnings": "medium", "advice": "low"}
    return {
        word: sorted({text for entry in found[f"{level}_priorities"] for text in entry["msgs"]})
        for word, level in levels.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checker", default=str(Path(sys.executable).parent / "compliance-checker"))
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        found = {name: findings(made(name, folder), given.checker) for name in (TRUTH, *FILES)}
    print("| file | by | errors | warnings | advice |\n|---|---|---|---|---|")
    for name, said in found.items():
        source, command = FILES.get(name, (None, ("the input",)))
        counts = " | ".join(str(len(texts)) for texts in said.values())
        print(f"| {name} | {' '.join(command)} | {counts} |")
        already = {text for texts in found[source].values() for text in texts} if source else set()
        for text in (t for texts in said.values() for t in texts if t not in already):
            known = any(re.search(k, text) for k in KNOWN)
            failed |= not known
            print(f"{name}: {'known: ' if known else ''}{text}", file=sys.stderr)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
