"""The data of a recipe, from files, a simulation or memory, and their parts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import dask
import xarray as xr

from da4dvar.config.registry import call
from da4dvar.config.tables import Table, check_table
from da4dvar.errors import DataError, RecipeError, first_line, nearest
from da4dvar.fields.files.store import loaded, open_dataset
from da4dvar.fields.gaps.holdout import Holdout, apart
from da4dvar.fields.labels.conform import observed_by, pick
from da4dvar.fields.sensors import Sensor
from da4dvar.layout import Layout
from da4dvar.simulate import SYSTEMS
from da4dvar.workflows.tables import DATA

Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)


@dataclass(frozen=True)
class Part:
    """What is seen and what is true, for one part of a recipe's data.

    Parameters
    ----------
    seen : Dataset
        NaN in the gaps; complete if gaps are to be drawn in it.
    truth : Dataset or None
        None where only observations are known.

    Examples
    --------
    >>> y = xr.Dataset({"sst": ("time", [1.0, float("nan")])})
    >>> Part(y, None).truth is None
    True
    """

    seen: xr.Dataset
    truth: xr.Dataset | None


@dataclass(frozen=True)
class HeldOut:
    """One draw of a hold-out: the points of the test, and the data with and without what is held out.

    Attributes
    ----------
    tests : dict of str to Dataset of bool
        True for the points of the test, by what they were hidden as.
    without_test, test : Dataset
    without_both, validation : Dataset
        What is left without the test, divided once more.
    """

    tests: dict[str, xr.Dataset]
    without_test: xr.Dataset
    test: xr.Dataset
    without_both: xr.Dataset
    validation: xr.Dataset


class RecipeData:
    """The data of a recipe, opened once, when they are first needed; each part is read once.

    Parameters
    ----------
    table : dict
        The table ``[data]``.
    layout : Layout
    folder : Path
        What relative paths start from.
    given : Dataset, optional
        The data in memory, in place of the files that the table names.
    time : str
        The dimension of time.
    sensors : sequence of Sensor
        What is observed, where it is not the variables of the layout.
    buffered : bool
        Leave the training part on the disk, to be read block by block.

    Raises
    ------
    RecipeError
        If a key of the table is unknown, missing or of the wrong type.

    Examples
    --------
    >>> ds = xr.Dataset({"sst": ("time", [10.0, 11.0, 12.0])})
    >>> table = {"train": {"time": [0, 1]}, "validation": {"time": [2, 2]}}
    >>> RecipeData(table, Layout(["sst"], axes=["time"]), given=ds).part("train").seen.sst.values
    array([10., 11.])
    """

    def __init__(
        self,
        table: Table,
        layout: Layout,
        folder: Path = Path(),
        given: xr.Dataset | None = None,
        time: str = "time",
        sensors: Sequence[Sensor] = (),
        buffered: bool = False,
    ) -> None:
        check_table(table, DATA, "data")
        table = dict(table)
        if "hidden" in table:
            table.setdefault("train", {})
            table.setdefault("validation", table["train"])
        for key in ("train", "validation"):
            if key not in table:
                raise RecipeError(f"data: no {key!r}; say which part of the data that is, or `hidden`")
        if given is None and ("path" in table) == ("simulate" in table):
            raise RecipeError("data: expected either `path` or `simulate`")
        if given is not None and "simulate" in table:
            raise RecipeError(
                "data: got a data set and `simulate`, expected one of them; leave `simulate` out"
            )
        if buffered and (not isinstance(table.get("path"), str) or "hidden" in table):
            raise RecipeError(
                "train: a buffer is for a `path` of one file or Zarr store, without points `hidden`; "
                "leave buffer out, or write the files to one Zarr store"
            )
        self.noise = float(table.get("noise", 0.0))
        if not 0 <= self.noise < math.inf:
            raise RecipeError(f"data: noise is {self.noise}, expected a standard deviation")
        self.holdout = call(Holdout, table.get("hidden", {}), "data.hidden")
        self.table, self.layout, self.folder, self.given = table, layout, folder, given
        self.time, self.buffered = time, buffered
        observed = table.get("observed", {})
        names = [sensor.variable for sensor in sensors] or layout.variables
        self.sources = {name: observed.get(name, name) for name in names}
        self._parts: dict[str, Part] = {}
        self._held: dict[str, HeldOut] = {}

    @cached_property
    def dataset(self) -> xr.Dataset:
        """All of the data, as they were opened."""
        if self.given is not None:
            ds = self.given
        elif "path" in self.table:
            ds = open_below(self.folder, self.table["path"])
        else:
            ds = simulated(self.table["simulate"], "data.simulate")
        if self.buffered:
            # The size of a chunk changes nothing of what is drawn.
            with dask.config.set({"array.chunk-size": "16MiB"}):
                ds = ds.chunk({d: "auto" if d == self.time else -1 for d in ds.dims})
        return ds

    def part(self, name: str) -> Part:
        """A part of the data, in memory unless it is buffered.

        Parameters
        ----------
        name : {"train", "validation", "test"}
            The test exists where points are `hidden`: it sees all others, and they are its truth.

        Returns
        -------
        Part

        Raises
        ------
        DataError
            If there is no such part, or a variable of it is missing.
        """
        names = ["train", "validation", *(["test"] if "hidden" in self.table else [])]
        if name not in names:
            raise DataError(f"data: unknown part {name!r}; {nearest(name, names)}")
        if name not in self._parts:
            self._parts[name] = self._by_hidden(name) if "hidden" in self.table else self._by_range(name)
        return self._parts[name]

    def tests(self) -> dict[str, xr.Dataset]:
        """The points kept for the test, true where hidden, by what they were hidden as.

        Returns
        -------
        dict of str to Dataset of bool
        """
        return self._held_out("train").tests

    def _by_range(self, name: str) -> Part:
        ds = self._cut(name)
        lazy = self.buffered and name == "train"
        seen = self._seen(ds) if lazy else self._loaded(self._seen(ds))
        if "truth" not in self.table:
            return Part(seen, None)
        names = self.table["truth"]
        truth = observations(ds, {n: names.get(n, n) for n in self.layout.variables})
        return Part(seen, truth if lazy else self._loaded(truth))

    def _by_hidden(self, name: str) -> Part:
        held = self._held_out(name)
        if name == "test":
            return Part(held.without_test, held.test)
        return Part(held.without_both, held.validation if name == "validation" else None)

    def _held_out(self, name: str) -> HeldOut:
        # Training and validation are of one range unless the recipe says otherwise: one draw is enough then.
        ranges = repr(self._ranges(name))
        if ranges not in self._held:
            everything = self._loaded(self._seen(self._cut(name)))
            covariates = everything.drop_vars(self.layout.variables).data_vars
            seen = everything[list(self.layout.variables)]
            tests = self.holdout.tests(seen, self.time)
            left, test = apart(seen, tests)
            rest, checked = apart(left, self.holdout.validations(left, self.time))
            self._held[ranges] = HeldOut(
                tests, left.assign(covariates), test, rest.assign(covariates), checked
            )
        return self._held[ranges]

    def _cut(self, name: str) -> xr.Dataset:
        return select(self.dataset, self._ranges(name), f"data.{name}")

    def _ranges(self, name: str) -> Table:
        # The points of the test are hidden within the range of the training.
        ranges: Table = self.table["train" if name == "test" else name]
        return ranges

    def _seen(self, ds: xr.Dataset) -> xr.Dataset:
        seen = observations(ds, self.sources, self.table.get("mask"))
        return seen.assign({n: pick(ds, n) for n in self.table.get("covariates", ())})

    def _loaded(self, ds: xr.Dataset) -> xr.Dataset:
        return loaded(ds, str(self.table.get("path", "data")))


def observations(ds: xr.Dataset, sources: Mapping[str, str], mask: str | None = None) -> xr.Dataset:
    """Variables of a data set under the names of a recipe, NaN where a mask says that nothing was observed.

    Parameters
    ----------
    ds : Dataset
    sources : mapping of str to str
        The variable of `ds` for each name.
    mask : str, optional
        A variable of `ds`, non-zero or true where there is an observation.

    Returns
    -------
    Dataset
        With the attributes of `ds`.

    Raises
    ------
    DataError
        If a variable is missing or would have the name of a coordinate, or the mask does not fit one; see
        :func:`da4dvar.fields.labels.conform.observed_by`.

    Examples
    --------
    >>> ds = xr.Dataset({"SST": ("time", [10.0, 11.0]), "good": ("time", [1, 0])})
    >>> observations(ds, {"sst": "SST"}, mask="good").sst.values
    array([10., nan])
    """
    for name, source in sources.items():
        if name in pick(ds, source).coords:
            raise DataError(f"variable {source!r} has a coordinate {name!r}; give it another name")
    seen = xr.Dataset({name: ds[source].rename(name) for name, source in sources.items()}, attrs=ds.attrs)
    if mask is None:
        return seen
    return seen.map(lambda array: array.where(observed_by(ds, mask, array)), keep_attrs=True)


def open_below(folder: Path, paths: str | Sequence[str]) -> xr.Dataset:
    """Files named relative to a folder, opened as one data set."""
    return open_dataset([str(folder / path) for path in ([paths] if isinstance(paths, str) else paths)])


def transplanted_masks(table: Mapping[str, Any], folder: Path) -> xr.DataArray:
    """The masks that a pattern of kind "transplanted" draws from, true where observed.

    Parameters
    ----------
    table : mapping
        Keys of :data:`da4dvar.workflows.tables.GAP_SOURCE`.
    folder : Path
        What relative paths start from.

    Raises
    ------
    RecipeError
        If a dimension to rename is missing.
    """
    masks = pick(open_below(folder, table["path"]), table.get("variable", "observed"))
    try:
        masks = masks.rename(table.get("rename", {}))
    except ValueError as error:
        raise RecipeError(f"gaps.rename: {error}") from error
    masks = loaded(select(masks, table.get("select", {}), "gaps.select"), str(table["path"]))
    return masks.fillna(0) != 0


def simulated(table: Mapping[str, Any], where: str) -> xr.Dataset:
    """The twin experiment that a table asks for: its `system`, and the arguments of that.

    Parameters
    ----------
    table : mapping
        A key of ``da4dvar.simulate.SYSTEMS`` under ``system``, and keyword arguments of the function there.
    where : str
        What an error says first.

    Returns
    -------
    Dataset

    Raises
    ------
    RecipeError
        If the system or an argument is unknown.

    Examples
    --------
    >>> dict(simulated({"system": "lorenz63", "series": 2, "steps": 5, "step": 0.05}, "data.simulate").sizes)
    {'series': 2, 'time': 5, 'component': 3}
    """
    arguments = dict(table)
    system = arguments.pop("system", None)
    if system not in SYSTEMS:
        raise RecipeError(f"{where}: unknown system {system!r}; {nearest(str(system), SYSTEMS)}")
    return call(SYSTEMS[system], arguments, where)


def select(data: Labelled, ranges: Mapping[str, Any], where: str) -> Labelled:
    """The part of a data set between two labels, or two positions where there are no labels.

    Both ends belong to it.

    Parameters
    ----------
    data : Dataset or DataArray
    ranges : mapping of str to [first, last]
        By dimension.
    where : str
        What an error says first.

    Returns
    -------
    Dataset or DataArray
        As `data`.

    Raises
    ------
    RecipeError
        If there is no such dimension, or a range has not two ends that are labels of it.
    DataError
        If nothing lies between them.

    Examples
    --------
    >>> x = xr.DataArray([1.0, 2.0, 3.0], {"lat": [10.0, 20.0, 30.0]}, dims="lat")
    >>> select(x, {"lat": [15.0, 30.0]}, "data.train").values
    array([2., 3.])
    """
    for dim, ends in ranges.items():
        if dim not in data.dims or not isinstance(ends, list) or len(ends) != 2:
            raise RecipeError(
                f"{where}: got {dim} = {ends!r}, expected [first, last] of one of "
                f"{', '.join(map(str, data.dims))}"
            )
        try:
            if dim in data.coords:
                data = data.sel({dim: slice(*ends)})
            else:
                data = data.isel({dim: slice(ends[0], ends[1] + 1)})
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise RecipeError(
                f"{where}: {dim} = {ends!r} is no part of the data ({first_line(error)})"
            ) from error
        if data.sizes[dim] == 0:
            raise DataError(f"{where}: nothing between {ends[0]} and {ends[1]} along {dim!r}")
    return data
