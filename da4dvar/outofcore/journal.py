"""What an interrupted run leaves for the next: its plan, the parts of sums, and which regions are finished.

The folder ``.<name>.da4dvar`` beside an output holds ``plan.json``, ``store.zarr`` (the output so far),
``terms.npy`` (both terms of every window), ``part-<region>-<tile>.npy`` (what a tile adds to a later region)
and an empty file ``done-<region>`` for each finished one. A tile whose part of its own region is there was
solved before those that its region waits for. Whatever has its name is whole: it was written
under another, flushed to the disk and renamed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from da4dvar.errors import DataError
from da4dvar.outofcore.tiles import Cells, Number


class Journal:
    """The folder beside an output.

    Parameters
    ----------
    output : path

    Examples
    --------
    >>> Journal(Path("out.zarr")).folder.name
    '.out.zarr.da4dvar'
    """

    def __init__(self, output: str | Path) -> None:
        self.output = Path(output)
        self.folder = self.output.with_name(f".{self.output.name}.da4dvar")
        self.store = self.folder / "store.zarr"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with the folder; the system takes the lock back from a killed run.

        Raises
        ------
        DataError
            If another run has it, or the system has no such locks.
        """
        try:
            import fcntl
        except ImportError as error:
            raise DataError(
                f"{self.output}: running larger than memory, or by --scheduler, needs a POSIX system "
                "(fcntl is missing here); run it on Linux or macOS, or give --memory enough for all the data"
            ) from error
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Another run may have ended, and taken the folder away, since the file was opened.
                held = os.path.samestat(os.fstat(file.fileno()), os.stat(self.folder / "lock"))
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOENT):
                    raise
                held = False
            if not held:
                raise DataError(
                    f"{self.output}: another run is writing it; wait for its end, or name another output"
                )
            try:
                yield
            finally:
                if not (self.folder / "plan.json").exists():
                    shutil.rmtree(self.folder, ignore_errors=True)

    def begun(self) -> bool:
        """Whether there is something to go on with."""
        return (self.folder / "plan.json").is_file()

    def reset(self) -> None:
        """Forget an earlier run."""
        # The plan first: without it, what is left is nothing to go on with.
        (self.folder / "plan.json").unlink(missing_ok=True)
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()

    def begin(self, plan: Mapping[str, Any], windows: Sequence[int]) -> None:
        """Record a plan, once the store has its labels.

        Parameters
        ----------
        plan : mapping
            What JSON can hold.
        windows : sequence of int
            Of the whole grid, along each dimension.
        """
        np.lib.format.open_memmap(self.folder / "terms.npy", "w+", "float32", (2, *windows)).flush()
        text = json.dumps(plan, indent=1)
        self._whole("plan.json", lambda path: path.write_text(text, encoding="utf-8"))

    def plan(self) -> dict[str, Any]:
        """The plan that was recorded.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        try:
            return dict(json.loads((self.folder / "plan.json").read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder}: broken (plan.json cannot be read); begin anew with --overwrite"
            ) from error

    def finished(self, number: Number) -> bool:
        """Whether a region is written."""
        return (self.folder / f"done-{_text(number)}").exists()

    def solved(self, number: Number) -> bool:
        """Whether a tile need not be solved again."""
        return self.finished(number) or (self.folder / self._part(number, number)).exists()

    def finish(self, number: Number) -> None:
        """Record that a region is written, and forget its parts."""
        self._whole(f"done-{_text(number)}", lambda path: path.touch())
        for part in self.folder.glob(f"part-{_text(number)}-*.npy"):
            part.unlink()

    def put(self, region: Number, tile: Number, total: np.ndarray) -> None:
        """Keep what a tile adds to a region."""
        self._whole(self._part(region, tile), lambda path: np.save(path, total, allow_pickle=False))

    def take(self, region: Number, tile: Number) -> np.ndarray:
        """What a tile adds to a region."""
        kept: np.ndarray = np.load(self.folder / self._part(region, tile), allow_pickle=False)
        return kept

    def put_terms(self, windows: Cells, terms: np.ndarray) -> None:
        """Keep both terms of some windows."""
        kept = np.load(self.folder / "terms.npy", mmap_mode="r+")
        kept[(slice(None), *windows)] = terms
        kept.flush()

    def take_terms(self, windows: Cells) -> np.ndarray:
        """Both terms of some windows, shape ``(2, *windows)``."""
        kept = np.load(self.folder / "terms.npy", mmap_mode="r")
        return np.array(kept[(slice(None), *windows)])

    def publish(self) -> None:
        """Give the store the name of the output."""
        for left in self.store.rglob("*.partial"):
            left.unlink()
        if self.output.exists():
            os.replace(self.output, self.folder / "replaced")
        os.replace(self.store, self.output)

    def end(self) -> None:
        """Take the folder away."""
        (self.folder / "plan.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, region: Number, tile: Number) -> str:
        return f"part-{_text(region)}-{_text(tile)}.npy"

    def _whole(self, name: str, write: Any) -> None:
        beside = self.folder / f"new-{name}"
        write(beside)
        flush(beside)
        os.replace(beside, self.folder / name)
        flush(self.folder)


def flush(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _text(number: Number) -> str:
    return ".".join(map(str, number))
