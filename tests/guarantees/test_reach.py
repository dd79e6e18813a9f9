"""An observation affects the windows that contain it and nothing else."""

import numpy as np
import xarray as xr
from guarantees.small import LOCAL, data, model, often, parts, promise, seeds
from hypothesis import given
from hypothesis import strategies as st

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.linear import Linear
from da4dvar.fields.windows.grid import WindowGrid

pytestmark = promise


def reach(kind: str, ds: xr.Dataset, cell: dict[str, int]) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the cells that share a window with a cell, and those windows, as arrays of bool."""
    layout = model(kind).layout
    batch = [str(d) for d in ds.sst.dims if d not in layout.dims]
    sizes, own = [ds.sizes[d] for d in batch], tuple(cell[d] for d in batch)
    grid = WindowGrid.of(layout, {str(d): n for d, n in ds.sizes.items()})
    cells, windows = np.zeros((*sizes, *grid.sizes), bool), np.zeros((*sizes, *grid.shape), bool)
    for number in grid:
        mesh = grid.cells(number)
        if all(cell[d] in axis for d, axis in zip(layout.dims, mesh, strict=True)):
            cells[own][mesh] = True
            windows[(*own, *number)] = True
    named = xr.DataArray(cells, dims=(*batch, *layout.dims))
    return named, xr.DataArray(windows, dims=(*batch, *(f"window_{d}" for d in layout.dims)))


@often
@given(
    kind=st.sampled_from(LOCAL), seed=seeds, part=parts, days=st.integers(12, 20),
    batch_size=st.sampled_from([1, 5, 16]), place=st.data(),
)  # fmt: skip
def test_an_observation_more_or_less_changes_its_windows_only(kind, seed, part, days, batch_size, place):
    """Elsewhere bits are kept (batch size 1), or values to rounding."""
    ds = data(kind, days, seed, part)
    cell = {str(d): place.draw(st.integers(0, n - 1), label=str(d)) for d, n in ds.sst.sizes.items()}
    # The north-west corner is land, which the model with a climatology does not estimate.
    if kind != "stations":
        cell["lat"] = max(2, cell["lat"])
    value = ds.sst.isel(cell)
    after = ds.assign(sst=ds.sst.copy())
    after.sst[cell] = np.float32(18.5) if np.isnan(value) else np.float32(np.nan)
    if not after.sst.notnull().any():
        return
    first, second = (model(kind).interpolate(d, batch_size=batch_size) for d in (ds, after))
    cells, windows = reach(kind, ds, cell)
    rounding = 0 if batch_size == 1 else 1e-5
    for name in ("sst", "sst_flag", "prior_term", "observation_term"):
        mask = windows if name.endswith("term") else cells
        one, other = (found[name].transpose(*mask.dims).values[~mask.values] for found in (first, second))
        np.testing.assert_allclose(other, one, rtol=rounding, atol=rounding, err_msg=name)
    inside = [found.sst.transpose(*cells.dims).values[cells.values] for found in (first, second)]
    assert not np.array_equal(*inside, equal_nan=True)


def neighbours(seen: np.ndarray, time: int) -> slice:
    """Return the steps between the previous and the next observation, excluding both."""
    known = np.flatnonzero(seen)
    before, after = known[known < time], known[known > time]
    return slice(before[-1] + 1 if before.size else 0, after[0] if after.size else seen.size)


@often
@given(seed=seeds, part=parts, time=st.integers(0, 13), lat=st.integers(0, 8), lon=st.integers(0, 7))
def test_classical_methods_that_act_on_a_cell_change_that_cell_only(seed, part, time, lat, lon):
    """Linear changes between two observations, climatology in its cell."""
    ds = data("learned", seed=seed, part=part)[["sst"]]
    after = ds.copy(deep=True)
    after.sst[time, lat, lon] = 18.5
    seen = ds.sst.isel(lat=lat, lon=lon).notnull().values
    for method, reached in ((Linear(), neighbours(seen, time)), (Climatology(), slice(None))):
        first, second = (method.interpolate(d).sst.values for d in (ds, after))
        first[reached, lat, lon] = second[reached, lat, lon] = 0
        np.testing.assert_array_equal(second, first)
