"""A U-Net that corrects optimal interpolation, trained on twenty years of truth.

    python recipes/oisst-tasman/on_top.py covariance
    python recipes/oisst-tasman/on_top.py guess FOLDER
    python recipes/oisst-tasman/on_top.py train FOLDER WEIGHTS --minutes 9
    python recipes/oisst-tasman/on_top.py test WEIGHTS --year 2011

The first command fits the covariance of this file to each sampling, for comparison. The second hides
the truth of 1990-2009 several times and makes the first guesses; the third trains on them and prints
errors of 2010. The last prints the errors of the network and of its first guess at the cells of `measure.py`.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from measure import DATASETS, SEEDS, gappy
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.fit_kernels import LEVEL, Search
from da4dvar.baselines.hidden_neighbours import run_like_gaps
from da4dvar.baselines.likelihood import maximised, score
from da4dvar.baselines.optimal_interpolation import in_order
from da4dvar.baselines.places import places
from da4dvar.baselines.solve_kernels import Analysis
from da4dvar.evaluation.text import as_columns
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.kernels import Separable, SumOfSeparable
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.lstm import ConvLSTM

# One covariance for both samplings, in degC², km and days: about the mean of maximum likelihood estimates
# from hidden points of 1990-2009 under tracks and under clouds, which began elsewhere. `covariance` repeats
# both estimates from here.
COVARIANCE = SumOfSeparable(
    tuple(
        Separable(*numbers, space="matern52", time="exponential")
        for numbers in ((0.43, 560.0, 40.0), (0.223, 76.6, 6.75), (0.126, 150.0, 42.5))
    ),
    nugget=2e-4,
)
DAYS, STRIDE, UNIT = 15, 3, 0.9155  # window, days between windows, standard deviation of anomalies in degC
# Shares of the samples, and errors of optimal interpolation in degC, by which losses are made comparable.
PATTERNS = {"tracks": (0.55, 0.34), "clouds": (0.3, 0.18), "other": (0.15, 0.34)}
DRAWS = {"tracks": (1, 2), "clouds": (1,), "other": (1,)}
TAPER = np.sin(np.pi * (np.arange(DAYS) + 0.5) / DAYS).astype("float32") ** 2


class Block(nn.Sequential):
    """Two convolutions, each with group normalisation and SiLU."""

    def __init__(self, inputs: int, width: int) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, width):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
        super().__init__(*layers)


class Correction(nn.Module):
    """x̂ = x + σ N(x, (y − x) / σ, Ω, σ) for the days of a window, with a U-Net N of three levels.

    Blocks of 2 × 2 cells are folded into channels first.
    """

    def __init__(self, width: int = 64, deep: int = 80) -> None:
        super().__init__()
        self.fine, self.middle = Block(16 * DAYS, width), Block(width, deep)
        self.coarse = Block(deep, deep)
        self.middle_up, self.fine_up = Block(2 * deep, deep), Block(width + deep, width)
        self.out = nn.Conv2d(width, 4 * DAYS, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, y: Tensor, seen: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x̂ from arrays of shape (batch, day, lat, lon), which are 0 on land."""
        inputs = torch.cat([x, seen * (y - x) / sigma.clamp(min=0.05), seen.float(), sigma], 1)
        fine = self.fine(F.pixel_unshuffle(inputs, 2))
        middle = self.middle(F.avg_pool2d(fine, 2))
        coarse = self.coarse(F.avg_pool2d(middle, 2))
        middle = self.middle_up(torch.cat([middle, F.interpolate(coarse, scale_factor=2)], 1))
        fine = self.fine_up(torch.cat([fine, F.interpolate(middle, scale_factor=2)], 1))
        return x + sigma * F.pixel_shuffle(self.out(fine).float(), 2)


class LearnedSolver(nn.Module):
    """The prior and the LSTM solver of the shipped model, with 5 iterations from the first guess."""

    def __init__(self) -> None:
        super().__init__()
        boundary = ("zero", "zero")
        prior = UNet(DAYS, boundary, width=64, downsampling=4)
        solver = ConvLSTM(DAYS, boundary, width=64, downsampling=2, iterations=5)
        self.model = VariationalModel(VariationalCost(prior, learn_weights=True), solver)

    def forward(self, y: Tensor, seen: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x̂; σ is not used."""
        found: Tensor = self.model(y, seen, x).x.float()
        return found


NETWORKS = {"unet": Correction, "lstm": LearnedSolver}


def first_guess(truth: xr.Dataset, sampled: xr.Dataset, history: xr.Dataset) -> np.ndarray:
    """Return truth, observations, estimate and standard error as anomalies, shape (4, day, lat, lon)."""
    usual = Climatology(history=history).interpolate(truth.where(False)).sst
    true, y = ((ds.sst - usual).values.reshape(len(usual), -1) for ds in (truth, sampled))
    sea = np.isfinite(true).all(0)
    place, clock = places(truth.sst, ["lat", "lon"]), np.arange(float(len(usual)))
    analysis = Analysis(np.isfinite(y[:, sea]), place[sea], clock, COVARIANCE)
    out = np.full((4, *true.shape), np.nan, "float32")
    out[0], out[1] = true, y
    out[2][:, sea], out[3][:, sea] = analysis.estimate(y[:, sea]), analysis.standard_error(20)
    return out.reshape(4, *truth.sst.shape)


def fit_covariances() -> None:
    """Print the covariance of COVARIANCE's form that suits hidden points of 1990-2009, for each sampling."""
    everything = xr.open_dataset(DATASETS / "oisst-tasman/oisst_tasman_1990_2011.nc").load()
    truth = everything.sel(time=slice("1990", "2009"))
    usual = Climatology(history=truth).interpolate(truth.where(False)).sst
    place = places(truth.sst, ["lat", "lon"])
    sea = truth.sst.notnull().any("time").values.ravel()
    free = [(q, name) for q in range(3) for name in ("variance", "length", "duration")] + [(0, "nugget")]
    for pattern in ("tracks", "clouds"):
        y = (sampled_for_training(truth, pattern, 1).sst - usual).values.reshape(len(usual), -1)[:, sea]
        order = in_order(place[sea])
        search = Search(y[:, order], place[sea][order], np.arange(float(len(y))), {}, 60, 0)
        values, *where = search.parts[0]
        scales = COVARIANCE.scales(LEVEL)
        search.run = run_like_gaps(np.isfinite(values), *where, scales, search.generator)
        fitted, check = search.points(scales, [600, 1200])
        found = maximised(COVARIANCE, fitted, free, search.bounds, 60)
        print(pattern, f"log-likelihood of a hidden point: {score(found, check):.3f},", found.table())


def sampled_for_training(truth: xr.Dataset, pattern: str, seed: int) -> xr.Dataset:
    """Hide a year under tracks, tracks of another density, or cloud masks that are not used for testing."""
    if pattern == "other":
        density = float(np.random.default_rng(seed).uniform(0.012, 0.12))
        return gappy(truth, "tracks", seed, density=density)
    return gappy(truth, pattern, seed, windows="0:99")


def make_guesses(folder: Path) -> None:
    """Write the first guesses of all draws of the training years, and of one draw of 2010."""
    everything = xr.open_dataset(DATASETS / "oisst-tasman/oisst_tasman_1990_2011.nc").load()
    history = everything.sel(time=slice("1990", "2009"))
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(p, 11, 2010) for p in ("tracks", "clouds")]
    jobs += [(p, draw, year) for p in DRAWS for draw in DRAWS[p] for year in range(1990, 2010)]
    for pattern, draw, year in jobs:
        path = folder / f"g_{pattern}_{draw}_{year}.npz"
        if not path.exists():
            truth = everything.sel(time=str(year))
            sampled = (
                gappy(truth, pattern, draw)
                if year == 2010
                else sampled_for_training(truth, pattern, 1000 * draw + year)
            )
            np.savez(path, a=first_guess(truth, sampled, history).astype("float16"))
            print(path.name, flush=True)


def tensors(fields: np.ndarray) -> tuple[Tensor, ...]:
    """Return truth, observations, where they are, estimate and error, 0 where missing, and the sea."""
    true, y, x, sigma = (torch.from_numpy(fields.astype("float32")) / UNIT).unbind(1)
    return true.nan_to_num(), y.nan_to_num(), y.isfinite(), x.nan_to_num(), sigma.nan_to_num(), x.isfinite()


def estimate(net: nn.Module, fields: np.ndarray) -> np.ndarray:
    """Return the corrected estimate of a year as anomalies in degC: a weighted mean over windows.

    Changing the sign of all anomalies changes that of the correction, by a mean over both signs.
    """
    days = fields.shape[1]
    starts = sorted({*range(0, days - DAYS + 1, STRIDE), days - DAYS})
    total, weight = np.zeros(fields.shape[1:]), np.zeros((days, 1, 1))
    for k in range(0, len(starts), 32):
        windows = np.stack([fields[:, s : s + DAYS] for s in starts[k : k + 32]])
        _, y, seen, x, sigma, _ = tensors(windows)
        with torch.no_grad():
            found = (net(y, seen, x, sigma) - net(-y, seen, -x, sigma)) / 2
        for s, part in zip(starts[k : k + 32], found.numpy(), strict=True):
            total[s : s + DAYS] += UNIT * part * TAPER[:, None, None]
            weight[s : s + DAYS] += TAPER[:, None, None]
    return total / weight


def rmse(estimate: np.ndarray, fields: np.ndarray) -> float:
    """Return the error at unobserved sea cells."""
    hidden = np.isnan(fields[1]) & np.isfinite(fields[0])
    return float(np.sqrt(np.mean(np.square(estimate - fields[0])[hidden], dtype="float64")))


def samples(folder: Path, batch: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches of windows, and the unit of the error of each."""
    pools = {
        p: [np.load(folder / f"g_{p}_{d}_{year}.npz")["a"] for d in DRAWS[p] for year in range(1990, 2010)]
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
            units.append(PATTERNS[names[number]][1] / UNIT)
        yield np.stack(windows), np.array(units, "float32")


def train(
    folder: Path, weights: Path, network: str, minutes: float, seed: int = 0, rate: float = 1.5e-3
) -> None:
    """Train with AdamW at a rate that falls to zero, and write the averaged weights that are best on 2010."""
    torch.manual_seed(seed)
    net = NETWORKS[network]().to(memory_format=torch.channels_last)
    mean = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
    each_day = torch.from_numpy(0.3 + 0.7 * TAPER)[None, :, None, None]
    known = {p: np.load(folder / f"g_{p}_11_2010.npz")["a"].astype("float32") for p in ("tracks", "clouds")}
    begin, told, best = time.time(), 0.0, np.inf
    for step, (windows, units) in enumerate(samples(folder, 32, seed)):
        done = (time.time() - begin) / (60 * minutes)
        if done > told or done >= 1:
            told += 0.1
            after = {p: (rmse(estimate(mean, f), f), rmse(f[2], f)) for p, f in known.items()}
            said = ", ".join(f"{p} {own:.4f} ({first:.4f})" for p, (own, first) in after.items())
            print(f"{step} steps, {done * minutes:.1f} min, 2010: {said}", flush=True)
            if (level := sum(own / first for own, first in after.values())) < best:
                best = level
                save_file({k: v.contiguous() for k, v in mean.state_dict().items()}, weights)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (1 - done)
        true, y, seen, x, sigma, sea = tensors(windows)
        with torch.autocast("cpu", torch.bfloat16):
            found = net(y, seen, x, sigma)
        wanted = (~seen & sea) * each_day
        error = (found - true) / torch.from_numpy(units)[:, None, None, None]
        loss = (error.square() * wanted).sum() / wanted.sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        kept = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for slow, fast in zip(mean.parameters(), net.parameters(), strict=True):
                slow.lerp_(fast, 1 - kept)


def test(weights: Path, network: str, year: str) -> None:
    """Print errors at the same unobserved cells as `measure.py`."""
    everything = xr.open_dataset(DATASETS / "oisst-tasman/oisst_tasman_1990_2011.nc").load()
    history, truth = everything.sel(time=slice("1990", "2009")), everything.sel(time=year)
    net = NETWORKS[network]()
    net.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    rows: dict[str, list[str]] = {}
    for sampling in ("tracks", "clouds"):
        errors: dict[str, list[float]] = {}
        for seed in SEEDS:
            sampled = gappy(truth, sampling, seed)
            fields = first_guess(truth, sampled, history)
            for name, found in {f"{network} on top": estimate(net, fields), "first guess": fields[2]}.items():
                errors.setdefault(name, []).append(rmse(found, fields))
        for name, found in errors.items():
            rows.setdefault(name, []).append(f"{np.mean(found):.3f} ± {np.std(found):.3f}")
    print(f"RMSE on unobserved sea cells of {year} [°C], mean and spread over mask seeds {SEEDS}")
    print(as_columns([["method", "", "tracks", "clouds"], *([n, "", *r] for n, r in rows.items())]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("covariance", "guess", "train", "test"):
        command = commands.add_parser(name)
        if name in ("guess", "train"):
            command.add_argument("folder", type=Path)
        if name in ("train", "test"):
            command.add_argument("weights", type=Path)
            command.add_argument("--network", choices=NETWORKS, default="unet")
    commands.choices["train"].add_argument("--minutes", type=float, default=9.0)
    commands.choices["test"].add_argument("--year", default="2011")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.command == "covariance":
        fit_covariances()
    elif given.command == "guess":
        make_guesses(given.folder)
    elif given.command == "train":
        train(given.folder, given.weights, given.network, given.minutes)
    else:
        test(given.weights, given.network, given.year)
