"""Classical methods, one a file, each with the face of the learned one."""

from __future__ import annotations

from typing import Protocol

import xarray as xr


class Baseline(Protocol):
    """A classical method, whose settings are those it was made with."""

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        """Every variable of `ds`, with its gaps filled."""
        ...
