"""The classical methods that a recipe or a model file may name.

A new one is a line here, in one of the two groups; recipes, model files, the command line, its completion,
the candidates of a fit and tests read this list.
"""

# As "module:Class", so that nothing is imported before it is asked for. `da4dvar baseline --method` offers
# those of BY_NAME, which need no argument but `time` and `history`; the others need the table of a recipe.
BY_NAME: dict[str, dict[str, str]] = {
    "baseline": {
        "linear": "da4dvar.baselines.linear:Linear",
        "climatology": "da4dvar.baselines.climatology:Climatology",
        "optimal_interpolation": "da4dvar.baselines.optimal_interpolation:OptimalInterpolation",
        "eof_iteration": "da4dvar.baselines.eof_iteration:EofIteration",
        "eof_interpolation": "da4dvar.baselines.eof_interpolation:EofInterpolation",
        "nearest_stations": "da4dvar.baselines.nearest_stations:NearestStations",
        "gaussian_em": "da4dvar.baselines.gaussian_em:GaussianEM",
        "window_gaussian": "da4dvar.baselines.window_gaussian:WindowGaussian",
        "kalman": "da4dvar.baselines.kalman:Kalman",
        "sparse_coding": "da4dvar.baselines.sparse_coding:SparseCoding",
    },
}
KINDS: dict[str, dict[str, str]] = {
    "baseline": {
        **BY_NAME["baseline"],
        "combination": "da4dvar.baselines.combination:Combination",
        "letks": "da4dvar.baselines.letks:LETKS",
        "logarithmic": "da4dvar.baselines.logarithmic:Logarithmic",
    },
}
