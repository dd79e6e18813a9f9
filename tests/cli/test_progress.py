"""Tests of the progress display, and of the cases in which nothing may be shown."""

import io
import sys
import threading
import time

import pytest

import da4dvar.progress
from da4dvar.cli import main
from da4dvar.progress import shown


class Terminal(io.StringIO):
    """A terminal that records what is written to it."""

    def isatty(self):
        return True


class AtOnce(threading.Timer):
    """A timer that fires as soon as it starts."""

    def start(self):
        self.function()

    def join(self, timeout=None):
        """Return at once, as there is no thread to wait for."""


def terminal(monkeypatch, kind="xterm"):
    """Replace stderr by a wide terminal, on which progress is shown only after a long time.

    This is not a fixture, because pytest replaces the streams after fixtures have run.
    """
    monkeypatch.setattr(da4dvar.progress, "PATIENCE", 600.0)
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


@pytest.fixture
def impatient(monkeypatch):
    """Make the progress display appear immediately."""
    monkeypatch.setattr(da4dvar.progress, "Timer", AtOnce)


@pytest.fixture(autouse=True)
def here(files, monkeypatch):
    """Change to the folder with gappy.nc and truth.nc."""
    monkeypatch.chdir(files)


def run(monkeypatch, *arguments):
    """Run a command in this process and expect it to succeed."""
    monkeypatch.setattr(sys, "argv", ["da4dvar", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code


def soon(happened):
    """Wait up to 20 s for a condition and return whether it holds."""
    end = time.monotonic() + 20
    while not happened() and time.monotonic() < end:
        time.sleep(0.01)
    return happened()


VERBS = {
    "simulating": ["simulate", "lorenz96", "out.nc", "--series", "1", "--steps", "3"],
    "hiding": ["gaps", "truth.nc", "out.nc", "--kind", "random"],
    "filling": ["baseline", "gappy.nc", "out.nc"],
    "scoring": ["evaluate", "gappy.nc", "truth.nc"],
    "interpolating": ["interpolate", "gappy.nc", "out.nc", "--model"],
}
verbs = pytest.mark.parametrize("doing", VERBS)


def complete(doing, model_path):
    """Return the arguments of a command."""
    return [*VERBS[doing], *([model_path] if doing == "interpolating" else [])]


@verbs
def test_a_verb_that_takes_long_says_what_it_does(doing, model_path, impatient, monkeypatch, capsys):
    """On a terminal, a slow command shows its name and, where known, the percentage; stdout stays clean."""
    stderr = terminal(monkeypatch)
    run(monkeypatch, *complete(doing, model_path))
    said = stderr.getvalue()
    assert doing in said
    assert ("100%" in said) == (doing in ("simulating", "interpolating"))
    assert doing not in capsys.readouterr().out


@verbs
@pytest.mark.parametrize("because", ["quiet", "no terminal"])
def test_nothing_is_shown_where_it_is_not_wanted(doing, because, model_path, impatient, monkeypatch):
    """With --quiet or without a terminal no progress is shown, even if colours are forced."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    stderr = terminal(monkeypatch)
    if because == "no terminal":
        monkeypatch.setattr(stderr, "isatty", lambda: False)
    run(monkeypatch, *complete(doing, model_path), *(["--quiet"] if because == "quiet" else []))
    said = "".join(n for n in stderr.getvalue().splitlines(True) if not n.startswith("note: "))
    assert said == ("wrote out.nc\n" if (doing, because) == ("interpolating", "no terminal") else "")


def test_quiet_keeps_the_result(monkeypatch, capsys):
    """With --quiet the result is still printed."""
    run(monkeypatch, "evaluate", "gappy.nc", "truth.nc", "-q")
    assert "R-score" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_what_is_quick_shows_nothing(kind, monkeypatch):
    """A quick operation writes nothing to the terminal, not even control codes or an empty line."""
    stderr = terminal(monkeypatch, kind)
    with shown("filling", quiet=False) as progress:
        progress(1, 2)
    assert stderr.getvalue() == ""


def test_patience_ends(monkeypatch):
    """A spinner appears while the body runs and disappears, with its thread, when the body ends."""
    stderr = terminal(monkeypatch)
    monkeypatch.setattr(da4dvar.progress, "PATIENCE", 0.05)
    threads = threading.active_count()
    with shown("filling", quiet=False):
        assert soon(lambda: "filling" in stderr.getvalue())
    assert "%" not in stderr.getvalue()
    assert "\x1b[?25h" in stderr.getvalue()
    assert stderr.getvalue().endswith("\x1b[2K")
    assert soon(lambda: threading.active_count() == threads)
    assert sys.stderr is stderr


@pytest.mark.parametrize("seen", [False, True])
def test_a_mistake_leaves_no_bar_behind(seen, monkeypatch):
    """After an error no thread and no replaced stream remain, whether or not the bar was shown."""
    stderr = terminal(monkeypatch)
    if seen:
        monkeypatch.setattr(da4dvar.progress, "Timer", AtOnce)
    threads = threading.active_count()
    with pytest.raises(KeyError), shown("filling", quiet=False):
        raise KeyError
    assert soon(lambda: threading.active_count() == threads)
    assert sys.stderr is stderr
    assert bool(stderr.getvalue()) == seen


def test_a_note_is_not_lost_in_the_bar(model_path, impatient, monkeypatch, gappy):
    """Warnings are shown in addition to the progress bar."""
    gappy.where(gappy.time < gappy.time[10]).to_netcdf("gappy.nc")
    stderr = terminal(monkeypatch)
    run(monkeypatch, *complete("interpolating", model_path))
    assert "windows hold no observation" in stderr.getvalue()
