"""Every kind of file that da4dvar writes, before the CF checker: the table of docs/cf.md.

python .ci/cf.py [--checker compliance-checker] [--keep FOLDER]

Exit code 1 if a file has a finding that its input has not. The checker may live in another environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SST = ROOT / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc"
GAPPY, TWIN = "gappy.nc", "lorenz96.nc"
TASMAN = ("--model", "oisst-tasman")
# Each file, the file that it came from if any, and the command that makes it.
FILES: dict[str, tuple[str | None, tuple[str, ...]]] = {
    GAPPY: (None, ("gaps", str(SST), GAPPY, "--seed", "1", "--select", "time=2011-01-01:2011-02-14")),
    "filled.nc": (GAPPY, ("interpolate", GAPPY, "filled.nc", *TASMAN)),
    "kept.nc": (GAPPY, ("interpolate", GAPPY, "kept.nc", *TASMAN, "--keep-observed")),
    "regions.nc": (GAPPY, ("interpolate", GAPPY, "regions.nc", *TASMAN, "--scheduler", "threads")),
    "errors.nc": (
        GAPPY,
        ("interpolate", GAPPY, "errors.nc", *TASMAN, "--std", "--interval", "0.9", "--interval", "0.5"),
    ),
    "linear.nc": (GAPPY, ("baseline", GAPPY, "linear.nc", "--method", "linear")),
    "climatology.nc": (GAPPY, ("baseline", GAPPY, "climatology.nc", "--method", "climatology")),
    "optimal.nc": (GAPPY, ("baseline", GAPPY, "optimal.nc", "--method", "optimal_interpolation")),
    "eof.nc": (GAPPY, ("baseline", GAPPY, "eof.nc", "--method", "eof_iteration")),
    TWIN: (None, ("simulate", "lorenz96", TWIN, "--series", "2", "--steps", "60", "--seed", "1")),
    "lorenz63.nc": (None, ("simulate", "lorenz63", "lorenz63.nc", "--series", "2", "--steps", "60")),
    "twin.nc": (TWIN, ("interpolate", TWIN, "twin.nc", "--model", "lorenz96", "--variable", "x=x_observed")),
}


def made(name: str, folder: Path) -> Path:
    """The file, made if it is not there yet."""
    source, arguments = FILES[name]
    if source is not None:
        made(source, folder)
    if not (folder / name).exists():
        subprocess.run([sys.executable, "-m", "da4dvar", *arguments, "--quiet"], cwd=folder, check=True)
    return folder / name


def findings(file: Path, checker: str, test: str) -> dict[str, list[str]]:
    """What the checker says of a file: its errors, and what it only recommends."""
    found = file.with_suffix(".json")
    command = [
        checker,
        f"--test={test}",
        "--format=json",
        f"--output={found}",
        "--criteria=lenient",
        str(file),
    ]
    subprocess.run(command, check=False, capture_output=True)
    report = json.loads(found.read_text(encoding="utf-8"))[test]
    return {
        level: sorted(
            f"{entry['name']}: {text}" for entry in report[f"{level}_priorities"] for text in entry["msgs"]
        )
        for level in ("high", "medium", "low")
    }
