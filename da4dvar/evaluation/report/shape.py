"""Roles of the dimensions of a variable: time, space and repetitions."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from da4dvar.fields.labels.cf import IMAGE, dim_role, geographic, is_dates

# Dimensions along which something is repeated, not spread out.
REPEATED = ("series", "sample", "member", "realization", "ensemble", "batch")


@dataclass(frozen=True)
class Shape:
    """Dimensions of a variable by their role.

    Attributes
    ----------
    time : str, optional
        Name of the time dimension.
    space : tuple of str
        (y, x) of a grid, the dimension of stations or of a line, or empty.
    batch : tuple of str
        All other dimensions.
    lat, lon : str, optional
        Names of the coordinates that hold the positions of stations.
    """

    time: str | None
    space: tuple[str, ...]
    batch: tuple[str, ...]
    lat: str | None = None
    lon: str | None = None

    @classmethod
    def of(cls, array: xr.DataArray, time: str | None = None) -> Shape:
        """Find the roles by CF attributes, then by names; otherwise the last dimension but time is space."""
        dims = [str(d) for d in array.dims]
        time = time or next((d for d in dims if d in array.coords and is_dates(array[d])), None)
        time = time or next((d for d in dims if dim_role(array, d) == "T"), None)
        others = [d for d in dims if d != time]
        roles = {d: dim_role(array, d) or IMAGE.get(d.lower()) for d in others}
        y, x = (next((d for d in others if roles[d] == r), None) for r in "YX")
        lat = lon = None
        if y and x:
            space: tuple[str, ...] = (y, x)
        else:
            spread = [d for d in others if array.sizes[d] > 1 and d.lower() not in REPEATED]
            space = tuple(spread[-1:])
            along = {n: c for n, c in array.coords.items() if space and c.dims == space and n not in space}
            lat, lon = (next((str(c.name) for c in geographic(along, r)), None) for r in "YX")
        return cls(time, space, tuple(d for d in others if d not in space), lat, lon)

    @property
    def located(self) -> bool:
        """Whether the variable has stations with known positions."""
        return self.lat is not None and self.lon is not None
