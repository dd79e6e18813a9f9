"""Put the trained models of two rows, with their measured scores, among those that ship.

python recipes/lorenz96/ship.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from da4dvar.benchmark import Benchmark
from da4dvar.shipped import PRETRAINED

HERE = Path(__file__).parent
SHIPPED = {"lorenz96": "unet-lstm-any", "lorenz96-ode": "unet-ode-lm"}


def main() -> None:
    benchmark = Benchmark(HERE)
    for name, row in SHIPPED.items():
        result = json.loads((HERE / "results" / f"{row}.json").read_text())
        model = benchmark.row(row).interpolator()
        if model is None:
            raise SystemExit(f"row {row} is a baseline")
        model.scores["test_r_score"] = result["r_score"]
        model.scores["test_r_score_std_over_series"] = result["error"] * math.sqrt(result["samples"])
        model.scores["test"] = f"{result['samples']} series, da4dvar benchmark recipes/lorenz96 --rows {row}"
        model.save(PRETRAINED / f"{name}.safetensors")
        print(f"{name}: row {row}, R-score {result['r_score']:.4f}")


if __name__ == "__main__":
    main()
