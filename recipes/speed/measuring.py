"""Time and memory of a computation, each measured in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def resident() -> float:
    """Return the peak memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def best(work: Callable[[], Any], times: int, warm: bool = True) -> float:
    """Return the least time of several runs, in seconds, after an additional one if `warm` is set."""
    if warm:
        work()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def report(results: dict[str, float]) -> None:
    """Print results as JSON, for :func:`measured` to read."""
    print(json.dumps(results))


def measured(*command: str | Path, python: str | Path = sys.executable, threads: int = 1) -> dict[str, float]:
    """Run a script of this recipe and return its results.

    Parameters
    ----------
    command : str
        Name of the script in this folder, and its arguments.
    python : path
        Interpreter of the environment in which to run it.
    threads : int
        Number of threads that it may use.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    line = [str(python), str(HERE / command[0]), *map(str, command[1:])]
    done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def markdown(rows: list[list[str]]) -> str:
    """Return a table, whose first row is its head, in Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def arguments(description: str | None, *options: tuple[str, Any]) -> argparse.Namespace:
    """Parse the options of a script, each given by its name and default."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in options:
        if default is False:
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=type(default), default=default)
    return parser.parse_args()
