"""Journal from which an interrupted run is resumed: its plan, partial sums and the finished regions.

The folder ``.<name>.da4dvar`` next to an output holds ``plan.json``, ``store.zarr`` (the output so far),
``terms.npy`` (both terms of every window), ``part-<region>-<tile>.npy`` (the contribution of a tile to a
region that is not finished) and an empty file ``done-<region>`` for each finished region. If the part of a
tile for its own region exists, the tile was solved before the other tiles that its region needs. Every file
under its final name is complete: it was written under another name, flushed to disk and renamed.
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

from da4dvar.errors import Da4dvarError, DataError, first_line, warn
from da4dvar.fields.files.store import check_output
from da4dvar.outofcore.tiles import Cells, Number


class Journal:
    """Journal of a run, in a folder next to its output.

    Parameters
    ----------
    output : path
        Path of the output.

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
        """Hold an exclusive lock on the folder; the system releases the lock of a killed run.

        Raises
        ------
        DataError
            If another run holds the lock, or the system has no such locks.
        """
        try:
            import fcntl
        except ImportError as error:
            raise DataError(
                f"{self.output}: running larger than memory or with --scheduler needs a POSIX system (fcntl "
                "is missing here); run it on Linux or macOS, or give enough --memory for all data"
            ) from error
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Another run may have ended and removed the folder since the file was opened.
                held = os.path.samestat(os.fstat(file.fileno()), os.stat(self.folder / "lock"))
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOENT):
                    raise
                held = False
            if not held:
                raise DataError(
                    f"{self.output}: another run is writing it; wait until it ends, or name another output"
                )
            try:
                yield
            finally:
                if not (self.folder / "plan.json").exists():
                    shutil.rmtree(self.folder, ignore_errors=True)

    def begun(self) -> bool:
        """Whether there is a run to resume."""
        return (self.folder / "plan.json").is_file()

    def reset(self) -> None:
        """Remove the files of an earlier run."""
        # Remove the plan first: without it, the rest cannot be taken for a run to resume.
        (self.folder / "plan.json").unlink(missing_ok=True)
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()

    def begin(self, plan: Mapping[str, Any], windows: Sequence[int]) -> None:
        """Record a plan, after the store has been created.

        Parameters
        ----------
        plan : mapping
            Plan of values that JSON can hold.
        windows : sequence of int
            Number of windows of the whole grid along each dimension.
        """
        np.lib.format.open_memmap(self.folder / "terms.npy", "w+", "float32", (2, *windows)).flush()
        text = json.dumps(plan, indent=1)
        self._whole("plan.json", lambda path: path.write_text(text, encoding="utf-8"))

    def plan(self) -> dict[str, Any]:
        """Return the recorded plan.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        try:
            return dict(json.loads((self.folder / "plan.json").read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder}: broken (plan.json cannot be read); start over with --overwrite"
            ) from error

    def finished(self, number: Number) -> bool:
        """Whether a region has been written."""
        return (self.folder / f"done-{_text(number)}").exists()

    def solved(self, number: Number) -> bool:
        """Whether a tile has been solved and stored."""
        return self.finished(number) or (self.folder / self._part(number, number)).exists()

    def finish(self, number: Number) -> None:
        """Record that a region has been written, and remove its parts."""
        self._whole(f"done-{_text(number)}", lambda path: path.touch())
        for part in self.folder.glob(f"part-{_text(number)}-*.npy"):
            part.unlink()

    def put(self, region: Number, tile: Number, total: np.ndarray) -> None:
        """Store the contribution of a tile to a region."""
        self._whole(self._part(region, tile), lambda path: np.save(path, total, allow_pickle=False))

    def take(self, region: Number, tile: Number) -> np.ndarray:
        """Return the stored contribution of a tile to a region."""
        kept: np.ndarray = np.load(self.folder / self._part(region, tile), allow_pickle=False)
        return kept

    def put_terms(self, windows: Cells, terms: np.ndarray) -> None:
        """Store both terms of windows."""
        kept = np.load(self.folder / "terms.npy", mmap_mode="r+")
        kept[(slice(None), *windows)] = terms
        kept.flush()

    def take_terms(self, windows: Cells) -> np.ndarray:
        """Return both terms of windows, shape ``(2, *windows)``."""
        kept = np.load(self.folder / "terms.npy", mmap_mode="r")
        return np.array(kept[(slice(None), *windows)])

    def publish(self) -> None:
        """Move the store to the path of the output."""
        for left in self.store.rglob("*.partial"):
            left.unlink()
        if self.output.exists():
            os.replace(self.output, self.folder / "replaced")
        os.replace(self.store, self.output)

    def end(self) -> None:
        """Remove the folder."""
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
    """Wait until a file or the entries of a folder are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _text(number: Number) -> str:
    return ".".join(map(str, number))


def check_journal(journal: Journal, files: Sequence[str], resume: bool, overwrite: bool) -> bool:
    """Return whether there is an interrupted run to continue.

    Raises
    ------
    DataError
        If the output cannot be written, or there is an interrupted run and neither option is set.
    """
    begun = journal.begun()
    check_output(journal.output, files, overwrite or (resume and begun))
    if begun and not (resume or overwrite):
        # Raises another error if the other run is still writing.
        with journal.locked():
            raise DataError(
                f"{journal.output}: there is an interrupted run; continue it with --resume, or start "
                "over with --overwrite"
            )
    if resume and not begun:
        warn("there is no interrupted run to resume; starting a new one")
    return resume and begun


@contextmanager
def reported(journal: Journal) -> Iterator[None]:
    """Turn a failure to write into an error of one line that says what is kept.

    Raises
    ------
    DataError
        If the body fails to write.
    """
    try:
        yield
    except Da4dvarError:
        raise
    except (OSError, RuntimeError) as failure:
        begun = journal.begun()
        kept = f"finished regions are kept in {journal.folder.name}" if begun else "nothing was kept"
        resume = ", then continue with --resume" if begun else ""
        raise DataError(
            f"{journal.output}: could not be written ({first_line(failure)}); {kept}. "
            f"Check the disk space and the permissions{resume}"
        ) from failure
