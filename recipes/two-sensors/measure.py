"""The table in this recipe's README: errors of each row in 2011.

    python recipes/two-sensors/measure.py [--year 2011] [--figure map.png]

Prints the RMSE in °C over all sea cells and by the sensor that observed them, and the learned operators. Rows
without a model in models/ are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

import da4dvar
from da4dvar.baselines.eof_interpolation import EofInterpolation
from da4dvar.evaluation.figures import maps
from da4dvar.evaluation.text import as_columns
from da4dvar.interpolator import Interpolator
from da4dvar.variational.observation import LearnedOperator, Sensors

HERE = Path(__file__).parent
ROWS = ("tracks", "coarse", "identity", "learned")


def operators(model: Interpolator) -> list[str]:
    """Describe the learned operator of each sensor, one line per sensor."""
    operator = model.model.cost.observation
    assert isinstance(operator, Sensors)
    lines = []
    for sensor, h, weight in zip(
        model.sensors, operator.operators, operator.log_weights.exp().tolist(), strict=True
    ):
        line = f"  {sensor.variable}: weight {weight:.3f}"
        if isinstance(h, LearnedOperator):
            kernel = h.smear.convolution.weight.detach().squeeze().numpy()
            bias = float(h.smear.convolution.bias.detach()) * model.scaling.std[sensor.of]
            middle = kernel.shape[0] // 2
            line += f", bias {bias:+.3f} °C, kernel of sum {kernel.sum():.2f}"
            line += f", {kernel[middle, middle]:.2f} at its centre"
        lines.append(line)
    return lines


def main(year: str, folder: Path, figure: Path | None, day: str) -> None:
    ds = xr.open_dataset(HERE / "data/two_sensors.nc")
    history, test = ds[["sst"]].sel(time=slice("1990", "2009")).load(), ds.sel(time=year).load()
    sea = test.sst.notnull()
    on_track, clear = test.sst_tracks.notnull(), test.sst_coarse.notnull()
    where = {
        "all": sea,
        "on a track": sea & on_track,
        "coarse only": sea & clear & ~on_track,
        "seen by neither": sea & ~clear & ~on_track,
    }
    filled = {}
    for row in ROWS:
        if (path := folder / f"{row}.safetensors").exists():
            model = da4dvar.load(path)
            filled[row] = model.interpolate(test.drop_vars("sst")).sst
            print(row, *operators(model), sep="\n")
    eofs = EofInterpolation(modes=80, error=0.5, history=history)
    filled["EOF interpolation of the tracks"] = eofs.interpolate(
        test[["sst_tracks"]].rename(sst_tracks="sst")
    ).sst
    rows = [["row", *where]]
    for row, estimate in filled.items():
        square = (estimate - test.sst) ** 2
        rows.append([row, *(f"{float(np.sqrt(square.where(cells).mean())):.3f}" for cells in where.values())])
    part = [f"{name} {100 * float(cells.sum() / sea.sum()):.1f} %" for name, cells in where.items()]
    print(f"RMSE on sea cells of {year} [°C]; {', '.join(part)}")
    print(as_columns(rows))
    if figure is not None:
        truth = test.sst.sel(time=day)
        fields = {
            "truth": truth,
            "seen by the tracks": test.sst_tracks.sel(time=day),
            "seen by the coarse sensor": test.sst_coarse.sel(time=day),
        }
        estimates = {f"from {row}": filled[row].sel(time=day) for row in ROWS if row in filled}
        errors = {f"error {row}": estimate - truth for row, estimate in estimates.items()}
        for error in errors.values():
            error.attrs = {"long_name": "error", "units": "degree_Celsius"}
        title = f"Sea-surface temperature off Tasmania from two sensors, {day}"
        maps(fields | estimates, errors, title).savefig(figure, dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--year", default="2011")
    parser.add_argument("--models", type=Path, default=HERE / "models")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--day", default="2011-09-20")
    given = parser.parse_args()
    main(given.year, given.models, given.figure, given.day)
