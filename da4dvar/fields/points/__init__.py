"""Observations at points that lie on no grid: reading, checking, and the grids they are mapped to."""

from da4dvar.fields.points.geometries import from_dataset
from da4dvar.fields.points.record import Points
from da4dvar.fields.points.tables import from_csv, from_frame

__all__ = ["Points", "from_csv", "from_dataset", "from_frame"]
