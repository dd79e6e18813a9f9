"""Numbers out of bounds are refused where they are given, with what was got and what was expected."""

from typing import Any

import numpy as np
import pytest
from baselines.test_eof_interpolation import wave
from examples import make_sst, tiny_interpolator
from guarantees.classical import still

from da4dvar.analysis.ensemble import Ensemble
from da4dvar.baselines.eof_interpolation import EofInterpolation
from da4dvar.baselines.eof_iteration import EofIteration
from da4dvar.baselines.gaussian_em import GaussianEM
from da4dvar.baselines.kalman import Kalman
from da4dvar.baselines.letks import LETKS
from da4dvar.baselines.nearest_stations import NearestStations
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.baselines.window_gaussian import WindowGaussian
from da4dvar.errors import Da4dvarError
from da4dvar.simulate import lorenz63, lorenz96
from da4dvar.training.plan import Training
from da4dvar.workflows.twin import hide

NAN = float("nan")
LETKS_OF = {"dynamics": still, "step": 1.0, "observation_error": 0.5}


def interpolate(**options: Any) -> object:
    """A model at work."""
    return tiny_interpolator().prepare(make_sst(400)).interpolate(make_sst(8), **options)


def hidden(**options: Any) -> object:
    """A field with gaps."""
    return hide(make_sst(8), "random", **options)


CASES: list[tuple[Any, dict[str, Any], list[tuple[str, Any, str]]]] = [
    (EofInterpolation, {"history": wave()}, [(n, 0, "more than 0") for n in ("days", "modes", "error")]),
    (EofIteration, {}, [(n, 0, "more than 0") for n in ("modes", "most", "tolerance", "iterations")]),
    (EofIteration, {}, [("harmonics", -1, "more than -1"), ("hidden", 0.0, "fraction"), ("hidden", 0.6, "")]),
    (GaussianEM, {}, [(n, -1, "0 or more") for n in ("lags", "memory", "harmonics", "steps", "seed")]),
    (GaussianEM, {}, [("prior", 0.0, "more than 0"), ("most", 1, "2 or more"), ("hidden", 0.6, "fraction")]),
    (WindowGaussian, {}, [("steps", -1, "0 or more"), ("seed", -1, "0 or more"), ("cycle", 0, "1 or more")]),
    (WindowGaussian, {"cycle": 24}, [("window", 23, "one cycle of 24"), ("prior", 0.0, "more than 0")]),
    (WindowGaussian, {}, [("window", 0, "cycle of 1"), ("phase_prior", NAN, "more"), ("freedom", 0, "more")]),
    (Kalman, {}, [(n, -1, "0 or more") for n in ("order", "harmonics", "iterations")]),
    (Kalman, {}, [("fitted", 9, "10 or more")]),
    (EofIteration, {}, [("smoothing", -1.0, "0 or more")]),
    (LETKS, LETKS_OF, [("step", 0.0, "more than 0"), ("observation_error", -1.0, "more than 0")]),
    (LETKS, LETKS_OF, [("radius", NAN, "more than 0"), ("inflation", 0.0, "more than 0")]),
    (LETKS, LETKS_OF, [("std", 0.0, "more than 0"), ("members", 1, "more than 1")]),
    (LETKS, LETKS_OF, [("lag", -1, "more than -1"), ("spin_up", -1, "more than -1")]),
    (NearestStations, {}, [(n, -1, "0 or more") for n in ("neighbours", "ridge", "harmonics", "lags")]),
    (OptimalInterpolation, {}, [("neighbours", 0, "more than 0"), ("length", -1.0, "more than 0")]),
    (OptimalInterpolation, {}, [("error", -0.1, "0 or more")]),
    (Ensemble, {}, [("withheld", 1.0, ""), ("start", -1.0, "")]),
    (Training, {}, [("batch", 0, ""), ("steps", -1, ""), ("rate", -1.0, "")]),
    (interpolate, {}, [("members", 1, "2 members or more"), ("interval", [90], "above 0 and below 1")]),
    (hidden, {}, [("fraction", 0.0, "above 0 and up to 1"), ("fraction", 1.5, "above 0 and up to 1")]),
    (lorenz96, {"series": 1}, [("number", 0, "")]),
    *((lorenz, {"series": 1, "steps": 5, "step": 0.1}, [
        *(("series", n, f"got {n} series of 5 steps") for n in (0, -1)),
        *(("step", n, f"steps of {n}") for n in (0.0, -0.05, NAN)),
        *(("steps", 0, said) for said in ("of 0 steps", "expected all of these to be positive")),
        ("every", 0, "every is 0"), ("noise_variance", -1.0, "noise_variance is -1.0, expected 0 or more"),
    ]) for lorenz in (lorenz63, lorenz96)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "others", "name", "value", "expected"),
    [(call, others, *case) for call, others, cases in CASES for case in cases],
    ids=lambda value: str(getattr(value, "__name__", value))[:30] if not isinstance(value, dict) else "",
)
def test_an_argument_out_of_bounds_is_refused(call, others, name, value, expected):
    """The message has the bound, and names the argument or its value."""
    with pytest.raises((Da4dvarError, ValueError)) as refused:
        call(**(others | {name: value}))
    said = str(refused.value)
    assert expected in said
    assert name in said or str(np.asarray(value)) in said, said
    assert "\n" not in said
