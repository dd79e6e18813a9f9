"""Tab completion of arguments and option values, without heavy imports."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence

from da4dvar.config.kinds import by_name
from da4dvar.modelfile.shipped import names

DATA = (".nc", ".zarr")
MODELS = (".safetensors",)
# A copy of the names in da4dvar.simulate, which is too slow to import at every tab; a test compares them.
SYSTEMS = ("lorenz96", "lorenz63", "lorenz96_published")


def models(incomplete: str) -> list[str]:
    """Return shipped models and model files."""
    return beginning(names(), incomplete) + files(incomplete, MODELS)


def models_and_data(incomplete: str) -> list[str]:
    """Return shipped models, model files and data sets."""
    return beginning(names(), incomplete) + files(incomplete, (*MODELS, *DATA))


def one_of(words: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a completion function for a fixed list of words."""

    def offer(incomplete: str) -> list[str]:
        return beginning(words, incomplete)

    return offer


def kinds_of(section: str, *others: str) -> Callable[[str], list[str]]:
    """Return a completion function for `others` and the kinds of a section, including those of plug-ins."""

    def offer(incomplete: str) -> list[str]:
        return beginning([*others, *by_name(section)], incomplete)

    return offer


def beginning(words: Sequence[str], incomplete: str) -> list[str]:
    """Return the words that begin with the text typed so far."""
    return [word for word in words if word.startswith(incomplete)]


def files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Return files with one of the suffixes, and folders that may contain some."""
    found = sorted(glob.glob(glob.escape(incomplete) + "*"))
    folders = [path + "/" for path in found if os.path.isdir(path) and not path.endswith(suffixes)]
    return [path for path in found if path.endswith(suffixes)] + folders
