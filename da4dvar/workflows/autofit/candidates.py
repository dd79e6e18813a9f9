"""Methods that may fill a variable: classical ones and shipped models."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import xarray as xr

from da4dvar.api import load
from da4dvar.baselines.climatology import Climatology
from da4dvar.config.kinds import by_name, class_of
from da4dvar.config.registry import arguments_of, build
from da4dvar.config.tables import Table
from da4dvar.errors import Da4dvarError, DataError, RecipeError, warn
from da4dvar.fields.labels.conform import conform
from da4dvar.fields.labels.signature import Signature
from da4dvar.modelfile import shipped
from da4dvar.modelfile.header import read_shapes
from da4dvar.workflows.autofit.character import Character
from da4dvar.workflows.candidate import Candidate, Learned, Together

# Smallest correlation of the anomalies with which a variable helps another, and the number of such variables.
CORRELATED, MOST_OTHERS = 0.4, 3
# It is observed in more than this fraction of the gaps; otherwise there is next to nothing to gain.
OBSERVED = 0.1


def classical(character: Character) -> list[Candidate]:
    """Return the classical methods that suit a variable.

    These are the methods whose attribute `suits` includes the number of space dimensions. For a skewed
    variable that is never negative, ``logarithmic`` is added. A method of another package that cannot be
    imported is left out, with a warning, and so is one that needs an extra which is not installed.

    Parameters
    ----------
    character : Character
        Character of the variable.

    Returns
    -------
    list of Candidate
    """
    tables: dict[str, Table] = {}
    for kind in by_name("baseline"):
        try:
            cls = class_of("baseline", kind)
        except RecipeError as error:  # a class of another package; those of this one can be imported
            warn(f"{error}; it is not compared with the other methods")
            continue
        if len(character.space) not in getattr(cls, "suits", ()):
            continue
        if hasattr(cls, "needs") and find_spec(cls.needs) is None:
            warn(f"{kind} is not compared: it needs {cls.needs}; pip install 'da4dvar[{cls.needs}]'")
            continue
        tables[kind] = {"kind": kind}
        if "time" in arguments_of(cls):
            tables[kind]["time"] = character.time
    if character.offset is not None:
        best = {0: "kalman", 1: "gaussian_em"}.get(len(character.space), "optimal_interpolation")
        method = tables.get(best, tables["optimal_interpolation"])
        tables["logarithmic"] = {"kind": "logarithmic", "offset": character.offset, "method": method}
    return [Candidate(name, build("baseline", table), table) for name, table in tables.items()]


def together(ds: xr.Dataset, name: str, character: Character, others: Sequence[str]) -> list[Candidate]:
    """Return the joint Gaussian of a variable and of others at the same stations.

    Others are variables with the same dimensions whose anomalies have a correlation of at least 0.4 with
    those of the variable, three at most, and that are observed in a tenth of its gaps. If the variable has an
    offset in its character, its logarithm is taken. The others are used as they are.

    Parameters
    ----------
    ds : Dataset
        Data with NaN in the gaps.
    name : str
        Variable to fill.
    character : Character
        Its character.
    others : sequence of str
        Variables that may help.

    Returns
    -------
    list of Candidate
        Empty without such others, and for a variable that is lazy or not one of stations.
    """
    array = ds[name]
    alike = [n for n in others if n != name and set(ds[n].dims) == set(array.dims)]
    if array.chunks is not None or array.ndim != 2 or len(character.space) != 1 or not alike:
        return []
    gaps = array.isnull()
    alike = [n for n in alike if float((ds[n].notnull() & gaps).sum()) > OBSERVED * float(gaps.sum())]
    own = _anomalies(array, character.time)
    found = {n: abs(float(xr.corr(own, _anomalies(ds[n], character.time)))) for n in alike}
    helpful = sorted((n for n in alike if found[n] >= CORRELATED), key=lambda n: -found[n])[:MOST_OTHERS]
    if not helpful:
        return []
    kind, table = "gaussian_em_together", {"kind": "gaussian_em", "time": character.time, "together": True}
    if character.offset is not None:
        logarithm = {"kind": "logarithmic", "offset": character.offset, "variables": [name]}
        kind, table = "logarithmic_together", {**logarithm, "method": table}
    return [Together(kind, build("baseline", table), table, others=tuple(helpful))]


def _anomalies(array: xr.DataArray, time: str) -> xr.DataArray:
    """Return the anomalies in standard deviations of each station."""
    found = array - Climatology(time).interpolate(array.to_dataset())[str(array.name)]
    spread = found.std(time)
    return found / spread.where(spread > 0)


def models_for(array: xr.DataArray, device: str = "auto") -> list[Candidate]:
    """Return the shipped models that fit a variable: its name or standard name, time step and place.

    Parameters
    ----------
    array : DataArray
        Variable with NaN in the gaps.
    device : {"auto", "cpu", "cuda"}
        Where the windows of a model are solved.

    Returns
    -------
    list of Candidate
    """
    found: list[Candidate] = []
    for name in shipped.names():
        # The header tells what a model fills and where, without torch.
        header = read_shapes(shipped.find(name))[0]
        signature = Signature.from_dict(header["signature"])
        if len(signature.variables) != 1 or any(header.get(k) for k in ("sensors", "covariates", "derived")):
            continue
        (own, attrs), *_ = signature.variables.items()
        theirs = {str(array.name), str(array.attrs.get("standard_name"))}
        if not theirs & {own, attrs.get("standard_name", own)}:
            continue
        try:
            conform(array.to_dataset(), signature, {own: str(array.name)})
        except Da4dvarError:
            continue
        found.append(Learned(name, load(name), {}, device))
    return found


def mean_of(first: Candidate, second: Candidate) -> Candidate:
    """Return the mean of two classical methods."""
    if not (first.table and second.table):
        raise DataError(f"a mean of {first.name} and {second.name} needs two classical methods")
    table = {"kind": "combination", "methods": [first.table, second.table]}
    method: Any = build("baseline", table)
    return Candidate(f"mean of {first.name} and {second.name}", method, table)
