"""Time and error for a year of daily fields from NetCDF to NetCDF, by overlap of the windows and precision.

python recipes/speed/year.py --model lstm.safetensors [--year 2010]

The model is one of the recipe `oisst-tasman/lstm.toml`, a learned solver without a first guess. The RMSE is
that on unobserved cells, under tracks. Without strides, `ocean4dvarnet` 1.0.6 solves one window per day.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from measuring import arguments, report

from da4dvar.api import load
from da4dvar.cli.memory import keep_freed_memory
from da4dvar.fields.files.store import open_dataset, write_dataset
from da4dvar.workflows.twin import hide

DATA = Path(__file__).parents[2] / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc"
# Overlap of windows of 15 days, precision, and iterations, where they are not those of the model.
RUNS = {
    "a window a day": (14 / 15, "float32", None),
    "default windows": (None, "float32", None),
    "default windows, bfloat16": (None, "bfloat16", None),
    "a window in six days, 12 iterations": (0.6, "float32", 12),
    "a window in six days, 12 iterations, bfloat16": (0.6, "bfloat16", 12),
    "a window in six days, bfloat16": (0.6, "bfloat16", None),
    "half-overlapping windows, bfloat16": (0.5, "bfloat16", None),
}


def main(year: str, model: str) -> None:
    """Measure the time and error of each run."""
    truth = open_dataset(DATA).sel(time=year).load()
    seen = hide(truth, "tracks", 0.035, seed=11)
    unseen = truth.sst.where(seen.sst.isnull())
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(seen, f"{folder}/gappy.nc")
        for name, (overlap, precision, iterations) in RUNS.items():
            interpolator = load(model)
            if overlap is not None:
                layout = interpolator.layout
                interpolator.layout = replace(layout, overlap={**layout.overlap, "time": overlap})
            if iterations is not None:
                interpolator.model.solver.iterations = iterations
            began, spent = time.perf_counter(), time.process_time()
            filled = interpolator.interpolate(open_dataset(f"{folder}/gappy.nc"), precision=precision)
            write_dataset(filled, f"{folder}/filled.nc", overwrite=True)
            results[f"{name}, s"] = time.perf_counter() - began
            results[f"{name}, processor seconds"] = time.process_time() - spent
            results[f"{name}, RMSE"] = float(np.sqrt(((filled.sst - unseen) ** 2).mean()))
    report(results)


if __name__ == "__main__":
    keep_freed_memory()
    given = arguments(__doc__, ("--year", "2010"), ("--model", "lstm.safetensors"))
    main(given.year, given.model)
