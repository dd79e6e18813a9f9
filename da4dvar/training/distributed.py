"""The same work in several processes of one machine that form a process group."""

from __future__ import annotations

import copy
import logging
import os
import socket
import warnings
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from typing import Any

import torch
from torch import multiprocessing
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from da4dvar.errors import Da4dvarError, RecipeError


def kind_of_device(named: str, devices: int) -> str:
    """The kind of device that `devices` processes run on, "cpu" or "gpu", for "cpu", "cuda" or "auto".

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
            'device = "cpu" in [train]'
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

    Each finds its number in the environment, where Lightning and torch look for it (``LOCAL_RANK``), and has
    its own copies of the arguments. All of them end when one fails, and when this process is interrupted or,
    on Linux, killed.

    Raises
    ------
    Da4dvarError
        The error of this kind that a process raised, or one that names likely causes if a process ended
        without an exception.
    RuntimeError
        If a process raises any other error, with its traceback.
    """
    # torch hands on tracebacks only; errors that a user can fix come through this queue as they are.
    errors: SimpleQueue[Da4dvarError] = multiprocessing.get_context("spawn").SimpleQueue()
    setting = (devices, free_port(), max(1, torch.get_num_threads() // devices))
    log = logging.getLogger("torch.multiprocessing.spawn")
    level, processes = log.level, []
    try:
        log.setLevel(logging.ERROR)  # no line for each process that is ended after another has failed
        given = (setting, errors, work, arguments)
        # Daemons, so that an interrupt while they are being started ends them as well.
        context = spawn(_begin, given, nprocs=devices, join=False, daemon=True)
        processes = context.processes
        while not context.join():
            pass
    except (ProcessRaisedException, ProcessExitedException) as failure:
        # Before the failures of other processes that follow from it.
        if not errors.empty():
            raise errors.get() from None
        if isinstance(failure, ProcessRaisedException):
            raise RuntimeError(f"a process of the training failed: {failure.msg.strip()}") from None
        raise RecipeError(
            f"train: a process of the training ended without an error message (code {failure.exit_code}); "
            "there may be too little memory for so many devices, or a script lacks "
            '`if __name__ == "__main__":` around what it runs'
        ) from None
    finally:
        log.setLevel(level)
        for process in processes:
            if process.is_alive():
                process.terminate()
            process.join()


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _begin(
    number: int,
    setting: tuple[int, int, int],
    errors: SimpleQueue[Da4dvarError],
    work: Callable[..., object],
    arguments: tuple[Any, ...],
) -> None:
    """Run the work in a process that was just started."""
    devices, port, threads = setting
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        WORLD_SIZE=str(devices),
        NODE_RANK="0",
        LOCAL_RANK=str(number),
    )
    torch.set_num_threads(threads)
    # Warnings about the data were given by the process that started this one.
    warnings.simplefilter("ignore")
    try:
        # Tensors arrive in shared memory, but each process needs its own weights.
        work(*copy.deepcopy(arguments))
    except Da4dvarError as error:
        errors.put(error)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        # torch takes an interrupted process for one that has finished.
        raise SystemExit(130) from None
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
