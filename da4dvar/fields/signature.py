"""What a model knows of the data it was trained on: names, units, roles and spacings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, nearest

KEPT_ATTRIBUTES = ("units", "standard_name", "long_name")
ROLES_BY_NAME = {"time": "T", "latitude": "Y", "longitude": "X"}
ROLES_BY_UNITS = {
    f"{degree}{direction}": role
    for degree in ("degree", "degrees")
    for role, directions in {"Y": ("_north", "_N", "N"), "X": ("_east", "_E", "E")}.items()
    for direction in directions
}


@dataclass(frozen=True)
class Dimension:
    """A dimension of the training data.

    Attributes
    ----------
    role : str, optional
        CF axis: T, Z, Y or X.
    standard_name : str, optional
    spacing : float, optional
        Signed step of the coordinate, in its own units; in seconds for dates.
    dates : bool
        Whether the coordinate holds dates.
    size : int, optional
        Its length, where a model cannot do with another.
    """

    role: str | None = None
    standard_name: str | None = None
    spacing: float | None = None
    dates: bool = False
    size: int | None = None


@dataclass(frozen=True)
class Signature:
    """Variables and covariates with their attributes, and dimensions, by name."""

    variables: dict[str, dict[str, str]]
    dims: dict[str, Dimension]
    covariates: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        ds: xr.Dataset,
        variables: Sequence[str],
        dims: Sequence[str],
        fixed: Sequence[str],
        covariates: Sequence[str] = (),
    ) -> Self:
        """The signature of a data set; the sizes of the dimensions in `fixed` belong to it.

        Raises
        ------
        DataError
            If the variables have no such dimension.
        """
        described, there = {}, ds[list(variables)].dims
        for dim in dims:
            if dim not in there:
                known = nearest(dim, map(str, there))
                raise DataError(f"variable {variables[0]!r} has no dimension {dim!r} of the layout; {known}")
            coordinate = ds[dim] if dim in ds.coords else None
            described[dim] = Dimension(
                role=None if coordinate is None else axis_role(coordinate),
                standard_name=None if coordinate is None else name_of(coordinate),
                spacing=None if coordinate is None or uneven(coordinate) else spacing(coordinate),
                dates=coordinate is not None and is_dates(coordinate),
                size=ds.sizes[dim] if dim in fixed else None,
            )
        kept = {
            name: {k: str(ds[name].attrs[k]) for k in KEPT_ATTRIBUTES if k in ds[name].attrs}
            for name in (*variables, *covariates)
        }
        return cls({n: kept[n] for n in variables}, described, {n: kept[n] for n in covariates})

    def to_dict(self) -> dict[str, Any]:
        """Plain tables, for the header of a model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        dims = {name: Dimension(**entry) for name, entry in table["dims"].items()}
        return cls(table["variables"], dims, table.get("covariates", {}))


def name_of(coordinate: xr.DataArray) -> str | None:
    """The standard name of a coordinate, if it has one."""
    name = coordinate.attrs.get("standard_name")
    return None if name is None else str(name)


def axis_role(coordinate: xr.DataArray) -> str | None:
    """The CF axis of a coordinate, by its ``axis``, ``standard_name``, units or dates."""
    attrs = coordinate.attrs
    if str(attrs.get("axis")) in ("T", "Z", "Y", "X"):
        return str(attrs["axis"])
    if is_dates(coordinate):
        return "T"
    by_name = ROLES_BY_NAME.get(str(attrs.get("standard_name")))
    return by_name or ROLES_BY_UNITS.get(str(attrs.get("units")))


def is_dates(coordinate: xr.DataArray) -> bool:
    """Whether a coordinate holds dates, of any calendar."""
    if coordinate.dtype.kind == "M":
        return True
    first = coordinate.values.flat[0] if coordinate.dtype == object and coordinate.size else None
    return hasattr(first, "calendar")


def steps(coordinate: xr.DataArray) -> np.ndarray | None:
    """Differences of a coordinate, in seconds for dates; nothing if it holds no numbers."""
    values = coordinate.values
    if values.dtype.kind == "M":
        return np.diff(values) / np.timedelta64(1, "s")
    if is_dates(coordinate):
        return np.array([(b - a).total_seconds() for a, b in itertools.pairwise(values)])
    return np.diff(values.astype("float64")) if values.dtype.kind in "iuf" else None


def uneven(coordinate: xr.DataArray) -> bool:
    """Whether steps differ by more than a tenth, as where winters are left out: no step is expected then."""
    differences = steps(coordinate)
    if differences is None or not differences.size:
        return False
    usual = np.median(differences)
    return bool(np.abs(differences - usual).max() > 0.1 * abs(usual))


def spacing(coordinate: xr.DataArray) -> float | None:
    """The usual step of a coordinate, signed."""
    differences = steps(coordinate)
    return None if differences is None or not differences.size else float(np.median(differences))
