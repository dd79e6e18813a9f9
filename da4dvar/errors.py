"""What a user can mend: each error is one line that says what was got, expected and to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Da4dvarError(ValueError):
    """A mistake in the input, not in the program; the command line prints it and exits with 2."""


class DataError(Da4dvarError):
    """A data set that cannot be used as it is."""


class RecipeError(Da4dvarError):
    """A recipe or a configuration that cannot be used as it is."""


class ModelError(Da4dvarError):
    """A model file that cannot be used as it is."""


class Da4dvarWarning(UserWarning):
    """Something was done, or could not be, that the user may want to know."""


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence that offers what `name` may have meant.

    Examples
    --------
    >>> nearest("itertions", ["iterations", "width"])
    "did you mean 'iterations'? (there are: iterations, width)"
    """
    known = sorted(map(str, names))
    listed = f"there are: {', '.join(known)}" if known else "there are none"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}? ({listed})" if close else listed
