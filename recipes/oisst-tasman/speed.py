"""Time and memory for one year of daily 32 × 32 fields from file to file; time of the import and of `--help`.

python recipes/oisst-tasman/speed.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(__file__).parents[2] / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc"


def timed(*command: str) -> float:
    """Wall-clock seconds of a command."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> None:
    run = [sys.executable, "-m", "da4dvar"]
    quickest = min(timed(sys.executable, "-c", "import da4dvar") for _ in range(5))
    print(f"import da4dvar            {quickest:6.2f} s (best of 5, Python's own start included)")
    print(f"da4dvar --help            {min(timed(*run, '--help') for _ in range(5)):6.2f} s (best of 5)")
    with tempfile.TemporaryDirectory() as folder:
        gappy, filled = f"{folder}/gappy.nc", f"{folder}/filled.nc"
        timed(*run, "gaps", str(DATA), gappy, "--select", "time=2011-01-01:2011-12-31", "--seed", "1")
        seconds = timed(*run, "interpolate", gappy, filled, "--model", "oisst-tasman", "--quiet")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"one year, file to file    {seconds:6.2f} s, peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
