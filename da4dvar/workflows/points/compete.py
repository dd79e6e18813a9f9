"""Competition of methods for points, at tracks and platforms that are hidden from all of them."""

from __future__ import annotations

import time as clocks
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.spatial import cKDTree

from da4dvar.baselines.fit_vertical import fit_vertical
from da4dvar.baselines.optimal_interpolation import within
from da4dvar.baselines.point_interpolation import (
    FittedPoints,
    PointInterpolation,
    Scattered,
    noise_of,
    spread_out,
)
from da4dvar.baselines.vecchia import bisected
from da4dvar.config.registry import build
from da4dvar.errors import Da4dvarError, DataError, first_line, nearest
from da4dvar.fields.points.profile import Profile
from da4dvar.fields.points.record import Points
from da4dvar.progress import Progress
from da4dvar.workflows.autofit.candidates import classical
from da4dvar.workflows.autofit.character import character_of
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.comparison import Comparison, Residuals, compared
from da4dvar.workflows.candidate import Candidate
from da4dvar.workflows.points.binned import OnGrid, binned
from da4dvar.workflows.points.frame import Frame

Estimate = tuple[np.ndarray, np.ndarray | None]
AUTO, ALL, NEAREST, BINNED = "auto", "optimal_interpolation", "neighbours", "binned_"
# Fraction of the points that a trial hides, and the number of trials.
HIDDEN, MOST_TRIALS = 0.12, 4
# Fewer tracks than this are parted into groups of neighbouring points.
FEWEST_TRACKS, GROUP, FEWEST_POINTS = 4, 6, 8
# Relative standard error of the score that is sufficient.
ENOUGH = 0.05
# Share of the time after which no method for grids is tried, and no further trial begins.
GRIDS, TRIALS = 0.4, 0.5
# Values of a map up to which methods for grids take part.
LARGEST = 3_000_000
# Quantiles of the distances of the map that bound the classes of the weights, and the largest weight.
CLASSES, MOST_WEIGHT = (0.2, 0.4, 0.6, 0.8), 10.0
# Classes of the scores, in correlation lengths.
EDGES = (0.1, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class PointResiduals(Residuals):
    """Errors at the points of hidden tracks; see :class:`Residuals`. Gaps of points have no length."""

    by: ClassVar[str] = "distance to an observation, in correlation lengths"

    def classes(self) -> dict[str, np.ndarray]:
        """Return the points of each class of distances."""
        out = {}
        for low, high in zip((0.0, *EDGES), (*EDGES, np.inf), strict=True):
            name = f"{low:g}-{high:g}" if np.isfinite(high) else f"{low:g}+"
            out[name] = (self.distance >= low) & (self.distance < high)
        return {name: here for name, here in out.items() if here.sum() >= 10}


@dataclass
class Outcome:
    """Outcome of the competition for the points of a variable.

    Attributes
    ----------
    comparison : Comparison
        Scores of all methods.
    residuals : PointResiduals
        Errors at the hidden points.
    fitted : FittedPoints
        Optimal interpolation, fitted to all points.
    scales : tuple of float
        Distance and lag at which correlations have fallen to 1/e, the units of distances.
    points : Points
        Observations.
    frame : Frame
        Points and grid as numbers.
    grids : dict of str to OnGrid
        Methods for grids that took part.
    profile : Profile or None
        Mean and spread by depth, on a map with levels. `fitted` holds values standardised by it.
    """

    comparison: Comparison
    residuals: PointResiduals
    fitted: FittedPoints
    scales: tuple[float, float]
    points: Points
    frame: Frame
    grids: dict[str, OnGrid]
    profile: Profile | None


def compete(
    points: Points,
    frame: Frame,
    clock: Clock,
    *,
    method: str = AUTO,
    biases: bool = True,
    samples: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Outcome:
    """Score methods at hidden tracks and platforms, and choose the best.

    Parameters
    ----------
    points : Points
        Observations on the map.
    frame : Frame
        Points and the grid of the map as numbers.
    clock : Clock
        Time of the whole run.
    method : str
        "auto", "optimal_interpolation" (of all points), "neighbours", or "binned_" and the name of a method
        for grids.
    biases : bool
        Whether to estimate a bias for each platform that moves.
    samples : bool
        Whether samples are wanted, so that only methods with a covariance take part.
    seed : int
        Seed of the hidden tracks.
    progress : callable, optional
        Called with the number of finished trials and their largest number.

    Returns
    -------
    Outcome

    Raises
    ------
    DataError
        If the points are too few, no method can map them, or `method` has no samples.
    """
    tracks = groups_of(points, frame)
    grids, left_out = grids_for(points, frame) if method not in (ALL, NEAREST) else ({}, {})
    names = [AUTO, ALL, NEAREST, *grids]
    if method not in names:
        raise DataError(f"--method {method!r}: {nearest(method, names)}")
    if samples:
        sampled = {n: grid for n, grid in grids.items() if within(grid.candidate.method) is not None}
        if method in grids and method not in sampled:
            raise DataError(
                f"--method {method} has no samples, as it has no covariance; those with samples are "
                f"{', '.join([ALL, NEAREST, *sampled])}"
            )
        left_out |= dict.fromkeys(grids.keys() - sampled.keys(), "it has no samples")
        grids = sampled
    if method != AUTO:
        grids = {n: grid for n, grid in grids.items() if n == method}
    fitted, trials = None, Trials(tracks)
    folds = folds_of(tracks, seed)
    if frame.grid.levels is not None:
        frame = with_vertical(frame, points, tracks, ~np.isin(tracks, folds[0]), seed)
    for number, fold in enumerate(folds, 1):
        hidden = np.isin(tracks, fold)
        everything, profile = standardised(points, frame, tracks, ~hidden)
        rest, out = everything.isel(~hidden), everything.isel(hidden)
        # The covariance is that of the first trial, as fitting it takes long.
        fitted = (
            PointInterpolation(seed=seed, biases=biases).fitted(rest)
            if fitted is None
            else fitted.moved(rest)
        )
        trials.scales = fitted.covariance.scales(np.exp(-1))
        targets = out.place, out.clock, out.basis
        estimates: dict[str, Estimate] = {}
        for name in [n for n in (ALL, NEAREST) if method in (AUTO, n) and n not in left_out]:
            one = replace(fitted, method=replace(fitted.method, all_points=name == ALL))
            try:
                estimates[name] = one.at(*targets)
            except DataError as error:
                # The solve did not converge.
                left_out[name] = first_line(error)
        anomalies = replace(points.isel(~hidden), value=fitted.anomaly)
        for name in [n for n in grids if n not in left_out]:
            if method == AUTO and clock.left(GRIDS) < trials.seconds.get(name, 0.0):
                left_out[name] = "no time was left to score it"
                continue
            begin = clocks.monotonic()
            try:
                anomaly = grids[name].at(grids[name].map(anomalies), points.isel(hidden))
            except Da4dvarError as error:
                left_out[name] = first_line(error)
                continue
            estimates[name] = out.basis @ fitted.mean + anomaly, None
            trials.seconds[name] = clocks.monotonic() - begin
        scale = spread_of(profile, points)[hidden]
        trials.add(np.flatnonzero(hidden), fitted, rest, out, estimates, scale)
        if progress is not None:
            progress(number, len(folds))
        found = trials.residuals()
        if clock.left(TRIALS) < 0 or is_known(found, ALL if method == AUTO else method):
            break
    assert fitted is not None
    residuals = trials.residuals()
    if method != AUTO:
        if method not in residuals.error:
            raise DataError(f"{method} cannot map {points.name!r}: {left_out[method]}")
        residuals = replace(residuals, error={method: residuals.error[method]})
    everything, profile = standardised(points, frame, tracks, np.ones(len(points), bool))
    missing = distances_of_map(everything, frame, trials.scales)
    residuals = replace(residuals, weight=weights_like(residuals.distance, missing))
    comparison = compared(points.name, residuals, left_out, str(points.attrs.get("units", "")))
    noise = trials.noise if comparison.winner in (ALL, NEAREST) else 0.0
    beyond = float(np.mean(missing > comparison.farthest + 1e-9))
    comparison = replace(comparison, beyond=beyond, noise=noise)
    fitted = fitted.moved(everything)
    return Outcome(comparison, residuals, fitted, trials.scales, points, frame, grids, profile)


def standardised(
    points: Points, frame: Frame, tracks: np.ndarray, kept: np.ndarray
) -> tuple[Scattered, Profile | None]:
    """Return points as numbers; with levels, standardised by the profile of those that are kept."""
    if frame.grid.levels is None:
        return frame.scattered(points, tracks), None
    cycles = frame.basis_at(points)[:, 1:]
    profile = Profile.of(points.isel(kept), cycles[kept])
    return frame.scattered(profile.standardised(points, cycles), tracks), profile


def spread_of(profile: Profile | None, points: Points) -> np.ndarray:
    """Return the unit of each standardised value."""
    if profile is None or points.depth is None:
        return np.ones(len(points))
    return profile.spread_at(points.depth)


def with_vertical(frame: Frame, points: Points, tracks: np.ndarray, kept: np.ndarray, seed: int) -> Frame:
    """Return a frame whose vertical distances are those of the largest likelihood of the points kept."""
    own = standardised(points, frame, tracks, kept)[0].isel(kept)
    *horizontal, depth = own.place.T
    place, value = np.stack(horizontal, 1), own.value - own.value.mean()
    found = fit_vertical(value, place, depth, own.clock, own.track, own.noise, seed=seed)
    return replace(frame, vertical=frame.vertical * found)


class Trials:
    """Errors of all methods at the points that were hidden so far.

    Parameters
    ----------
    tracks : array of int, shape (point,)
        Number of the track of each point.
    """

    def __init__(self, tracks: np.ndarray) -> None:
        self.tracks = tracks
        self.scales = (1.0, 1.0)
        self.seconds: dict[str, float] = {}
        self._at: list[np.ndarray] = []
        self._far: list[np.ndarray] = []
        self._noise: list[np.ndarray] = []
        self._errors: dict[str, list[np.ndarray]] = {}
        self._stds: dict[str, list[np.ndarray]] = {}

    def add(
        self,
        at: np.ndarray,
        fitted: FittedPoints,
        rest: Scattered,
        hidden: Scattered,
        estimates: Mapping[str, Estimate],
        scale: np.ndarray,
    ) -> None:
        """Add a trial.

        Parameters
        ----------
        at : array of int
            Which points are hidden.
        fitted : FittedPoints
            Optimal interpolation of the others.
        rest, hidden : Scattered
            The others, and the hidden points.
        estimates : mapping of str to tuple of array
            Estimate and standard error of each method, the latter None if there is none.
        scale : array, shape (point,)
            Unit of the values of each hidden point.
        """
        # The field is estimated, not the values of a platform with a bias.
        truth = hidden.value - spread_out(fitted.bias, hidden)
        noise = noise_of(hidden, fitted.covariance, fitted.errors)
        for name, (estimate, std) in estimates.items():
            self._errors.setdefault(name, []).append(scale * (estimate - truth))
            if std is not None:
                # Hidden values have the noise of observations, which the values of a map have not.
                self._stds.setdefault(name, []).append(scale * np.sqrt(std**2 + noise))
        self._at.append(at)
        self._noise.append(scale**2 * noise)
        self._far.append(farness(rest, hidden.place, hidden.clock, self.scales))

    @property
    def noise(self) -> float:
        """Standard deviation of the errors of the hidden observations."""
        return float(np.sqrt(np.mean(np.concatenate(self._noise))))

    def residuals(self) -> PointResiduals:
        """Return the errors of the methods that took part in every trial, with equal weights."""
        number, at = len(self._at), np.concatenate(self._at)
        nothing = np.zeros(at.size, int)
        return PointResiduals(
            {n: np.concatenate(e) for n, e in self._errors.items() if len(e) == number},
            {n: np.concatenate(e) for n, e in self._stds.items() if len(e) == number},
            np.ones(at.size),
            self.tracks[at],
            nothing,
            nothing > 0,
            np.concatenate(self._far),
            nothing,
            nothing,
            nothing,
        )


def is_known(residuals: PointResiduals, method: str) -> bool:
    """Whether the error of a method is known well enough that no further trial is needed."""
    if method not in residuals.error:
        return False
    error, spread = residuals.rmse(method)
    return spread < ENOUGH * error


def groups_of(points: Points, frame: Frame) -> np.ndarray:
    """Return the number of the track of each point, or of a group of neighbours if there are few tracks."""
    tracks = points.tracks()
    if int(tracks.max(initial=0)) + 1 >= FEWEST_TRACKS:
        return tracks
    if frame.grid.levels is not None:
        # Neighbours in a cast tell each other: casts are hidden whole.
        keys = [a for n, a in points.columns().items() if n in ("time", "lat", "lon")]
        each = np.column_stack([np.unique(key, return_inverse=True)[1].reshape(-1) for key in keys])
        return np.unique(each, axis=0, return_inverse=True)[1].reshape(-1)
    numbers = frame.scattered(points, tracks)
    columns = np.column_stack([numbers.place, numbers.clock])
    columns = columns / np.where(columns.std(0) > 0, columns.std(0), 1.0)
    out = np.zeros(len(points), int)
    for number, group in enumerate(bisected(columns, GROUP)):
        out[group] = number
    return out


def folds_of(tracks: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return the tracks that are hidden in each trial, in random order; no track is hidden twice.

    Raises
    ------
    DataError
        If there are too few points to hide some.
    """
    size = np.bincount(tracks)
    if size.size < 2 or size.sum() < FEWEST_POINTS:
        raise DataError(
            f"{size.sum()} points in {size.size} groups are too few to hide some and score a map; give at "
            f"least {FEWEST_POINTS}"
        )
    order = np.random.default_rng([seed, 3]).permutation(size.size)
    # A track with more points than a trial hides has a trial of its own.
    number = np.floor((np.cumsum(size[order]) - size[order] / 2) / (HIDDEN * size.sum())).astype(int)
    folds = [order[number == k] for k in np.unique(number)]
    return folds[: max(1, min(MOST_TRIALS, len(folds) - 1))]


def grids_for(points: Points, frame: Frame) -> tuple[dict[str, OnGrid], dict[str, str]]:
    """Return the methods for grids that suit a map, and why all were left out if so."""
    grid = frame.grid
    if grid.levels is not None:
        return {}, {f"{BINNED}...": "methods for grids take no levels"}
    if grid.time is None or grid.array.sizes[grid.time] < 3:
        return {}, {}
    if any(d not in grid.array.coords for d in grid.array.dims):
        return {}, {f"{BINNED}...": "the grid has no coordinate along each dimension"}
    if grid.array.size > LARGEST:
        return {}, {f"{BINNED}...": f"a map of {grid.array.size} values is too large for methods for grids"}
    try:
        array = binned(points, grid, frame.since)
        found = classical(character_of(array, grid.time))
    except DataError as error:
        return {}, {f"{BINNED}...": first_line(error)}
    out = {}
    for one in sorted(found, key=lambda c: c.needs):
        if one.name == ALL:
            # Anomalies have no background, and cells without points are estimated as well.
            table = one.table | {"background": "zero"}
            one = Candidate(one.name, build("baseline", table), table)
        if one.name != "logarithmic":
            out[f"{BINNED}{one.name}"] = OnGrid(one, grid, frame.since)
    return out, {}


def farness(
    points: Scattered, place: np.ndarray, clock: np.ndarray, scales: tuple[float, float]
) -> np.ndarray:
    """Return the distance of targets to the nearest point, in correlation lengths."""
    own, theirs = (
        np.column_stack([p / scales[0], t / scales[1]])
        for p, t in ((points.place, points.clock), (place, clock))
    )
    out: np.ndarray = cKDTree(own).query(theirs)[0]
    return out


def distances_of_map(points: Scattered, frame: Frame, scales: tuple[float, float]) -> np.ndarray:
    """Return the distance of every value of a map to the nearest point, flattened."""
    place, clock = frame.place, frame.clock
    when, where = np.divmod(np.arange(len(clock) * len(place)), len(place))
    return farness(points, place[where], clock[when], scales)


def weights_like(hidden: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return weights with which the distances of hidden points are distributed like those of a map."""
    edges = np.unique(np.quantile(hidden, CLASSES))
    own, theirs = np.searchsorted(edges, hidden), np.searchsorted(edges, missing)
    share = np.bincount(theirs, minlength=edges.size + 1) / theirs.size
    present = np.bincount(own, minlength=edges.size + 1) / own.size
    w = (share / np.maximum(present, 1e-12))[own].clip(1 / MOST_WEIGHT, MOST_WEIGHT)
    out: np.ndarray = w / w.mean()
    return out
