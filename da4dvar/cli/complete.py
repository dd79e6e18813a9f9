"""What the shell offers after a tab: quick, so nothing heavy is imported."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence

from da4dvar.modelfile.shipped import names

DATA = (".nc", ".zarr")
MODELS = (".safetensors",)
# Of modules that are too heavy to ask them at every tab; a test compares.
BASELINES = (
    "linear",
    "climatology",
    "optimal_interpolation",
    "eof_iteration",
    "eof_interpolation",
    "nearest_stations",
    "sparse_coding",
)
GAPS = ("random", "blocks", "squares", "tracks", "transplanted")
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


def beginning(words: Sequence[str], incomplete: str) -> list[str]:
    """The words that begin so."""
    return [word for word in words if word.startswith(incomplete)]


def files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Files with one of the suffixes, and the folders on the way to them."""
    found = sorted(glob.glob(glob.escape(incomplete) + "*"))
    folders = [path + "/" for path in found if os.path.isdir(path) and not path.endswith(suffixes)]
    return [path for path in found if path.endswith(suffixes)] + folders
