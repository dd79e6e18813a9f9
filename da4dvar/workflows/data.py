"""Data of a recipe, from files, a simulation or memory, and the parts into which they are split."""

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
    """Observations and truth of one part of a recipe's data.

    Parameters
    ----------
    seen : Dataset
        Observations, with NaN in the gaps; complete if gaps are drawn during training.
    truth : Dataset or None
        True values; None if only the observations are known.

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
    """One draw of the hold-out: the test and validation points, and the remaining data.

    Attributes
    ----------
    tests : dict of str to Dataset of bool
        True at the test points, one data set for each kind of hidden shape.
    without_test, test : Dataset
        The data without the test points, and the data at the test points only.
    without_both, validation : Dataset
        `without_test` without the validation points, and the data at the validation points only.
    """

    tests: dict[str, xr.Dataset]
    without_test: xr.Dataset
    test: xr.Dataset
    without_both: xr.Dataset
    validation: xr.Dataset


class RecipeData:
    """Data of a recipe, opened once when they are first needed; each part is read once.

    Parameters
    ----------
    table : dict
        Table ``[data]`` of the recipe.
    layout : Layout
        Layout of the recipe, which names the variables.
    folder : Path
        Folder to which relative paths refer.
    given : Dataset, optional
        Data in memory, used in place of the files that the table names.
    time : str
        Name of the time dimension.
    sensors : sequence of Sensor
        Sensors, if the observed variables are not those of the layout.
    buffered : bool
        Leave the training part on disk, to be read block by block.

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
                raise RecipeError(f"data: no {key!r}; give the range of that part of the data, or `hidden`")
        if given is None and ("path" in table) == ("simulate" in table):
            raise RecipeError("data: expected either `path` or `simulate`")
        if given is not None and "simulate" in table:
            raise RecipeError(
                "data: got a data set and `simulate`, expected one of them; leave `simulate` out"
            )
        if buffered and (not isinstance(table.get("path"), str) or "hidden" in table):
            raise RecipeError(
                "train: a buffer requires a `path` with one file or Zarr store, and no `hidden` points; "
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
        """The whole data set, as opened."""
        if self.given is not None:
            ds = self.given
        elif "path" in self.table:
            ds = open_below(self.folder, self.table["path"])
        else:
            ds = simulated(self.table["simulate"], "data.simulate")
        if self.buffered:
            # The samples drawn do not depend on the chunk size.
            with dask.config.set({"array.chunk-size": "16MiB"}):
                ds = ds.chunk({d: "auto" if d == self.time else -1 for d in ds.dims})
        return ds

    def part(self, name: str) -> Part:
        """Return a part of the data, in memory unless it is buffered.

        Parameters
        ----------
        name : {"train", "validation", "test"}
            Name of the part. The test part exists only if points are `hidden`: these points are its truth,
            and its observations are all the others.

        Returns
        -------
        Part

        Raises
        ------
        DataError
            If there is no such part, or one of its variables is missing.
        """
        names = ["train", "validation", *(["test"] if "hidden" in self.table else [])]
        if name not in names:
            raise DataError(f"data: unknown part {name!r}; {nearest(name, names)}")
        if name not in self._parts:
            self._parts[name] = self._by_hidden(name) if "hidden" in self.table else self._by_range(name)
        return self._parts[name]

    def tests(self) -> dict[str, xr.Dataset]:
        """Return the test points, one mask for each kind of hidden shape.

        Returns
        -------
        dict of str to Dataset of bool
            True at the points that are hidden for the test.
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
        # Training and validation share one range unless the recipe gives two; one draw then suffices.
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
        # The test points are hidden within the range of the training part.
        ranges: Table = self.table["train" if name == "test" else name]
        return ranges

    def _seen(self, ds: xr.Dataset) -> xr.Dataset:
        seen = observations(ds, self.sources, self.table.get("mask"))
        return seen.assign({n: pick(ds, n) for n in self.table.get("covariates", ())})

    def _loaded(self, ds: xr.Dataset) -> xr.Dataset:
        return loaded(ds, str(self.table.get("path", "data")))


def observations(ds: xr.Dataset, sources: Mapping[str, str], mask: str | None = None) -> xr.Dataset:
    """Return variables of a data set under the names of a recipe, with NaN where a mask is zero.

    Parameters
    ----------
    ds : Dataset
        Data with NaN in the gaps.
    sources : mapping of str to str
        Maps each name in the result to a variable of `ds`.
    mask : str, optional
        Name of a variable of `ds`, non-zero or true where there is an observation.

    Returns
    -------
    Dataset
        The renamed variables, with the attributes of `ds`.

    Raises
    ------
    DataError
        If a variable is missing, its new name is that of a coordinate, or the mask does not match it; see
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
    """Open one or more files, given relative to a folder, as one data set."""
    return open_dataset([str(folder / path) for path in ([paths] if isinstance(paths, str) else paths)])


def transplanted_masks(table: Mapping[str, Any], folder: Path) -> xr.DataArray:
    """Load the masks from which a gap pattern of kind "transplanted" draws.

    Parameters
    ----------
    table : mapping
        Table with the keys of :data:`da4dvar.workflows.tables.GAP_SOURCE`.
    folder : Path
        Folder to which relative paths refer.

    Returns
    -------
    DataArray of bool
        True where there is an observation.

    Raises
    ------
    RecipeError
        If a dimension to rename does not exist.
    """
    masks = pick(open_below(folder, table["path"]), table.get("variable", "observed"))
    try:
        masks = masks.rename(table.get("rename", {}))
    except ValueError as error:
        raise RecipeError(f"gaps.rename: {error}") from error
    masks = loaded(select(masks, table.get("select", {}), "gaps.select"), str(table["path"]))
    return masks.fillna(0) != 0


def simulated(table: Mapping[str, Any], where: str) -> xr.Dataset:
    """Simulate the twin experiment that a table describes.

    Parameters
    ----------
    table : mapping
        A key of ``da4dvar.simulate.SYSTEMS`` under ``system``, and keyword arguments of that function.
    where : str
        Name of the table, with which error messages begin.

    Returns
    -------
    Dataset
        Truth and observations.

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
    """Select ranges of a data set by label, or by position along dimensions without a coordinate.

    Both ends of a range are included.

    Parameters
    ----------
    data : Dataset or DataArray
        Data to select from.
    ranges : mapping of str to [first, last]
        Range along each dimension.
    where : str
        Name of the table, with which error messages begin.

    Returns
    -------
    Dataset or DataArray
        The selected part, of the type of `data`.

    Raises
    ------
    RecipeError
        If there is no such dimension, or a range does not consist of two valid labels.
    DataError
        If a range is empty.

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
                f"{where}: {dim} = {ends!r} does not select a part of the data ({first_line(error)})"
            ) from error
        if data.sizes[dim] == 0:
            raise DataError(f"{where}: there are no data between {ends[0]} and {ends[1]} along {dim!r}")
    return data
