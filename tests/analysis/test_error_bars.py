"""Ensembles and calibrated error bars, in Python, in model files and on the command line."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import xarray as xr
from door import ran, refused
from examples import descent_model, gappy_sst, make_sst

import da4dvar
from da4dvar.analysis.analyse import analyse
from da4dvar.analysis.ensemble import CalibratedEnsemble, Ensemble
from da4dvar.analysis.error_bars import calibration_pairs, wanted
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.evaluation.uncertainty import table_of, uncertainty_score
from da4dvar.fields.gaps.patterns import Mixture, Random
from da4dvar.outofcore.interpolate_file import interpolate_file
from da4dvar.variational.kernels import Separable, SumOfSeparable

FEW = Ensemble(members=3)
# Its covariance is not fitted, which would take most of the time.
GUESS = OptimalInterpolation(covariance=SumOfSeparable((Separable(1.0, 60.0, 3.0),), nugget=0.01))
gappy = partial(gappy_sst, part=0.35)


def model(**arguments: object) -> da4dvar.Interpolator:
    """Return a prepared model with two steps of gradient descent."""
    return descent_model(iterations=2, **arguments).prepare(gappy())


@pytest.fixture(scope="module")
def ready():
    """Return a calibrated model whose first guess has standard errors."""
    made = model(first_guess=GUESS, observation_error=0.1)
    return made.calibrate(gappy(seed=1), make_sst(20), ensemble=FEW)


def test_calibration_leaves_lazy_data_lazy(tmp_path):
    """Calibration does not load lazy data sets in place."""
    gappy(seed=1).to_netcdf(tmp_path / "seen.nc")
    truth = make_sst(20).chunk(time=7)
    with xr.open_dataset(tmp_path / "seen.nc") as seen:
        model().calibrate(seen, truth, ensemble=FEW)
        assert not seen.sst.variable._in_memory
    assert truth.sst.chunks is not None


@pytest.mark.parametrize("first_guess", [None, Linear(), GUESS])
def test_a_chunked_data_set_gives_the_same_error_bars(first_guess):
    """Lazy error bars equal those in memory, with any kind of first guess."""
    made = model(first_guess=first_guess, observation_error=0.1)
    made.calibrate(gappy(seed=1), make_sst(20), ensemble=FEW)
    expected = made.interpolate(gappy(), interval=[0.9], batch_size=3)
    lazy = made.interpolate(gappy().chunk(time=7, lat=4), interval=[0.9])
    for name in ("sst_std", "sst_lower_90", "sst_upper_90"):
        assert lazy[name].chunks is not None
        found = lazy[name].compute(scheduler="synchronous")
        np.testing.assert_allclose(found, expected[name], atol=1e-3)


def test_the_seed_is_all_that_the_spread_depends_on(ready):
    """The spread depends only on the seed, the estimate not at all; progress includes all members."""
    calibration = ready.calibration
    # As if the spread were all that tells of the error, which of so small a sea it hardly does.
    spread_alone = {n: replace(c, floor=0.0, spread=1.0) for n, c in calibration.variables.items()}
    ready = ready.replaced(calibration=replace(calibration, variables=spread_alone))
    one, again, other = (ready.interpolate(gappy(), members=2, seed=s).sst_std for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert float(abs(one - other).max()) > 1e-4
    told: list[tuple[int, int]] = []
    filled = ready.interpolate(gappy(), members=2, progress=lambda done, of: told.append((done, of)))
    assert (told, told[-1][0]) == (sorted(told), told[-1][1])
    xr.testing.assert_equal(filled.sst, ready.interpolate(gappy()).sst)


def test_error_bars_have_labels(ready):
    """Error bars have units, names and the dims of the variable, and are NaN only where it is."""
    ds = gappy()
    ds["sst"] = ds.sst.astype("float64")
    filled = ready.interpolate(ds.transpose("lon", "time", "lat"), interval=[0.9, 0.975])
    names = ["sst_std", "sst_lower_90", "sst_upper_90", "sst_lower_97_5", "sst_upper_97_5"]
    for name in names:
        assert (filled[name].dims, filled[name].dtype) == (("lon", "time", "lat"), "float64")
        assert filled[name].attrs["units"] == "degC"
        assert not filled[name].encoding
        assert (filled[name].isnull() == (filled.sst_flag == 2)).all()
    assert filled.sst_lower_90.attrs["long_name"] == "lower end of the 90 % interval of sst"
    known = filled.sst.notnull().values
    ordered = [filled[n].values[known] for n in ("sst_lower_90", "sst", "sst_upper_90", "sst_upper_97_5")]
    assert (np.diff(ordered, axis=0) > 0).all()
    assert "sst_std" not in ready.interpolate(ds)


def test_intervals_cover_what_they_say():
    """Intervals cover other hidden points of a noisy sea as stated."""
    generator = np.random.default_rng(0)
    pairs = []
    for _ in range(2):
        truth = make_sst(40)
        truth["sst"] = truth.sst + 0.5 * generator.standard_normal(truth.sst.shape).astype("float32")
        pairs.append((truth.where(generator.random(truth.sst.shape) < 0.35), truth))
    made = model(first_guess=Linear()).calibrate(*pairs[0], ensemble=FEW)
    ds, true = pairs[1]
    filled = made.interpolate(ds, interval=[0.5, 0.9])
    hidden = (true.sst.notnull() & ds.sst.isnull()).values
    score = uncertainty_score(filled, "sst", true.sst, hidden)
    assert 0.87 <= score.covered[0.9] <= 0.93
    assert 0.45 <= score.covered[0.5] <= 0.55
    assert score.spread_skill == pytest.approx(1, abs=0.1)


def test_a_window_without_observations_has_a_standard_error(ready):
    """Without observations, standard errors are there, and not smaller."""
    ds = gappy(40)
    ds["sst"][8:30] = np.nan
    filled = ready.interpolate(ds, members=2)
    assert (filled.sst_std.isnull() == filled.sst.isnull()).all()
    assert float(filled.sst_std[19].mean()) >= float(filled.sst_std[2].mean())


def test_observations_that_cannot_be_seen_spread_the_members():
    """Members differ only if something is withheld or perturbed."""
    conformed = (made := model(first_guess=GUESS)).conform(gappy())

    def size(plan: Ensemble, interpolator: da4dvar.Interpolator = made) -> float:
        return float(analyse(interpolator, conformed, ensemble=plan).parts.spread.sst.max())

    still = Ensemble(members=2, withheld=0.0, start=0.0)
    assert size(still) == 0
    assert size(Ensemble(members=2, withheld=0.3, start=0.0)) > 0
    assert size(Ensemble(members=2, withheld=0.0, start=0.5)) > 0
    assert size(still, model(first_guess=GUESS, observation_error=0.2)) > 0


def test_a_calibration_is_part_of_the_file(ready, tmp_path):
    """A loaded model has the same calibration, and None without one."""
    ready.save(tmp_path / "m.safetensors")
    loaded = da4dvar.load(tmp_path / "m.safetensors")
    assert loaded.calibration == ready.calibration
    found, expected = (made.interpolate(gappy(), interval=[0.9]) for made in (loaded, ready))
    xr.testing.assert_allclose(found, expected)
    assert CalibratedEnsemble.from_dict(None) is None
    assert da4dvar.load("lorenz96").calibration is None


def test_without_a_calibration_the_spread_is_raw_and_said_to_be():
    """Without calibration, standard errors come with a warning, and intervals are refused."""
    with pytest.warns(Da4dvarWarning, match="no calibration") as told:
        assert "sst_std" in da4dvar.interpolate(gappy(), model(), members=2)
    assert told[0].filename == __file__
    with pytest.raises(DataError, match=r"no calibration.*da4dvar calibrate"):
        model().interpolate(gappy(), interval=[0.9])


def test_what_cannot_be_asked_for(ready):
    """Unsupported levels, a truth on other cells or without hidden points, and empty boxes are refused."""
    with pytest.raises(DataError, match=r"supports only levels from 0\.05 to 0\.99"):
        ready.interpolate(gappy(), interval=[0.999])
    with pytest.raises(DataError, match="not on the same cells"):
        ready.calibrate(gappy(), make_sst(30))
    with pytest.raises(DataError, match="'sst': 0 points"):
        ready.calibrate(gappy(), gappy())
    with pytest.raises(DataError, match="boxes of 0 cells"):
        Ensemble(block={"time": 0})


def test_one_interval_needs_no_list(ready, tmp_path):
    """A single level gives the result of a list, also for files and commands; text is refused."""
    ds = gappy()
    expected = ready.interpolate(ds, interval=(0.9,)).drop_attrs()
    xr.testing.assert_identical(da4dvar.interpolate(ds, ready, interval=0.9).drop_attrs(), expected)
    ds.to_netcdf(tmp_path / "gappy.nc")
    interpolate_file(tmp_path / "gappy.nc", tmp_path / "filled.nc", ready, interval=0.9)
    ready.save(tmp_path / "m.safetensors")
    ran(
        *["interpolate", "gappy.nc", "again.nc", "--model", "m.safetensors", "--interval", "0.9"],
        cwd=tmp_path,
    )
    with xr.open_dataset(tmp_path / "filled.nc") as one, xr.open_dataset(tmp_path / "again.nc") as other:
        xr.testing.assert_equal(one.sst_lower_90, other.sst_lower_90)
    with pytest.raises(DataError, match=r"interval: got 'all', expected numbers"):
        ready.interpolate(ds, interval="all")


def test_something_is_hidden_to_calibrate_by():
    """Validation pairs have drawn gaps, own gap shapes, or existing hidden points."""
    complete, observed = make_sst(20), gappy()
    drawn = calibration_pairs(complete, complete, Mixture([Random(0.2), Random(0.6)]), "time", 0)
    seen = [float(part.sst.notnull().mean()) for part, _ in drawn]
    assert seen == sorted(seen)
    assert len(seen) == 2
    ((part, points),) = calibration_pairs(observed, None, None, "time", 0)
    assert not (part.sst.notnull() & points.sst.notnull()).any()
    assert calibration_pairs(observed, complete, None, "time", 0) == [(observed, complete)]


def test_baselines_are_scored_beside(ready):
    """Baselines with standard errors are scored, best first; others are left out."""
    ds, truth = gappy(), make_sst(20).sst
    hidden = (truth.notnull() & ds.sst.isnull()).values
    assert uncertainty_score(Linear().interpolate(ds), "sst", truth, hidden) is None
    exact = ready.interpolate(ds, interval=[0.5, 0.9])
    exact["sst"] = truth
    filled = {"guess": GUESS.interpolate(ds).assign(sst=truth + 1.0), "exact": exact}
    scores = {m: {"sst, all": uncertainty_score(f, "sst", truth, hidden)} for m, f in filled.items()}
    lines = table_of(scores).splitlines()
    assert lines[0].split()[-1] == "spread/skill"
    assert lines[1].startswith("exact")
    assert lines[2].startswith("guess")


@pytest.mark.parametrize(("words", "message"), [
    ("interpolate in.nc out.nc --model m.safetensors --interval 1.5", "above 0 and below 1"),
    ("interpolate in.nc out.nc --model m.safetensors --interval 0.9", "no calibration"),
    ("interpolate in.nc out.nc --interval 7", "above 0 and below 1"),
    ("calibrate m.safetensors in.nc in.nc -o out.nc", "'sst': 0 points"),
    ("calibrate m.safetensors in.nc in.nc -o m.safetensors", "already exists"),
    ("calibrate m.safetensors in.nc in.nc -o out.nc --withheld 2", "fraction withheld is 2"),
])  # fmt: skip
def test_mistakes_on_the_command_line(words, message, tmp_path):
    """The message states the mistake, and no output is written."""
    model().save(tmp_path / "m.safetensors")
    gappy().to_netcdf(tmp_path / "in.nc")
    assert message in refused(*words.split(), cwd=tmp_path)


def test_the_usual_number_of_members_is_that_of_the_calibration():
    """The default is that of the calibration or of an ensemble; a number alone asks for standard errors."""
    known = CalibratedEnsemble(FEW, {})
    assert wanted(known, True, None, ()) == FEW
    assert wanted(None, True, None, ()) == Ensemble()
    assert wanted(known, False, None, ()) is None
    assert wanted(known, False, 5, ()) == replace(FEW, members=5)
    with pytest.raises(DataError, match="an ensemble of 0 has no spread"):
        wanted(known, False, 0, ())
