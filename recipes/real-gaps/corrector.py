"""Correct optimal interpolation by a network that never saw the data set: is anything gained?

    python recipes/real-gaps/corrector.py gather FOLDER [--sla FILE]
    python recipes/real-gaps/corrector.py test FOLDER [--sets simulated] [--alternatives] [--minutes 1]

`gather` hides a part of every data set whose truth is known, and of simulated fields with fronts, eddies,
drift and mixtures of regimes, fits optimal interpolation to the rest and writes truth, observations,
estimate and standard error in units of the fitted covariance. `test` leaves one data set out after the
other, trains a U-Net on the others and prints the errors on the set that was left out. The years and points
of the recipes' tests are not looked at.
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from da4dvar.baselines.draws import frequencies
from da4dvar.baselines.optimal_interpolation import Frame, OptimalInterpolation
from da4dvar.baselines.solve_kernels import Analysis
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.gaps.patterns import Blocks, Tracks, Transplanted
from da4dvar.variational.convolution import Convolution, cropped, whole_blocks
from da4dvar.variational.kernels import SumOfSeparable
from da4dvar.variational.priors.unet import fold, unfold
from da4dvar.variational.solvers.correction import Block

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "datasets"
# Factors of all lengths and durations of the alternative estimates.
FACTORS = ((0.6, 1.0), (1.0, 0.6))
STEPS = 7  # of a window
# Cells and steps after which half of the variance is left, in the resolution that the network sees.
SCALE = 5.0
KINDS = ("gaussian", "drift", "fronts", "eddies", "regimes")
SIMULATED = "simulated"


@dataclass(frozen=True)
class Case:
    """Observations, truth, and where the estimate is scored; the set that is left out as a whole, the row."""

    group: str
    row: str
    seen: xr.DataArray
    truth: np.ndarray
    scored: np.ndarray
    scores: bool = True
    history: xr.Dataset | None = None
    like: str = ""  # the covariance is that fitted to the first case of this name


def clouds(windows: slice) -> Transplanted:
    """Real cloud masks, some windows of them."""
    masks = xr.open_dataset(DATA / "cloud-masks/cloud_masks_32.nc").observed.isel(window=windows)
    return Transplanted(masks.rename(day="time", y="lat", x="lon") != 0, flip=True)


def hidden(truth: xr.DataArray, seen: np.ndarray) -> tuple[xr.DataArray, np.ndarray, np.ndarray]:
    """Return observations, truth, and where there is a truth and no observation."""
    return truth.where(seen), truth.values, ~seen & np.isfinite(truth.values)


def oisst() -> Iterator[Case]:
    """Years of temperature under tracks and clouds; 2010 is scored, 2011 is not used."""
    everything = xr.open_dataset(DATA / "oisst-tasman/oisst_tasman_1990_2011.nc").load()
    history = everything.sel(time=slice("1990", "2009")).rename(sst="field")
    for pattern, draw, other in (
        ("tracks", Tracks(0.035), Tracks(0.035)),
        ("clouds", clouds(slice(100, 136)), clouds(slice(0, 100))),
    ):
        for year in (2010, 1992, 1997):
            truth = everything.sst.sel(time=str(year))
            sizes = {str(d): n for d, n in truth.sizes.items()}
            mask = (draw if year == 2010 else other).draw(np.random.default_rng(year), sizes)
            name = f"oisst, {pattern}"
            yield Case("oisst", name, *hidden(truth, mask), year == 2010, history, name)


def era5() -> Iterator[Case]:
    """A month of hours under other clouds than those of the recipe, whose test points are not scored."""
    truth = xr.open_dataset(DATA / "era5-t2m-uk/era5_t2m_uk_2019_03.nc").t2m.load()
    tested = xr.open_dataset(HERE / "era5_clouds.nc").seen.values == 0
    generator = np.random.default_rng(8)
    days = clouds(slice(None)).draw(generator, {"time": 120, "lat": 32, "lon": 32})
    each = np.repeat(np.arange(120), generator.integers(4, 13, 120))[: truth.sizes["time"]]
    rows, columns = (np.arange(truth.sizes[d]) * 32 // truth.sizes[d] for d in ("lat", "lon"))
    seen, values, unseen = hidden(truth, days[np.ix_(each, rows, columns)])
    yield Case("era5", "era5", seen, values, unseen & ~tested, like="era5")


def modis() -> Iterator[Case]:
    """Vegetation index under mirrored masks; points under the mask itself are not scored."""
    ds = xr.open_dataset(DATA / "modis-ndvi-alaska/modis_ndvi_alaska.nc").load()
    for name in ("mask40", "mask20"):
        seen, values, unseen = hidden(ds.ndvi, ds[name].values[:, ::-1, ::-1] != 0)
        yield Case(
            "modis", "modis", seen, values, unseen & (ds[name].values != 0), name == "mask40", like=name
        )


def alboran() -> Iterator[Case]:
    """Ten days of temperature; the clouds of the last day hide the first, and so on."""
    sst = xr.open_dataset(DATA / "alboran-sst/alboranSST_small.nc").SST.load()
    for number, (rows, columns) in enumerate(((70, 60), (70, 170))):
        truth = sst.isel(lat=slice(rows, rows + 80), lon=slice(columns, columns + 90))
        seen = np.isfinite(truth.values)[::-1]
        yield Case("alboran", "alboran", *hidden(truth, seen), like=f"alboran {number}")


def sea_level(path: Path) -> Iterator[Case]:
    """Sea level along tracks with noise, and along other tracks."""
    ds = xr.open_dataset(path).load()
    for seed in (0, 1):
        seen = ds.sla
        if seed:
            sizes = {"time": ds.sizes["time"], "lat": ds.sizes["latitude"], "lon": ds.sizes["longitude"]}
            generator = np.random.default_rng(seed)
            noisy = ds.sla_true + 0.02 * generator.standard_normal(ds.sla.shape)
            seen = noisy.where(Tracks(0.027).draw(generator, sizes))
        unseen = seen.isnull().values & ds.sla_true.notnull().values
        yield Case("sea level", "sea level", seen, ds.sla_true.values, unseen, seed == 0, like="sea level")


def waves(generator: np.random.Generator, grid: tuple[np.ndarray, np.ndarray], drift: float) -> np.ndarray:
    """Return a random field of unit variance, shape (time, cell), that is carried along with a velocity."""
    clock, place = grid
    length, duration = generator.uniform(3, 12), np.exp(generator.uniform(np.log(2), np.log(20)))
    form = str(generator.choice(["matern32", "matern52", "gaussian"]))
    along = frequencies(form, 2, generator) / length
    velocity = drift * generator.standard_normal(2)
    beats = frequencies("matern32", 1, generator)[:, 0] / duration - along @ velocity
    a, b = generator.standard_normal((2, len(beats))) / np.sqrt(len(beats))
    inner, phase = np.outer(clock, beats), along @ place.T
    even, odd = a * np.cos(inner) + b * np.sin(inner), b * np.cos(inner) - a * np.sin(inner)
    field: np.ndarray = even @ np.cos(phase) + odd @ np.sin(phase)
    return field


def simulated(number: int) -> Iterator[Case]:
    """Fields with features that a Gaussian lacks, under gaps of all kinds, with noise."""
    place = np.stack(np.meshgrid(np.arange(32.0), np.arange(32.0), indexing="ij"), -1).reshape(-1, 2)
    clock = np.arange(60.0)
    for seed in range(number):
        generator = np.random.default_rng([11, seed])
        kind = KINDS[seed % len(KINDS)]
        drift = 0.0 if kind == "gaussian" else generator.uniform(0, 1.0)
        field = waves(generator, (clock, place), drift)
        if kind == "fronts":
            field = np.tanh(generator.uniform(1, 4) * field) + 0.3 * waves(generator, (clock, place), drift)
        elif kind == "eddies":
            field = 0.5 * field
            for _ in range(40):
                radius, born = generator.uniform(1.5, 5), generator.uniform(-10, 60)
                path = np.outer(clock - born, 0.3 * generator.standard_normal(2)) + generator.uniform(
                    0, 32, 2
                )
                near = np.square(path[:, None] - place).sum(-1) / radius**2
                age = np.square((clock - born) / generator.uniform(5, 20))
                field = field + 2 * generator.choice([-1, 1]) * np.exp(-near / 2 - age[:, None])
        elif kind == "regimes":
            share = 1 / (1 + np.exp(-3 * waves(generator, (clock / 3, place / 2), 0.0)))
            field = share * field + (1 - share) * generator.uniform(0.1, 1) * waves(
                generator, (clock, place), drift
            )
        truth = xr.DataArray(
            (field / field.std()).reshape(60, 32, 32), dims=("time", "lat", "lon"), name="field"
        )
        patterns = (
            Tracks(generator.uniform(0.02, 0.12)),
            clouds(slice(0, 100)),
            Blocks(generator.uniform(0.2, 0.6), {"time": 4, "lat": 10, "lon": 10}),
        )
        mask = patterns[seed % 3].draw(generator, {"time": 60, "lat": 32, "lon": 32})
        seen, values, unseen = hidden(truth, np.asarray(mask))
        noise = generator.choice([0.0, 0.05, 0.2]) * generator.standard_normal(truth.shape)
        yield Case(SIMULATED, kind, seen + noise, values, unseen, like=f"{SIMULATED} {seed}")


def analysed(case: Case, covariances: dict[str, OptimalInterpolation]) -> dict[str, Any]:
    """Return truth, observations, estimate, its error and alternatives in units of the fitted covariance."""
    if case.like not in covariances:
        start = OptimalInterpolation(history=case.history, space=[str(d) for d in case.seen.dims[1:]])
        covariances[case.like] = start.fitted(case.seen.to_dataset(name="field"))
    method, array = covariances[case.like], case.seen.rename("field")
    frame = method._frame(array)
    shape = array.transpose(*frame.core).shape
    y = array.transpose(*frame.core).values.reshape(len(frame.clock), -1).astype("float64")
    problem = method._problem(y, frame)
    assert problem.covariance is not None

    def solve(covariance: SumOfSeparable, error: bool) -> list[np.ndarray]:
        place = frame.place[problem.cells]
        analysis = Analysis(
            np.isfinite(problem.anomaly), place, frame.clock, covariance, problem.grid, method.iterations
        )
        found = [analysis.estimate(problem.anomaly)] + ([analysis.standard_error(20)] if error else [])
        out = np.full((len(found), *y.shape), np.nan)
        out[:, :, problem.cells] = found
        out[:, :, ~problem.known] = np.nan
        return [field.reshape(shape) for field in out]

    background, size = problem.background.reshape(shape), problem.size
    x, error = solve(problem.covariance, True)
    others = [solve(scaled(problem.covariance, *factors), False)[0] - x for factors in FACTORS]
    truth = case.seen.copy(data=case.truth).transpose(*frame.core).values
    observed = (y.reshape(shape) - background) / size
    fields = np.stack([(truth - background) / size, observed, x, error, *others])
    scored = case.seen.copy(data=case.scored).transpose(*frame.core).values & np.isfinite(x)
    stride = strides(frame, problem.covariance)
    return {"fields": fields.astype("float32"), "scored": scored, "stride": stride}


def scaled(covariance: SumOfSeparable, length: float, duration: float) -> SumOfSeparable:
    """Return a covariance with other scales."""
    terms = (replace(t, length=t.length * length, duration=t.duration * duration) for t in covariance.terms)
    return SumOfSeparable(tuple(terms), covariance.nugget)


def strides(frame: Frame, covariance: SumOfSeparable) -> np.ndarray:
    """Return the number of steps, rows and columns that the network sees as one, so that scales are alike."""
    distance, lag = covariance.scales(0.5)
    place = frame.place.reshape(*frame.shape, -1)
    row, column = (float(np.linalg.norm(np.diff(place, axis=a), axis=-1).mean()) for a in (0, 1))
    steps = np.array([lag / np.median(np.diff(frame.clock)), distance / row, distance / column])
    return np.clip(np.round(steps / SCALE), 1, [6, 4, 4]).astype(int)


def gather(folder: Path, sla: Path | None, number: int) -> None:
    """Write all cases."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [oisst(), alboran(), modis(), *([sea_level(sla)] if sla else []), simulated(number), era5()]
    covariances: dict[str, OptimalInterpolation] = {}
    for source in sources:
        for count, case in enumerate(source):
            path = folder / f"{case.group}_{count:02d}.npz"
            if path.exists():
                continue
            begin = time.process_time()
            found = analysed(case, covariances)
            np.savez(path, **found, row=case.row, group=case.group, scores=case.scores)
            fields, scored = found["fields"], found["scored"]
            error = fields[2] - fields[0]
            print(
                f"{path.stem}: {case.row}, {fields.shape[1:]}, stride {found['stride']}, "
                f"RMSE / std {np.sqrt(np.mean(error[scored] ** 2)):.3f}, "
                f"error / standard error {np.sqrt(np.mean((error / fields[3])[scored] ** 2)):.2f}, "
                f"{time.process_time() - begin:.0f} s",
                flush=True,
            )


class Corrector(nn.Module):
    """Odd U-Net of two levels, which corrects all steps of a window in units of the standard error."""

    def __init__(self, inputs: int, width: int = 32, coarse_width: int = 48) -> None:
        super().__init__()
        zero = ("zero", "zero")
        self.fine = Block(4 * STEPS * inputs, width, zero)
        self.coarse = Block(width, coarse_width, zero)
        self.up = Block(width + coarse_width, width, zero)
        self.out = Convolution(width, 4 * STEPS, 1, zero)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, odd: Tensor, even: Tensor) -> Tensor:
        """Return the correction for fields that change sign with the anomalies, and others."""
        return (self.one_sign(odd, even) - self.one_sign(-odd, even)) / 2

    def one_sign(self, odd: Tensor, even: Tensor) -> Tensor:
        """Return the correction before it is made odd."""
        inputs = torch.cat([odd, even], 1).flatten(1, 2)
        fine = self.fine(fold(whole_blocks(inputs, [4, 4]), [2, 2]))
        coarse = F.interpolate(self.coarse(F.avg_pool2d(fine, 2)), scale_factor=2)
        found = unfold(self.out(self.up(torch.cat([fine, coarse], 1))).float(), [2, 2])
        return cropped(found, inputs.shape[2:])


@dataclass(frozen=True)
class Piece:
    """A case as tensors; weight divides its squared errors by that of the estimate, in units of σ²."""

    group: str
    row: str
    scores: bool
    odd: Tensor  # estimate, scaled innovations, alternatives: (field, time, *space)
    even: Tensor  # mask, standard error, sea
    wrong: Tensor  # truth minus estimate, and where it is known and unobserved
    scored: Tensor
    weight: float
    stride: tuple[int, int, int]


def piece(path: Path, alternatives: bool) -> Piece:
    """Read a case."""
    with np.load(path) as file:
        truth, y, x, error, *others = torch.from_numpy(file["fields"])
        scored, stride = torch.from_numpy(file["scored"]), tuple(int(n) for n in file["stride"])
        group, row, scores = str(file["group"]), str(file["row"]), bool(file["scores"])
    seen, sea = y.isfinite(), x.isfinite()
    innovation = (y - x).nan_to_num()
    innovation = innovation / innovation[seen].square().mean().sqrt()
    error = error.nan_to_num()
    relative = [(other / error.clamp(min=0.05)).nan_to_num().clamp(-5, 5) for other in others]
    odd = [x.nan_to_num(), innovation.clamp(-5, 5), *(relative if alternatives else [])]
    unseen = ~seen & sea & truth.isfinite()
    wrong = torch.where(unseen, truth - x, 0.0)
    even = [seen.float(), error, sea.float()]
    weight = 1 / float(wrong[unseen].square().mean())
    return Piece(
        group, row, scores, torch.stack(odd), torch.stack(even), torch.stack([wrong, unseen.float()]),
        scored, weight, (stride[0], stride[1], stride[2]),
    )  # fmt: skip


def window(fields: Tensor, at: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Return the window whose first step is `at`, with its phase of the rows and columns."""
    time = slice(at[0], at[0] + STEPS * stride[0], stride[0])
    return fields[:, time, at[1] :: stride[1], at[2] :: stride[2]]


def batches(pieces: list[Piece], size: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield windows of 32 by 32 cells: half of them simulated, the others from each data set alike."""
    generator = np.random.default_rng(seed)
    groups = sorted({p.group for p in pieces})
    share = [0.5 if g == SIMULATED else 0.5 / max(1, len(groups) - 1) for g in groups]
    while True:
        made: list[list[Tensor]] = [[], [], [], []]
        for group in generator.choice(groups, size, p=np.divide(share, sum(share))):
            own = [p for p in pieces if p.group == group]
            one = own[generator.integers(len(own))]
            length = one.odd.shape[1] - one.stride[0] * (STEPS - 1)
            many = (max(one.stride[0], length), *one.stride[1:])
            first, row, column = (int(generator.integers(n)) for n in many)
            at = (first, row, column)
            parts = [window(f, at, one.stride) for f in (one.odd, one.even, one.wrong)]
            corner = [int(generator.integers(max(1, n - 31))) for n in parts[0].shape[2:]]
            flips = [a for a in (2, 3) if generator.random() < 0.5]
            turn = generator.random() < 0.5
            for k, part in enumerate(parts):
                cut = part[:, :, corner[0] : corner[0] + 32, corner[1] : corner[1] + 32].flip(flips)
                cut = F.pad(cut, (0, 32 - cut.shape[3], 0, 32 - cut.shape[2], 0, STEPS - cut.shape[1]))
                made[k].append(cut.transpose(2, 3) if turn else cut)
            made[3].append(torch.tensor(one.weight))
        yield tuple(torch.stack(m) for m in made)


def trained(pieces: list[Piece], minutes: float, seed: int = 0, rate: float = 2e-3) -> Corrector:
    """Return a network that was trained on some cases, with averaged weights."""
    torch.manual_seed(seed)
    net = Corrector(len(pieces[0].odd) + len(pieces[0].even))
    mean = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
    begin, level = time.process_time(), []
    for step, (odd, even, wrong, weight) in enumerate(batches(pieces, 24, seed)):
        done = (time.process_time() - begin) / (60 * minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (1 - done)
        with torch.autocast("cpu", torch.bfloat16):
            found = net.one_sign(odd, even)
        error = (even[:, 1] * found - wrong[:, 0]).square() * weight[:, None, None, None]
        loss = (error * wrong[:, 1]).sum() / wrong[:, 1].sum().clamp(min=1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        level.append(float(loss.detach()))
        kept = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for slow, fast in zip(mean.parameters(), net.parameters(), strict=True):
                slow.lerp_(fast, 1 - kept)
    last = np.mean(level[-len(level) // 5 :])
    print(f"  {len(level)} steps, loss of the last fifth {last:.3f}", flush=True)
    return mean


def corrected(net: Corrector, one: Piece) -> Tensor:
    """Return the correction of a whole case, as a weighted mean over windows."""
    total, weight = torch.zeros(one.odd.shape[1:]), torch.zeros(one.odd.shape[1])
    taper = torch.sin(torch.pi * (torch.arange(STEPS) + 0.5) / STEPS) ** 2
    skip, last = one.stride[0], one.odd.shape[1] - (STEPS - 1) * one.stride[0]
    # Every third window of each phase of the steps, and the last.
    starts = [t for t in range(max(skip, last)) if (t // skip) % 3 == 0 or t >= last - skip]
    for start in starts:
        for row, column in np.ndindex(one.stride[1], one.stride[2]):
            at = (start, row, column)
            odd, even = (window(f, at, one.stride) for f in (one.odd, one.even))
            short = STEPS - odd.shape[1]
            odd, even = (F.pad(f, (0, 0, 0, 0, 0, short))[None] for f in (odd, even))
            with torch.no_grad():
                found = net(odd, even)[0] * even[0, 1] * taper[:, None, None]
            window(total[None], at, one.stride)[0].add_(found[: STEPS - short])
        weight[start : start + STEPS * skip : skip] += taper[: STEPS - short]
    return total / weight[:, None, None]


def test(folder: Path, sets: str, alternatives: bool, minutes: float, only: list[str]) -> None:
    """Print the error on each set that a network has not seen."""
    pieces = [piece(path, alternatives) for path in sorted(folder.glob("*.npz"))]
    rows = [["left out", "points", "RMSE / std", "corrected", "with the best fraction", "fraction"]]
    net = None
    for group in sorted({p.group for p in pieces} - {SIMULATED}):
        if only and group not in only:
            continue
        if sets == "all" or net is None:
            usable = {SIMULATED} if sets == SIMULATED else {p.group for p in pieces} - {group}
            net = trained([p for p in pieces if p.group in usable], minutes)
        for one in (p for p in pieces if p.group == group and p.scores):
            correction, wrong = (f[one.scored].double() for f in (corrected(net, one), one.wrong[0]))
            level = wrong.square().mean()
            best = float((correction * wrong).mean() / correction.square().mean())
            left = [(wrong - part * correction).square().mean() / level for part in (1.0, best)]
            numbers = [f"{100 * (float(share) ** 0.5 - 1):+.2f} %" for share in left]
            rows.append([one.row, str(len(wrong)), f"{float(level.sqrt()):.4f}", *numbers, f"{best:.2f}"])
            print("  ", *rows[-1], flush=True)
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("gather", "test"):
        commands.add_parser(name).add_argument("folder", type=Path)
    commands.choices["gather"].add_argument("--sla", type=Path)
    commands.choices["gather"].add_argument("--simulated", type=int, default=20)
    commands.choices["test"].add_argument("--sets", choices=["all", SIMULATED], default="all")
    commands.choices["test"].add_argument("--alternatives", action="store_true")
    commands.choices["test"].add_argument("--minutes", type=float, default=1.0, help="of a training")
    commands.choices["test"].add_argument("--only", action="append", default=[], help="left-out set")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if given.command == "gather":
        gather(given.folder, given.sla, given.simulated)
    else:
        test(given.folder, given.sets, given.alternatives, given.minutes, given.only)
