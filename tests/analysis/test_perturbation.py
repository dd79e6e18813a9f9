"""Random numbers of cells, independent of chunks."""

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from da4dvar.analysis.perturbation import normal, uniform, withheld

FIELD = xr.DataArray(np.zeros((2, 30, 12, 9), "float32"), dims=("variable", "time", "lat", "lon"))


@settings(max_examples=10, deadline=None)
@given(chunks=st.fixed_dictionaries({d: st.integers(1, 9) for d in ("time", "lat", "lon")}))
def test_a_cell_has_its_number_whatever_the_chunks(chunks):
    """Noise and withheld boxes do not depend on chunks."""
    lazy = FIELD.chunk(chunks)
    boxes = {"time": 4, "lat": 3}
    for drawn, whole in (
        (normal(lazy, [1, 2]), normal(FIELD, [1, 2])),
        (withheld(lazy, [1], 0.3, boxes), withheld(FIELD, [1], 0.3, boxes)),
    ):
        assert drawn.chunks is not None
        np.testing.assert_array_equal(drawn.compute(scheduler="synchronous"), whole)


def test_the_numbers_are_what_they_claim_to_be():
    """Numbers are uniform or normal and uncorrelated; 30 % is withheld, in boxes along whole dimensions."""
    index = np.ix_(range(200), range(200))
    one, other = uniform([7, 0], index), uniform([7, 1], index)
    assert kstest(one.ravel(), "uniform").pvalue > 0.01
    assert kstest(normal(FIELD, [3]).values.ravel(), "norm").pvalue > 0.01
    for a, b in ((one, other), (one[1:], one[:-1]), (one[:, 1:], one[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02
    hidden = withheld(FIELD, [5], 0.3, {"lon": 1000})
    assert abs(float(withheld(FIELD, [5], 0.3).mean()) - 0.3) < 0.02
    whole = hidden.mean("lon").values
    assert 0 < float(hidden.mean()) < 1
    # A box may end within the dimension: two parts at most.
    assert ((np.diff(hidden.values, axis=-1) != 0).sum(-1) <= 1).all()
    assert set(np.unique(whole)) >= {0.0, 1.0}
