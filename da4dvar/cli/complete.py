"""What the shell offers after a tab: quick, so nothing heavy is imported."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence

from da4dvar.config.kinds import by_name
from da4dvar.modelfile.shipped import names

DATA = (".nc", ".zarr")
MODELS = (".safetensors",)
# Of a module that is too heavy to ask it at every tab; a test compares.
SYSTEMS = ("lorenz96", "lorenz63", "lorenz96_published")


def models(incomplete: str) -> list[str]:
    """Models that ship, and model files."""
    return beginning(names(), incomplete) + files(incomplete, MODELS)


def models_and_data(incomplete: str) -> list[str]:
    """Models that ship, model files and data sets."""
    return beginning(names(), incomplete) + files(incomplete, (*MODELS, *DATA))


def one_of(words: Sequence[str]) -> Callable[[str], list[str]]:
    """What offers those of a few words that begin as typed."""

    def offer(incomplete: str) -> list[str]:
        return beginning(words, incomplete)

    return offer


def kinds_of(section: str, *others: str) -> Callable[[str], list[str]]:
    """What offers the kinds of a section, those of installed packages too, and other words before them."""

    def offer(incomplete: str) -> list[str]:
        return beginning([*others, *by_name(section)], incomplete)

    return offer


def beginning(words: Sequence[str], incomplete: str) -> list[str]:
    """The words that begin so."""
    return [word for word in words if word.startswith(incomplete)]


def files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Files with one of the suffixes, and the folders on the way to them."""
    found = sorted(glob.glob(glob.escape(incomplete) + "*"))
    folders = [path + "/" for path in found if os.path.isdir(path) and not path.endswith(suffixes)]
    return [path for path in found if path.endswith(suffixes)] + folders
