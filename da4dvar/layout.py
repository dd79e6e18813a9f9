"""The mapping of labelled dimensions to tensor axes, shared by the array and tensor parts of the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from da4dvar.errors import RecipeError


@dataclass(frozen=True)
class Layout:
    """Mapping of the dimensions of a data set to the axes of a tensor.

    A tensor is ``(batch, channel, *axes)``, with one channel for each variable at each position along the
    folded dimensions. Dimensions that are not named become the batch.

    Parameters
    ----------
    variables : sequence of str
        Names of the variables to estimate.
    axes : sequence of str
        Names of the dimensions to convolve along, in this order.
    channels : sequence of str
        Names of the dimensions to fold into the channels, in this order.
    periodic : sequence of str
        Names of the axes that are periodic, such as longitude around the globe.
    window : mapping of str to int
        Length of a window along each dimension, in cells; a dimension without one is used whole.
    overlap : mapping of str to float
        Fraction of a window shared with the next, from 0 up to but excluding 1; 0.5 by default.

    Raises
    ------
    RecipeError
        If a dimension is named twice, a window is not positive or an overlap is out of range.

    Examples
    --------
    >>> layout = Layout(["sst"], axes=["lat", "lon"], channels=["time"], window={"time": 15})
    >>> layout.dims
    ('time', 'lat', 'lon')
    >>> layout.stride("time")
    8
    """

    variables: Sequence[str]
    axes: Sequence[str]
    channels: Sequence[str] = ()
    periodic: Sequence[str] = ()
    window: Mapping[str, int] = field(default_factory=dict)
    overlap: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("variables", "axes", "channels", "periodic"):
            if isinstance(getattr(self, name), str):
                raise RecipeError(
                    f"layout: {name} is {getattr(self, name)!r}, expected a list: [{getattr(self, name)!r}]"
                )
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.variables:
            raise RecipeError("layout: no variable is named; name at least one in `variables`")
        if not 1 <= len(self.axes) <= 3:
            raise RecipeError(
                f"layout: got {len(self.axes)} axes, expected 1, 2 or 3; "
                "fold further dimensions into `channels`"
            )
        twice = {d for d in self.dims if self.dims.count(d) > 1}
        if twice:
            raise RecipeError(f"layout: dimension {sorted(twice)[0]!r} is named twice")
        for key in ("window", "overlap", "periodic"):
            for dim in getattr(self, key):
                allowed = self.axes if key == "periodic" else self.dims
                if dim not in allowed:
                    raise RecipeError(
                        f"layout: {key} names {dim!r}, which is not one of {', '.join(allowed)}"
                    )
        for dim, cells in self.window.items():
            if cells < 1:
                raise RecipeError(f"layout: window of {dim!r} is {cells}, expected 1 or more")
        for dim, part in self.overlap.items():
            if not 0 <= part < 1:
                raise RecipeError(f"layout: overlap of {dim!r} is {part}, expected 0 or more and below 1")

    @property
    def dims(self) -> tuple[str, ...]:
        """Folded dimensions, then axes: the order of the dimensions before conversion to a tensor."""
        return (*self.channels, *self.axes)

    def stride(self, dim: str) -> int:
        """Number of cells from one window to the next along `dim`.

        Parameters
        ----------
        dim : str
            Name of a dimension that has a window.

        Returns
        -------
        int
            Length of the window less the overlap; at least 1.
        """
        return max(1, round(self.window[dim] * (1 - self.overlap.get(dim, 0.5))))

    @property
    def boundary(self) -> tuple[str, ...]:
        """Boundary rule of a network along each axis: ``periodic`` for a periodic axis used whole."""
        return tuple("periodic" if a in self.periodic and a not in self.window else "zero" for a in self.axes)

    def channel_count(self, sizes: Mapping[str, int]) -> int:
        """Number of channels of a tensor: variables times the cells of every folded dimension.

        Parameters
        ----------
        sizes : mapping of str to int
            Sizes of the dimensions that are used whole; a missing one counts as 0.

        Returns
        -------
        int
        """
        count = len(self.variables)
        for dim in self.channels:
            count *= self.window.get(dim, sizes.get(dim, 0))
        return count
