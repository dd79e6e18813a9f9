"""Comparison of a run that is killed twenty times at random moments and resumed with an uninterrupted one.

python recipes/speed/kills.py

Prints the number of kills, the number of finished regions after each, and whether all values have the same
bits.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr
from memory import field, small_model

VALUES = ("x", "x_flag", "observation_term", "prior_term")


def run(folder: Path, output: str, memory: str) -> subprocess.Popen[bytes]:
    """Start `da4dvar interpolate --resume`."""
    command = [sys.executable, "-m", "da4dvar", "interpolate", "in.nc", output, "--model", "m.safetensors"]
    return subprocess.Popen(
        [*command, "--memory", memory, "--resume", "--quiet"], cwd=folder, stderr=subprocess.DEVNULL
    )


def finished(folder: Path) -> int:
    """Return the number of finished regions."""
    return len(list((folder / ".out.zarr.da4dvar").glob("done-*")))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--memory", default="500MB")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    generator = np.random.default_rng(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small_model(folder / "m.safetensors")
        field(given.steps, seed=1).to_netcdf(folder / "in.nc")
        assert run(folder, "alone.zarr", given.memory).wait() == 0
        found, moments = 0, []
        while found < given.kills and not (folder / "out.zarr").exists():
            process, before = run(folder, "out.zarr", given.memory), finished(folder)
            # Half of the kills come before a region is finished, half some time after; a start takes seconds.
            patient = generator.random() < 0.5
            while patient and process.poll() is None and finished(folder) == before:
                time.sleep(0.01)
            time.sleep(generator.uniform(0, 0.5) if patient else generator.uniform(0.5, 8))
            process.send_signal(signal.SIGKILL)
            found += process.wait() == -signal.SIGKILL
            moments.append(finished(folder))
        if not (folder / "out.zarr").exists():
            assert run(folder, "out.zarr", given.memory).wait() == 0
        with (
            xr.open_zarr(folder / "alone.zarr", consolidated=False) as one,
            xr.open_zarr(folder / "out.zarr", consolidated=False) as other,
        ):
            same = all(one[v].values.tobytes() == other[v].values.tobytes() for v in VALUES)
        left = [p for p in os.listdir(folder) if p.startswith(".")]
        print(f"{found} kills; finished regions after each: {moments}")
        print(f"the same bits: {same}; left next to the output: {left or 'nothing'}")
        assert same
        assert not left


if __name__ == "__main__":
    main()
