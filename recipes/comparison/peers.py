"""Fill the gaps of a file with another package, in an environment of its own; see README.md.

OTHER-PYTHON recipes/comparison/peers.py PEER GAPPY FILLED VARIABLE SETTING [--minutes 2] [--history FILE]

SETTING holds the options of a peer in JSON. The result has a variable `estimate` and, if the peer states an
error, the variables `lower` and `upper` of its 90 % intervals. Networks train for the given minutes on one
thread. The last line that is printed is the version of the package.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

NORMAL_90 = 1.645
Setting = dict[str, Any]


class Batch(NamedTuple):
    """Samples of ocean4dvarnet: observations and truth."""

    input: Any
    tgt: Any = None


def interpolate_na(y: xr.DataArray, setting: Setting, given: argparse.Namespace) -> xr.Dataset:
    """Interpolate in time, and take the nearest value before the first and after the last."""
    filled = y.interpolate_na("time", setting["method"])
    return filled.ffill("time").bfill("time").to_dataset(name="estimate")


def dineof(y: xr.DataArray, setting: Setting, given: argparse.Namespace) -> xr.Dataset:
    """DINEOF, whose cross-validation chooses the number of modes, up to `modes`.

    The time is a number of steps: seconds since the first date are kept in 16 bits, which overflow.
    """
    from pydineof.main import run_2D

    steps = y.assign_coords(time=np.arange(y.sizes["time"]))
    filled = run_2D(
        steps,
        mask=y.notnull().any("time"),
        nev=setting["modes"],
        ncv=2 * setting["modes"] + 6,
        alpha=setting["alpha"],
        rec=False,
        seed=0,
    )
    return filled.transpose(*y.dims).assign_coords(time=y.time).to_dataset(name="estimate")


def kriging(y: xr.DataArray, setting: Setting, given: argparse.Namespace) -> xr.Dataset:
    """Ordinary kriging in space and time, step by step, from at most `points` values at most `steps` away.

    What departs from the mean of each place is kriged, on the logarithm if an `offset` is given. Half of the
    points are those of the step itself, chosen at random if there are more. The variograms are fitted to the
    gappy values: one in space, and one in time.
    """
    import gstools as gs

    generator = np.random.default_rng(0)
    offset = setting.get("offset")
    values = y.values.reshape(len(y), -1).astype("float64")
    values = values if offset is None else np.log(values + offset)
    places = np.flatnonzero(np.isfinite(values).any(0))
    values = values[:, places]
    mean = np.nanmean(values, axis=0)
    anomaly = values - mean
    lat, lon = (position.values.ravel()[places] for position in xr.broadcast(y.lat, y.lon))
    x, z = 111.2 * np.cos(np.radians(lat.mean())) * lon, 111.2 * lat

    reach = np.hypot(np.ptp(x), np.ptp(z)) / 2
    chosen = generator.permutation(len(values))[:60]
    some = generator.permutation(len(x))[:300]
    fields = [anomaly[step, some] for step in chosen if np.isfinite(anomaly[step, some]).any()]
    model = getattr(gs, setting["model"])
    space = model(dim=2)
    space.fit_variogram(*gs.vario_estimate((x[some], z[some]), fields, np.linspace(0, reach, 15)))
    lags = min(30, len(values) // 4)
    gamma = gs.vario_estimate_axis(np.ma.masked_invalid(anomaly[:, some]), "x")[1 : lags + 1]
    in_time = model(dim=1)
    in_time.fit_variogram(np.arange(1, lags + 1), gamma)
    scales = [space.len_scale, space.len_scale, in_time.len_scale]
    both = model(dim=3, var=space.var, nugget=space.nugget, len_scale=scales)

    estimate, error = np.full_like(anomaly, np.nan), np.full_like(anomaly, np.nan)
    for step in range(len(values)):
        missing = np.flatnonzero(np.isnan(anomaly[step]))
        first = max(0, step - setting["steps"])
        when, where = np.nonzero(np.isfinite(anomaly[first : step + setting["steps"] + 1]))
        own = generator.permutation(np.flatnonzero(when + first == step))[: setting["points"] // 2]
        others = np.flatnonzero(when + first != step)
        others = generator.permutation(others)[: setting["points"] - len(own)]
        used = np.concatenate([own, others])
        if not missing.size or not used.size:
            continue
        when, where = when[used] + first, where[used]
        krige = gs.krige.Ordinary(
            both, (x[where], z[where], when), anomaly[when, where], pseudo_inv=False, exact=False
        )
        found, variance = krige((x[missing], z[missing], np.full(missing.size, step)))
        estimate[step, missing], error[step, missing] = found, np.sqrt(variance)
    out = {}
    for name, factor in (("estimate", 0.0), ("lower", -NORMAL_90), ("upper", NORMAL_90)):
        part = estimate + factor * error + mean
        out[name] = laid_out(part if offset is None else np.exp(part) - offset, places, y)
    return xr.Dataset(out)


def gaussian_process(y: xr.DataArray, setting: Setting, given: argparse.Namespace) -> xr.Dataset:
    """Gaussian process regression in space and time from `points` values that are chosen at random.

    What departs from the mean of each place is estimated. The length scales and the noise are fitted to the
    chosen values.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    values = y.values.astype("float64")
    mean = np.nanmean(np.where(np.isfinite(values).any(0), values, 0.0), axis=0)
    lat, lon = (position.values for position in xr.broadcast(y.lat, y.lon))
    seen = np.argwhere(np.isfinite(values))
    where = 1.0 * np.stack(np.broadcast_arrays(np.arange(len(y))[:, None, None], lat[None], lon[None]), -1)
    chosen = tuple(np.random.default_rng(0).permutation(seen)[: setting["points"]].T)
    kernel = ConstantKernel() * RBF([5.0, 1.0, 1.0]) + WhiteKernel(0.1)
    model = GaussianProcessRegressor(kernel).fit(where[chosen], (values - mean)[chosen])
    missing = np.isnan(values) & np.isfinite(values).any(0)
    points = where[missing]
    parts = np.array_split(points, max(1, len(points) // 10_000))
    values[missing] = (
        np.concatenate([model.predict(part) for part in parts]) + np.broadcast_to(mean, values.shape)[missing]
    )
    return y.copy(data=values).to_dataset(name="estimate")


def laid_out(values: np.ndarray, places: np.ndarray, y: xr.DataArray) -> xr.DataArray:
    """Return the series of some places with the dimensions of a data set, and NaN elsewhere."""
    whole = np.full((len(y), y[0].size), np.nan)
    whole[:, places] = values
    return y.copy(data=whole.reshape(y.shape))


def windows(values: np.ndarray, length: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Return windows along the first axis, and where each begins; the last one ends at the end."""
    starts = np.unique([*range(0, len(values) - length, stride), len(values) - length])
    return np.stack([values[start : start + length] for start in starts]), starts


def joined(parts: np.ndarray, starts: np.ndarray, weights: np.ndarray, steps: int) -> np.ndarray:
    """Return the weighted mean of windows where they overlap."""
    total = np.zeros((steps, *parts.shape[2:]))
    weight = np.zeros(steps)
    for part, start in zip(parts, starts, strict=True):
        total[start : start + len(weights)] += part * weights.reshape(-1, *[1] * (part.ndim - 1))
        weight[start : start + len(weights)] += weights
    return total / weight.reshape(-1, *[1] * (total.ndim - 1))


def pypots(y: xr.DataArray, setting: Setting, given: argparse.Namespace) -> xr.Dataset:
    """SAITS or BRITS of PyPOTS, trained on windows of the gappy file for the given minutes.

    The layers are those of the example of each in the documentation of PyPOTS, all else its defaults; the
    number of epochs is what the time is enough for. The weights are those of the epoch with the least error
    at a tenth of the values of every fifth window, which are hidden from its input.
    """
    import torch
    from pypots.imputation import BRITS, SAITS

    torch.manual_seed(0)
    began = time.monotonic()
    values = y.values.reshape(len(y), -1).astype("float32")
    known = np.flatnonzero(np.isfinite(values).any(0))
    values = values[:, known]
    mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    std[std == 0] = 1
    scaled = (values - mean) / std
    length = setting["window"]
    parts, starts = windows(scaled, length, max(length // 4, 1))
    checked = np.arange(len(parts)) % 5 == 4
    hidden = np.random.default_rng(0).random(parts[checked].shape) < 0.1
    check = {"X": np.where(hidden, np.nan, parts[checked]), "X_ori": parts[checked]}
    size = {"n_steps": length, "n_features": len(known), "device": "cpu", "verbose": False}
    layers = {"n_layers": 2, "d_model": 256, "n_heads": 4, "d_k": 64, "d_v": 64, "d_ffn": 128}
    if setting["network"] == "SAITS":
        model = SAITS(**size, **layers, dropout=0.1, epochs=1)
    else:
        model = BRITS(**size, rnn_hidden_size=128, epochs=1)
    started = time.monotonic()
    model.fit({"X": parts[~checked]}, check)
    epoch = time.monotonic() - started
    left = 60 * given.minutes - (time.monotonic() - began)
    # The network, its optimiser and the best weights so far go on from the epoch that was timed.
    model.epochs = int(left / epoch)
    if model.epochs > 0:
        model.fit({"X": parts[~checked]}, check)
    print(f"{1 + max(model.epochs, 0)} epochs of {epoch:.1f} s")
    imputed = model.impute({"X": parts})
    filled = joined(imputed, starts, np.ones(length), len(values)) * std + mean
    return laid_out(filled, known, y).to_dataset(name="estimate")


def ocean4dvarnet(y: xr.DataArray, setting: Setting, given: argparse.Namespace) -> xr.Dataset:
    """The solver of ocean4dvarnet, trained on complete years with its own loss for the given minutes.

    `--history` holds the complete years and the masks that hide them: `target` and `input`.
    """
    import pytorch_lightning as pl
    import torch
    from ocean4dvarnet.models import BaseObsCost, BilinAEPriorCost, ConvLstmGradModel, GradSolver, Lit4dVarNet
    from ocean4dvarnet.utils import cosanneal_lr_adam, get_triang_time_wei
    from torch.utils.data import DataLoader

    torch.manual_seed(0)
    days = setting["window"]
    history = xr.open_dataset(given.history).load()
    mean, std = float(history.target.mean()), float(history.target.std())
    sea = history.target.notnull().any("time").values
    inputs, targets = (
        windows(((history[name].values - mean) / std).astype("float32"), days, 1)[0]
        for name in ("input", "target")
    )
    # A sample with more than a tenth of NaN in its target is left out in training: land is the mean.
    targets = np.nan_to_num(targets)
    weight = (
        get_triang_time_wei({"time": days, "lat": sea.shape[0], "lon": sea.shape[1]}, offset=1, crop={}) * sea
    )
    solver = GradSolver(BilinAEPriorCost(days, 64), BaseObsCost(), ConvLstmGradModel(days, 96), n_step=15)
    network = Lit4dVarNet(
        solver,
        weight.astype("float32"),
        lambda module: cosanneal_lr_adam(module, lr=1e-3),
        norm_stats=(mean, std),
    )

    def batch(samples: list[int]) -> Batch:
        return Batch(input=torch.from_numpy(inputs[samples]), tgt=torch.from_numpy(targets[samples]))

    trainer = pl.Trainer(
        max_time={"minutes": given.minutes},
        max_epochs=-1,
        gradient_clip_val=0.5,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(network, DataLoader(range(len(inputs)), batch_size=4, shuffle=True, collate_fn=batch))
    print(f"{trainer.global_step} steps")
    network.eval()
    parts, starts = windows(((y.values - mean) / std).astype("float32"), days, 1)
    found = [network(Batch(torch.from_numpy(some))).detach() for some in np.split(parts, len(parts))]
    filled = joined(torch.cat(found).numpy(), starts, weight[:, sea].max(1), len(y)) * std + mean
    return y.copy(data=filled).where(sea).to_dataset(name="estimate")


PEERS = {
    "xarray": interpolate_na,
    "pyDINEOF": dineof,
    "gstools": kriging,
    "scikit-learn": gaussian_process,
    "pypots": pypots,
    "ocean4dvarnet": ocean4dvarnet,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("gappy")
    parser.add_argument("filled")
    parser.add_argument("variable")
    parser.add_argument("setting", type=json.loads)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--history")
    given = parser.parse_args()
    with xr.open_dataset(given.gappy) as ds:
        array = ds[given.variable].transpose("time", ...).load()
    out = PEERS[given.peer](array, given.setting, given)
    out.drop_attrs().astype("float32").to_netcdf(given.filled)
    print(importlib.metadata.version(given.peer))
