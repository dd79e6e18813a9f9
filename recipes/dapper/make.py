"""Truth and observations of DAPPER's experiments on Lorenz-96, one file for each experiment and seed.

PYTHON-OF-DAPPER recipes/dapper/make.py [--seeds 1,2,3] [--folder recipes/dapper/work]
"""

from __future__ import annotations

import numpy as np
from dapper.tools.randvars import LaplaceParallelRV
from dapper.tools.seeding import set_seed
from experiments import model_of
from runs import EVALUATION, EXPERIMENTS, TUNING, arguments, path_of


def main(folder: str, seeds: list[int]) -> None:
    for name in EXPERIMENTS:
        for seed in seeds:
            model = model_of(name)
            set_seed(seed)
            truth, observed = model.simulate()
            operator = model.Obs(0)
            file = path_of(folder, name, seed)
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(
                file,
                truth=truth,
                observed=np.stack(observed),
                components=np.flatnonzero(operator.linear(truth[0]).any(axis=0)),
                times=model.tseq.kko,
                step=model.tseq.dt,
                variance=operator.noise.C.diag,
                laplace=isinstance(operator.noise, LaplaceParallelRV),
            )
            print(file)


if __name__ == "__main__":
    given = arguments(__doc__, seeds=TUNING + EVALUATION)
    main(given.folder, given.seeds)
