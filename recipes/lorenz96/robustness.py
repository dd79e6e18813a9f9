"""Scores of the shipped models on data that differ from those of their training.

python recipes/lorenz96/robustness.py [--series 32]
"""

from __future__ import annotations

import argparse

import xarray as xr

import da4dvar
from da4dvar.baselines.linear import Linear
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.scores.metrics import r_score
from da4dvar.simulate import lorenz96

SEED = 21
MODELS = ("lorenz96", "lorenz96-ode")
USUAL = {"every": 4, "components": 40, "noise_variance": 2.0, "steps": 200}
OTHERS = {
    "every": (2, 6, 8),
    "components": (10, 20),
    "noise_variance": (0.5, 4.0),
    "steps": (40, 401),
}


def main(series: int) -> None:
    settings = [USUAL] + [USUAL | {name: value} for name, values in OTHERS.items() for value in values]
    rows = [["every", "components", "noise variance", "steps", "linear", *MODELS]]
    for setting in settings:
        # Half of the components are observed at a time, as in the benchmark.
        ds = lorenz96(series=series, seed=SEED, number=setting["components"] // 2, **setting)
        seen = xr.Dataset({"x": ds.x_observed})
        found = [Linear().interpolate(seen)]
        found += [da4dvar.interpolate(seen, model, analysis=True) for model in MODELS]
        rows.append([*map(str, setting.values()), *(f"{float(r_score(f.x, ds.x)):.4f}" for f in found)])
    print(f"R-score of {series} series each, seed {SEED}; half of the components are observed at a time")
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=32)
    main(parser.parse_args().series)
