"""Train the shipped model: a U-Net that corrects optimal interpolation, from twenty years of truth.

    python recipes/oisst-tasman/on_top.py covariance
    python recipes/oisst-tasman/on_top.py guess FOLDER
    python recipes/oisst-tasman/on_top.py train FOLDER WEIGHTS --minutes 15
    python recipes/oisst-tasman/on_top.py write WEIGHTS MODEL
    python recipes/oisst-tasman/on_top.py calibrate MODEL NEW
    python recipes/oisst-tasman/on_top.py score WEIGHTS [--year 2011]

The model is that of `model.toml`. `covariance` fits the covariance of its first guess to each sampling, for
comparison. `guess` hides the truth of 1990-2009 several times and computes the first guesses; `train` trains
on them and chooses the weights by their errors in 2010; `write` calibrates the error bars and writes the
model file; `calibrate` calibrates those of a written file again; `score` prints the errors of weights, or of
a model file, on the cells of `measure.py`. `da4dvar train` trains the same model. Here, the error of each
sampling is divided by that of its first guess, and the weights are averaged over the steps.
"""

from __future__ import annotations

import argparse
import copy
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from measure import DATASETS, HERE, SEEDS, gappy
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from da4dvar import Interpolator, load
from da4dvar.analysis.ensemble import CalibratedEnsemble, Ensemble
from da4dvar.analysis.error_bars import calibrated
from da4dvar.baselines.fit_kernels import LEVEL, GridSearch
from da4dvar.baselines.likelihood import maximised, score
from da4dvar.baselines.optimal_interpolation import in_order
from da4dvar.baselines.places import places
from da4dvar.config.tables import Table
from da4dvar.modelfile.write import versions
from da4dvar.variational.kernels import covariance_of
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.solvers.correction import Correction
from da4dvar.workflows.recipe import Recipe

DAYS, STRIDE = 15, 3  # window, and days between windows
# Shares of the samples, and errors of optimal interpolation in degC, by which losses are made comparable.
PATTERNS = {"tracks": (0.5, 0.34), "clouds": (0.35, 0.18), "other": (0.15, 0.34)}
DRAWS = {"tracks": (1, 2, 3, 4), "clouds": (1, 2, 3, 4), "other": (1, 2)}
TAPER = np.sin(np.pi * (np.arange(DAYS) + 0.5) / DAYS).astype("float32") ** 2
# The learned solver of the paper with the same first guess, which costs about as much.
SOLVERS: dict[str, Table] = {
    "unet": {},
    "lstm": {
        "prior": {"kind": "unet", "width": 64, "downsampling": 4},
        "solver": {"kind": "lstm", "width": 64, "downsampling": 2, "iterations": 5, "state_scale": 1.0},
    },
}


def years() -> tuple[xr.Dataset, xr.Dataset]:
    """Return all years, and those of the training."""
    everything = xr.open_dataset(DATASETS / "oisst-tasman/oisst_tasman_1990_2011.nc").load()
    return everything, everything.sel(time=slice("1990", "2009"))


def recipe(network: str = "unet") -> Recipe:
    """Return the recipe of the model, or of that with another solver."""
    tables = tomllib.loads((HERE / "model.toml").read_text("utf-8"))
    return Recipe(tables | SOLVERS[network], HERE)


def untrained(network: str = "unet") -> Interpolator:
    """Return the model with the scaling of the training years."""
    history = years()[1]
    model = recipe(network).interpolator({str(d): n for d, n in history.sizes.items()})
    return model.prepare(history, history)


def fit_covariances() -> None:
    """Print the covariance of the form of the recipe that suits hidden points of 1990-2009, by sampling."""
    truth, model = years()[1], untrained()
    start = covariance_of(recipe().tables["first_guess"]["covariance"])
    place = places(truth.sst, ["lat", "lon"])
    sea = truth.sst.notnull().any("time").values.ravel()
    free = [(q, name) for q in range(3) for name in ("variance", "length", "duration")] + [(0, "nugget")]
    for pattern in ("tracks", "clouds"):
        y = model.states(sampled_for_training(truth, pattern, 1)).values.reshape(len(truth.time), -1)[:, sea]
        order = in_order(place[sea])
        search = GridSearch(y[:, order], place[sea][order], np.arange(float(len(y))), {}, 60, 0)
        scales = start.scales(LEVEL)
        search.prepare(scales)
        fitted, check = search.points(scales, [600, 1200])
        found = maximised(start, fitted, free, search.bounds, 60)
        print(pattern, f"log-likelihood of a hidden point: {score(found, check):.3f},", found.table())


def sampled_for_training(truth: xr.Dataset, pattern: str, seed: int) -> xr.Dataset:
    """Hide a year under tracks, tracks of another density, or cloud masks that are not used for testing."""
    if pattern == "other":
        density = float(np.random.default_rng(seed).uniform(0.012, 0.12))
        return gappy(truth, "tracks", seed, density=density)
    return gappy(truth, pattern, seed, windows="0:99")


def first_guess(model: Interpolator, truth: xr.Dataset, sampled: xr.Dataset) -> np.ndarray:
    """Return truth, observations, first guess and standard error, normalised, shape (4, day, lat, lon)."""
    guess = model.guess(sampled)
    error = model.guess_error(guess).sst_std.where(guess.sst.notnull())
    fields = [model.states(ds).values[0] for ds in (truth, sampled, guess)]
    return np.stack([*fields, error.values]).astype("float32")


def make_guesses(folder: Path) -> None:
    """Write the first guesses of all draws of the training years, and of one draw of 2010."""
    everything, model = years()[0], untrained()
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(p, 11, 2010) for p in ("tracks", "clouds")]
    jobs += [(p, draw, year) for p in DRAWS for draw in DRAWS[p] for year in range(1990, 2010)]
    for pattern, draw, year in jobs:
        path = folder / f"{pattern}_{draw}_{year}.npz"
        if not path.exists():
            truth = everything.sel(time=str(year))
            sampled = (
                gappy(truth, pattern, draw)
                if year == 2010
                else sampled_for_training(truth, pattern, 1000 * draw + year)
            )
            np.savez(path, a=first_guess(model, truth, sampled).astype("float16"))
            print(path.name, flush=True)


def tensors(fields: np.ndarray) -> tuple[Tensor, ...]:
    """Return truth, observations, where they are, estimate and error, 0 where missing, and the sea."""
    true, y, x, sigma = torch.from_numpy(fields.astype("float32")).unbind(1)
    return true.nan_to_num(), y.nan_to_num(), y.isfinite(), x.nan_to_num(), sigma.nan_to_num(), x.isfinite()


def once(net: VariationalModel, y: Tensor, seen: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
    """Return the estimate for windows; that of a correction with one sign of the anomalies only."""
    if isinstance(net.solver, Correction):
        return x + sigma * net.solver.step(y, seen, x, sigma)
    found: Tensor = net(y, seen, x).x.float()
    return found


def estimate(net: VariationalModel, fields: np.ndarray) -> np.ndarray:
    """Return the normalised estimate of a year, as a weighted mean over windows and over both signs."""
    days = fields.shape[1]
    starts = sorted({*range(0, days - DAYS + 1, STRIDE), days - DAYS})
    total, weight = np.zeros(fields.shape[1:]), np.zeros((days, 1, 1))
    for k in range(0, len(starts), 32):
        windows = np.stack([fields[:, s : s + DAYS] for s in starts[k : k + 32]])
        _, y, seen, x, sigma, _ = tensors(windows)
        with torch.no_grad():
            found = (once(net, y, seen, x, sigma) - once(net, -y, seen, -x, sigma)) / 2
        for s, part in zip(starts[k : k + 32], found.numpy(), strict=True):
            total[s : s + DAYS] += part * TAPER[:, None, None]
            weight[s : s + DAYS] += TAPER[:, None, None]
    return total / weight


def rmse(estimate: np.ndarray, fields: np.ndarray) -> float:
    """Return the normalised error at unobserved sea cells."""
    hidden = np.isnan(fields[1]) & np.isfinite(fields[0])
    return float(np.sqrt(np.mean(np.square(estimate - fields[0])[hidden], dtype="float64")))


def samples(folder: Path, batch: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches of windows, and the unit of the error of each in degC."""
    pools = {
        p: [np.load(folder / f"{p}_{d}_{year}.npz")["a"] for d in DRAWS[p] for year in range(1990, 2010)]
        for p in PATTERNS
    }
    names = list(pools)
    shares = [PATTERNS[p][0] for p in names]
    generator = np.random.default_rng(seed)
    while True:
        windows, units = [], []
        for number in generator.choice(len(names), batch, p=shares):
            pool = pools[names[number]]
            fields = pool[generator.integers(len(pool))]
            first = generator.integers(fields.shape[1] - DAYS + 1)
            window = fields[:, first : first + DAYS].copy()
            if generator.random() < 0.5:
                window[:3] *= -1
            windows.append(window)
            units.append(PATTERNS[names[number]][1])
        yield np.stack(windows), np.array(units, "float32")


def train(
    folder: Path, weights: Path, network: str, minutes: float, seed: int = 0, rate: float = 1.5e-3
) -> None:
    """Train with AdamW at a rate that falls to zero, and write the averaged weights that are best on 2010."""
    torch.manual_seed(seed)
    model = untrained(network)
    unit, net = model.scaling.std["sst"], model.model.to(memory_format=torch.channels_last)
    mean = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
    each_day = torch.from_numpy(0.3 + 0.7 * TAPER)[None, :, None, None]
    known = {p: np.load(folder / f"{p}_11_2010.npz")["a"].astype("float32") for p in ("tracks", "clouds")}
    # Minutes of the processor, so that trainings on a shared machine have equal cost.
    begin, told, best = time.process_time(), 0.0, np.inf
    for step, (windows, units) in enumerate(samples(folder, 32, seed)):
        done = (time.process_time() - begin) / (60 * minutes)
        if done > told or done >= 1:
            told += 0.1
            after = {p: (rmse(estimate(mean, f), f), rmse(f[2], f)) for p, f in known.items()}
            said = [f"{p} {unit * own:.4f} ({unit * first:.4f})" for p, (own, first) in after.items()]
            print(f"{step} steps, {done * minutes:.1f} min, 2010: {', '.join(said)}", flush=True)
            if (level := sum(own / first for own, first in after.values())) < best:
                best = level
                save_file({k: v.contiguous() for k, v in mean.state_dict().items()}, weights)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (1 - done)
        true, y, seen, x, sigma, sea = tensors(windows)
        with torch.autocast("cpu", torch.bfloat16):
            found = once(net, y, seen, x, sigma)
        wanted = (~seen & sea) * each_day
        error = unit * (found - true) / torch.from_numpy(units)[:, None, None, None]
        loss = (error.square() * wanted).sum() / wanted.sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        kept = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for slow, fast in zip(mean.parameters(), net.parameters(), strict=True):
                slow.lerp_(fast, 1 - kept)


def write(weights: Path, path: Path, network: str, seed: int = 0) -> None:
    """Round the weights to half precision, calibrate the error bars on 2010 and write the model file."""
    _, history = years()
    made, model = recipe(network), untrained(network)
    model.model.load_state_dict({k: v.half().float() for k, v in load_file(weights).items()})
    provenance = {
        "title": made.tables["title"],
        "recipe": made.tables,
        "data": {k: str(v) for k, v in history.attrs.items() if k in ("title", "source")},
        "seed": seed,
        "trained_by": "recipes/oisst-tasman/on_top.py",
        "finished": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "versions": versions(),
    }
    model.replaced(provenance=provenance, calibration=calibration_of(model, network, seed)).save(path)


def calibration_of(model: Interpolator, network: str, seed: int = 0) -> CalibratedEnsemble:
    """Return error bars that are calibrated on 2010, under both samplings."""
    truth = years()[0].sel(time="2010")
    pairs = [
        (model.conform(gappy(truth, pattern, 11)), model.conform(truth).data)
        for pattern in ("tracks", "clouds")
    ]
    return calibrated(model, pairs, Ensemble(**recipe(network).tables["uncertainty"]), seed)


def score_on(year: str, weights: Path, network: str) -> None:
    """Print the errors of weights and of the first guess, as `measure.py` does."""
    truth, model = years()[0].sel(time=year), untrained(network)
    state = {k: v.float() for k, v in load_file(weights).items() if not k.startswith("scaling.")}
    model.model.load_state_dict({k.removeprefix("model."): v for k, v in state.items()})
    print(f"RMSE on unobserved sea cells of {year} [degC], mean and spread over mask seeds {SEEDS}, and each")
    for pattern in ("tracks", "clouds"):
        draws = [first_guess(model, truth, gappy(truth, pattern, seed)) for seed in SEEDS]
        for name, found in {
            "first guess": lambda f: f[2],
            network: lambda f: estimate(model.model, f),
        }.items():
            errors = [model.scaling.std["sst"] * rmse(found(f), f) for f in draws]
            each = ", ".join(f"{e:.4f}" for e in errors)
            print(f"{pattern}, {name}: {np.mean(errors):.4f} ± {np.std(errors):.4f} ({each})", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, arguments in {
        "covariance": (), "guess": ("folder",), "train": ("folder", "weights"), "write": ("weights", "model"),
        "calibrate": ("model", "new"), "score": ("weights",),
    }.items():  # fmt: skip
        command = commands.add_parser(name)
        for argument in arguments:
            command.add_argument(argument, type=Path)
        if name in ("train", "write", "calibrate", "score"):
            command.add_argument("--network", choices=SOLVERS, default="unet")
    commands.choices["train"].add_argument("--minutes", type=float, default=15.0, help="of one core")
    commands.choices["score"].add_argument("--year", default="2011")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.command == "covariance":
        fit_covariances()
    elif given.command == "guess":
        make_guesses(given.folder)
    elif given.command == "train":
        train(given.folder, given.weights, given.network, given.minutes)
    elif given.command == "write":
        write(given.weights, given.model, given.network)
    elif given.command == "score":
        score_on(given.year, given.weights, given.network)
    else:
        shipped = load(given.model)
        shipped.replaced(calibration=calibration_of(shipped, given.network)).save(given.new)
