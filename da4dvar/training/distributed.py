"""The same work in several processes of one machine that meet in a process group."""

from __future__ import annotations

import copy
import os
import socket
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch import multiprocessing

from da4dvar.errors import Da4dvarError, RecipeError


def kind_of_device(named: str, devices: int) -> str:
    """Where `devices` processes are to run, "cpu" or "gpu", for "cpu", "cuda" or "auto".

    Raises
    ------
    RecipeError
        If there are fewer GPUs than that.

    Examples
    --------
    >>> kind_of_device("cpu", 2)
    'cpu'
    """
    if named == "cpu" or (named == "auto" and not torch.cuda.is_available()):
        return "cpu"
    there = torch.cuda.device_count()
    if there < devices:
        raise RecipeError(
            f"train: {devices} devices were asked for, but there are {there} GPUs; ask for fewer, or set "
            'device = "cpu" in [train]'
        )
    return "gpu"


def check_shares(batch: int, validation_samples: int, devices: int) -> None:
    """Refuse a number of devices that a batch cannot be shared among.

    Raises
    ------
    RecipeError
    """
    if devices < 1:
        raise RecipeError(f"train: devices is {devices}, expected 1 or more")
    if batch % devices:
        raise RecipeError(
            f"train: a batch of {batch} samples does not divide among {devices} devices; "
            "ask for a number that divides it, or change batch in [train]"
        )
    if validation_samples < devices:
        raise RecipeError(
            f"train: {validation_samples} validation samples are too few for {devices} devices; "
            "raise validation_samples in [train]"
        )


def run_on(devices: int, work: Callable[..., object], *arguments: Any) -> None:
    """Run ``work(*arguments)`` in as many fresh processes, and wait for them.

    Each finds its number in the environment, as Lightning and torch look for it (``LOCAL_RANK``), and has
    copies of the arguments of its own.

    Raises
    ------
    Da4dvarError
        That a process raised: a user's mistake, told once. If a process ends without a word, what that may
        come from.
    RuntimeError
        With the traceback of any other error.
    """
    context = multiprocessing.get_context("spawn")
    meeting, threads = free_port(), max(1, torch.get_num_threads() // devices)
    started: list[tuple[BaseProcess, Connection]] = []
    try:
        for number in range(devices):
            ours, theirs = context.Pipe(duplex=False)
            place = (number, devices, meeting, threads)
            process: BaseProcess = context.Process(
                target=_begin, args=(place, theirs, work, arguments), daemon=True
            )
            process.start()
            theirs.close()
            started.append((process, ours))
        _wait(started)
    finally:
        for process, _ in started:
            if process.is_alive():
                process.terminate()
            process.join()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _begin(
    place: tuple[int, int, int, int], say: Connection, work: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    """Where a process begins."""
    number, devices, port, threads = place
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(devices),
        "NODE_RANK": "0",
        "LOCAL_RANK": str(number),
    }
    torch.set_num_threads(threads)
    # What is to be said of the data was said by the process that began this one.
    warnings.simplefilter("ignore")
    try:
        # Tensors come here in shared memory: each process needs weights of its own.
        work(*copy.deepcopy(arguments))
    except Da4dvarError as error:
        say.send(error)
        raise SystemExit(2) from None
    except Exception:
        # A bug: its traceback is shown where the run was begun, not lost in a process that ends.
        say.send(traceback.format_exc())
        raise SystemExit(1) from None
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _wait(started: list[tuple[BaseProcess, Connection]]) -> None:
    """Until all have ended, or one has failed."""
    running = {process.sentinel: process for process, _ in started}
    while running:
        for sentinel in wait(list(running)):
            ended = running.pop(int(str(sentinel)))
            # The sentinel may be there a moment before the exit code.
            ended.join()
            if ended.exitcode:
                _fail(started, ended.exitcode)


def _fail(started: list[tuple[BaseProcess, Connection]], code: int) -> None:
    """Raise what the first process that failed has said; a user's mistake before what followed from it."""
    said = []
    for _, ours in started:
        try:
            if ours.poll():
                said.append(ours.recv())
        except EOFError:
            continue
    for error in said:
        if isinstance(error, Da4dvarError):
            raise error
    if said:
        raise RuntimeError(f"a process of the training failed:\n{said[0]}")
    raise RecipeError(
        f"train: a process of the training ended without a word (code {code}); there may be too little "
        'memory for so many devices, or a script lacks `if __name__ == "__main__":` around what it runs'
    )
