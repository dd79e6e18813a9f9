"""A case, the place where it is tried, and what every answer has in common.

A case is right if its files come back as their owner may expect: observed values to the bit with flag 0,
every other value with a flag, nothing else of the file changed or missing, and no attribute that points to
nothing. It is also right if the command says in one line why it does not fill, and leaves no file behind.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr
from door import Said, ran, refused

POINTERS = ("bounds", "grid_mapping", "coordinates")


@dataclass(frozen=True)
class Place:
    """A folder with the files of a case, and the minutes that a fit may take."""

    folder: Path
    minutes: float = 0.05

    def read(self, *names: str) -> xr.Dataset:
        """Read a file, or several that are joined; times stay numbers if xarray cannot decode them."""
        read = [self._read(n) for n in names]
        return read[0] if len(read) == 1 else xr.combine_by_coords(read, combine_attrs="override")

    def _read(self, name: str) -> xr.Dataset:
        path = self.folder / name
        # What xarray finds strange in these files is not what is tested.
        with warnings.catch_warnings(action="ignore"):
            if path.is_dir():
                return xr.open_zarr(path, consolidated=False, decode_timedelta=False).load()
            try:
                with xr.open_dataset(path, engine="netcdf4", decode_timedelta=False) as ds:
                    return ds.load()
            except ValueError:
                with xr.open_dataset(path, engine="netcdf4", decode_times=False) as ds:
                    return ds.load()

    def files(self, pattern: str) -> list[str]:
        """Names of the files that match a pattern, in order."""
        return sorted(path.name for path in self.folder.glob(pattern))

    def refuses(self, *arguments: object, saying: Sequence[str] = ()) -> str:
        """Return the one line with which a command refuses; it has these words."""
        line = refused(*arguments, cwd=self.folder)
        for word in saying:
            assert re.search(word, line, re.IGNORECASE), f"the line does not say {word!r}: {line}"
        return line


@dataclass(frozen=True)
class Case:
    """One shape of trouble.

    Parameters
    ----------
    number : int
        Number in the collection of shapes.
    title : str
        What the file is.
    kind : str
        Letters of the kinds of trouble that it is of; empty for a file that was never a trouble.
    build : callable
        Writes the files of the case into a folder.
    right : callable
        Asserts the right answer in a place with those files, and returns the outcome in words.
    originals : str
        Files of the case as they were collected: "gappy.nc" is 06.nc of case 6, and "float.nc" 06_float.nc;
        "gappy.nc=real/x.nc" is another; a name may be a pattern. Empty if none was kept.
    """

    number: int
    title: str
    kind: str
    build: Callable[[Path], object]
    right: Callable[[Place], str]
    originals: str = "gappy.nc truth.nc"

    def collect(self, collection: Path, made: Path, folder: Path) -> None:
        """Copy the files as they were collected into a folder, under the names that the case has for them."""
        for entry in self.originals.split():
            name, _, source = entry.partition("=")
            prefix = f"{self.number:02d}_"
            source = source or (f"{self.number:02d}.nc" if name == "gappy.nc" else prefix + name)
            found = sorted((collection if source.startswith("real/") else made).glob(source))
            assert found, f"{source} is not in {made}"
            for path in found:
                target = folder / (name if "*" not in name else path.name.removeprefix(prefix))
                (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target)


@dataclass(frozen=True)
class Filled:
    """A file before and after, and what the command said."""

    before: xr.Dataset
    after: xr.Dataset
    said: Said
    outcome: str

    def notes(self, *words: str) -> None:
        """Assert that a line on stderr has a word, for each word."""
        for word in words:
            assert re.search(word, self.said.err, re.IGNORECASE), f"no line says {word!r}: {self.said.err!r}"


def fill(
    place: Place,
    *fields: str,
    source: str | Sequence[str] = "gappy.nc",
    truth: str = "truth.nc",
    options: Sequence[object] = (),
    baseline: str | None = None,
    output: str = "filled.nc",
    gap: Callable[[xr.DataArray], xr.DataArray] | None = None,
    before: xr.Dataset | None = None,
    within: float | None = 0.6,
    exact: bool = True,
    whole: bool = True,
    added: Sequence[str] = (),
) -> Filled:
    """Fill a file, and assert what is right of every filled file.

    Parameters
    ----------
    fields
        Variables that are filled; every other variable must come back as it was.
    source
        Input, or several.
    truth
        File with the complete fields.
    options
        Further options of the command.
    baseline
        Method of `da4dvar baseline`, which is then the command in place of `da4dvar interpolate`.
    output
        File to write.
    gap
        What is a gap in a field as xarray reads it; NaN if not given.
    before
        The input as a data set, if it is not as xarray reads it.
    within
        Bound on the root mean square error in the gaps, as a part of the standard deviation of the truth.
    exact
        Whether observed values come back to the bit.
    whole
        Whether every gap where there is a truth must be filled.
    added
        Variables of the input that the output may have in another form.
    """
    sources = [source] if isinstance(source, str) else list(source)
    verb = (
        ["interpolate", "--minutes", place.minutes]
        if baseline is None
        else ["baseline", "--method", baseline]
    )
    said = ran(verb[0], *sources, output, *verb[1:], "--overwrite", *options, cwd=place.folder)
    assert not re.search(r"\.py:\d+|Warning:|Traceback", said.err), f"noise of Python: {said.err!r}"
    before = place.read(*sources) if before is None else before
    after = place.read(output)
    if (place.folder / output).is_file():
        pointed(place.folder / output)
    carried(before, after, [*fields, *added])
    known = place.read(truth) if within is not None else None
    worst = 0.0
    for name in fields:
        seen = before[name].notnull() if gap is None else ~gap(before[name])
        there = aligned(after, before)
        kept(before[name], there[name], seen, exact)
        flagged(after, name, seen)
        if known is not None:
            worst = max(worst, error(known[name], there[name], seen, whole))
    assert within is None or worst < within, (
        f"error in the gaps {worst:.2f} of the spread, expected < {within}"
    )
    return Filled(before, after, said, "filled" + (f", error {worst:.2f} of the spread" if worst else ""))


def aligned(after: xr.Dataset, before: xr.Dataset) -> xr.Dataset:
    """The output at the labels of the input, which are fewer if times were inserted."""
    for dim, size in before.sizes.items():
        if after.sizes.get(dim, size) != size:
            after = after.sel({dim: before[dim]})
    return after


def kept(before: xr.DataArray, after: xr.DataArray, seen: xr.DataArray, exact: bool) -> None:
    """Assert that observed values came back to the bit."""
    old = before.values[seen.values]
    new = after.transpose(*before.dims).values[seen.values].astype(old.dtype)
    if exact:
        changed = int((old != new).sum())
        assert not changed, f"{before.name}: {changed} of {old.size} observed values changed"


def flagged(after: xr.Dataset, name: str, seen: xr.DataArray) -> None:
    """Assert that every value has a flag: 0 observed, 1 or 3 estimated, 2 not estimable and NaN."""
    assert f"{name}_flag" in after, f"{name} has no flag"
    flag, value = after[f"{name}_flag"], after[name]
    extra = {dim: seen[dim] for dim in seen.dims if after.sizes[dim] != seen.sizes[dim]}
    here = flag.sel(extra).transpose(*seen.dims).values
    assert (here[seen.values] == 0).all(), f"{name}: an observed value has another flag than 0"
    assert np.isin(here[~seen.values], (1, 2, 3)).all(), (
        f"{name}: flags in gaps are {np.unique(here[~seen.values])}"
    )
    assert (value.isnull() == (flag == 2)).all(), f"{name}: NaN and flag 2 do not go together"


def error(truth: xr.DataArray, after: xr.DataArray, seen: xr.DataArray, whole: bool) -> float:
    """Root mean square error in the gaps, as a part of the standard deviation of the truth."""
    true, found = truth.values, after.transpose(*truth.dims).values
    hidden = ~seen.transpose(*truth.dims).values & np.isfinite(true)
    missing = int(np.isnan(found[hidden]).sum())
    assert not (whole and missing), f"{truth.name}: {missing} of {hidden.sum()} gaps are not filled"
    off = (found - true)[hidden & np.isfinite(found)]
    return float(np.sqrt(np.mean(off**2)) / true[np.isfinite(true)].std()) if off.size else 0.0


def carried(before: xr.Dataset, after: xr.Dataset, filled: Sequence[str]) -> None:
    """Assert that everything else of the input is in the output, unchanged."""
    lost = [str(name) for name in before.variables if name not in after.variables]
    assert not lost, f"dropped: {', '.join(lost)}"
    here = aligned(after, before)
    for name in before.variables:
        if name not in filled:
            old, new = before[name].variable, here[name].variable
            assert old.dims == new.dims, f"{name}: dimensions {old.dims} became {new.dims}"
            same = old.equals(new) or (old.astype(str).values == new.astype(str).values).all()
            assert same, f"{name}, which is no field to fill, was changed"


def pointed(path: Path) -> None:
    """Assert that no attribute names a variable that the file has not."""
    with netCDF4.Dataset(path) as file:
        for variable in file.variables.values():
            for attribute in POINTERS:
                words = str(getattr(variable, attribute, "")).replace(":", " ").split()
                lost = [word for word in words if word not in file.variables]
                assert not lost, f"{variable.name}: {attribute} names {lost}, which the file has not"
