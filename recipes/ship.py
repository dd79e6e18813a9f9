"""Add the trained model of a benchmark row, with its measured score, to the shipped models.

python recipes/ship.py recipes/lorenz96 unet-lstm-any lorenz96
python recipes/ship.py recipes/lorenz96 unet-ode-lm lorenz96-ode
python recipes/ship.py recipes/mnist unet-lstm mnist-inpainting
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from da4dvar.modelfile.shipped import PRETRAINED
from da4dvar.workflows.benchmark.rows import Benchmark


def main(folder: Path, row: str, name: str) -> None:
    """Save the model of a row under the name of the shipped model."""
    result = json.loads((folder / "results" / f"{row}.json").read_text())
    model = Benchmark(folder).row(row).interpolator()
    if model is None:
        raise SystemExit(f"row {row} is a baseline")
    scores = {
        **model.scores,
        "test_r_score": result["r_score"],
        "test_r_score_std_over_series": result["error"] * math.sqrt(result["samples"]),
        "test": f"{result['samples']} samples, da4dvar benchmark {folder} --rows {row}",
    }
    model.replaced(scores=scores).save(PRETRAINED / f"{name}.safetensors")
    print(f"{name}: row {row}, R-score {result['r_score']:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with benchmark.toml")
    parser.add_argument("row", help="row that has been run")
    parser.add_argument("name", help="name of the shipped model")
    given = parser.parse_args()
    main(given.folder, given.row, given.name)
