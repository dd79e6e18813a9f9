"""Work shared by several processes of one machine in a torch process group."""

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
    """Return the type of device, "cpu" or "gpu", on which `devices` processes run.

    Parameters
    ----------
    named : {"auto", "cpu", "cuda"}
        Type of device in the training plan.
    devices : int
        Number of processes.

    Raises
    ------
    RecipeError
        If there are fewer GPUs than processes.

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
            'devices = "cpu" in [train]'
        )
    return "gpu"


def check_shares(batch: int, validation_samples: int, devices: int) -> None:
    """Check that batches and validation samples can be shared among a number of devices.

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
    """Run ``work(*arguments)`` in `devices` new processes, and wait for them.

    Each process finds its number in the environment variable ``LOCAL_RANK``, as Lightning and torch expect,
    and gets its own copies of the arguments.

    Raises
    ------
    Da4dvarError
        An error of that type raised by a process, reported once; or, if a process ends without an error
        message, one with possible causes.
    RuntimeError
        If a process raises any other error, with its traceback.
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
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _begin(
    place: tuple[int, int, int, int], say: Connection, work: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    """Entry point of a process."""
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
    """Wait until all processes have ended or one has failed."""
    running = {process.sentinel: process for process, _ in started}
    while running:
        for sentinel in wait(list(running)):
            ended = running.pop(int(str(sentinel)))
            # The sentinel may be there a moment before the exit code.
            ended.join()
            if ended.exitcode:
                _fail(started, ended.exitcode)


def _fail(started: list[tuple[BaseProcess, Connection]], code: int) -> None:
    """Raise the error of the first failed process; user errors take precedence over their consequences."""
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
