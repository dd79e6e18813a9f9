"""Signature of the training data of a model: names, units, roles and spacings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import xarray as xr

from da4dvar.errors import DataError, nearest
from da4dvar.fields.labels.cf import axis_role, is_dates, spacing, standard_name, uneven

KEPT_ATTRIBUTES = ("units", "standard_name", "long_name")


@dataclass(frozen=True)
class Dimension:
    """A dimension of the training data.

    Attributes
    ----------
    role : str, optional
        CF axis: T, Z, Y or X.
    standard_name : str, optional
        CF standard name of the coordinate.
    spacing : float, optional
        Signed step of the coordinate, in its own units; in seconds for dates.
    dates : bool
        Whether the coordinate holds dates.
    size : int, optional
        Length, if the model requires exactly this one.
    """

    role: str | None = None
    standard_name: str | None = None
    spacing: float | None = None
    dates: bool = False
    size: int | None = None


@dataclass(frozen=True)
class Signature:
    """Attributes of variables and covariates, and properties of dimensions, by name."""

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
        """Return the signature of a data set, with the sizes of the dimensions in `fixed`.

        Raises
        ------
        DataError
            If the variables lack one of `dims`.
        """
        described, there = {}, ds[list(variables)].dims
        for dim in dims:
            if dim not in there:
                known = nearest(dim, map(str, there))
                raise DataError(f"variable {variables[0]!r} has no dimension {dim!r} of the layout; {known}")
            coordinate = ds[dim] if dim in ds.coords else None
            described[dim] = Dimension(
                role=None if coordinate is None else axis_role(coordinate),
                standard_name=None if coordinate is None else standard_name(coordinate),
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
        """Return plain tables, for the header of a model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Self:
        """Create a signature from the result of :meth:`to_dict`."""
        dims = {name: Dimension(**entry) for name, entry in table["dims"].items()}
        return cls(table["variables"], dims, table.get("covariates", {}))
