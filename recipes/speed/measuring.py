"""Seconds and memory of a piece of work, each in a process of its own."""

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
    """The most memory that this process has held so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def best(work: Callable[[], Any], times: int, warm: bool = True) -> float:
    """The fewest seconds of several runs, after one that does not count if it is to `warm` up."""
    if warm:
        work()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def told(results: dict[str, float]) -> None:
    """What a measured process says, in its last line."""
    print(json.dumps(results))


def asked(*command: str | Path, python: str | Path = sys.executable, threads: int = 1) -> dict[str, float]:
    """What a process of this recipe measured.

    Parameters
    ----------
    command : str
        The script of this folder, and its arguments.
    python : path
        Of the environment that it needs.
    threads : int
        That it may use.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    line = [str(python), str(HERE / command[0]), *map(str, command[1:])]
    done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def arguments(description: str | None, *options: tuple[str, Any]) -> argparse.Namespace:
    """The settings of a script: each a name and what it is if it is not given."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, usual in options:
        if usual is False:
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=type(usual), default=usual)
    return parser.parse_args()
