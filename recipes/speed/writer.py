"""Share of the process that writes in a distributed run, in processor seconds.

python recipes/speed/writer.py [--days 730]

The field of `cluster.py` is filled by one process, in the regions of a run with up to four workers. Workers
share the solving; finishing is what the writing process does meanwhile; the rest is before and after.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cluster import DATA, MEMORY
from learned import learned_solver
from measuring import arguments, report

from da4dvar import interpolate_file
from da4dvar.cli.memory import keep_freed_memory
from da4dvar.fields.files.store import open_dataset, write_dataset
from da4dvar.outofcore import run, schedulers
from da4dvar.outofcore.schedulers import FEWEST, InProcess
from da4dvar.workflows.twin import hide


def main(days: int) -> None:
    """Fill the field, and print the processor seconds of the parts."""
    spent = {"solving": 0.0, "finishing": 0.0}

    def timed(part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any) -> Any:
            began = time.process_time()
            try:
                return work(*args)
            finally:
                spent[part] += time.process_time() - began

        return measured

    with (
        tempfile.TemporaryDirectory() as name,
        patch.object(schedulers, "solve_tile", timed("solving", schedulers.solve_tile)),
        patch.object(run, "finish_region", timed("finishing", run.finish_region)),
        patch.object(run.region_store, "write", timed("finishing", run.region_store.write)),
        patch("da4dvar.outofcore.interpolate_file.scheduler_of", lambda _: InProcess(tiles=FEWEST)),
    ):
        folder = Path(name)
        truth = open_dataset(DATA).isel(time=slice(0, days)).load()
        learned_solver().save(folder / "model.safetensors")
        write_dataset(hide(truth, "tracks", 0.035, seed=11), folder / "gappy.nc")
        began = time.process_time()
        files = folder / "gappy.nc", folder / "filled.nc", folder / "model.safetensors"
        interpolate_file(*files, memory=MEMORY, scheduler="processes")
        whole = time.process_time() - began
    report(spent | {"before and after": whole - sum(spent.values())})


if __name__ == "__main__":
    keep_freed_memory()
    main(arguments(__doc__, ("--days", 730)).days)
