"""A learned right-hand side that is quadratic in the components of the state."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Bilinear(nn.Module):
    """φᵢ(x) = bᵢ + Σⱼ Aᵢⱼ xⱼ + Σⱼₖ Qᵢⱼₖ xⱼ xₖ with learned b, A and Q: the neural ODE of eqs. (6)-(7).

    In a periodic system all components obey the same law: j and k run over the neighbours within
    `reach`, and b, A and Q are the same for all i.

    Parameters
    ----------
    components : int
        Number of components of the state, its length along `axis`.
    reach : int, optional
        Number of neighbours on each side that act on a component of a periodic system. By default the
        system is not periodic, and every component acts on every other.
    axis : int
        Axis of the components; a negative number counts from the end.

    Examples
    --------
    >>> sum(p.numel() for p in Bilinear(3).parameters())  # 3 (1 + 3 + 6)
    30
    >>> sum(p.numel() for p in Bilinear(40, reach=2).parameters())  # 1 + 5 + 15, the same for all
    21
    """

    pairs: Tensor

    def __init__(self, components: int, reach: int | None = None, axis: int = -2) -> None:
        super().__init__()
        self.components, self.reach, self.axis = components, reach, axis
        inputs = components if reach is None else 2 * reach + 1
        outputs = components if reach is None else 1
        self.register_buffer("pairs", torch.triu_indices(inputs, inputs))
        self.constant = nn.Parameter(torch.zeros(outputs))
        self.linear = nn.Parameter(0.01 * torch.randn(outputs, inputs))
        self.quadratic = nn.Parameter(0.01 * torch.randn(outputs, self.pairs.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        """φ(x), per unit of model time.

        Parameters
        ----------
        x : Tensor, shape ``(..., component, time)``, or with the components along another `axis`
            States.

        Returns
        -------
        Tensor, shape of `x`

        Raises
        ------
        ValueError
            If the number of components of the state is not `components`.
        """
        if x.shape[self.axis] != self.components:
            raise ValueError(f"the state has {x.shape[self.axis]} components, expected {self.components}")
        return self._dense(x) if self.reach is None else self._periodic(x, self.reach)

    def _dense(self, x: Tensor) -> Tensor:
        x = x.movedim(self.axis, -1)
        products = x[..., self.pairs[0]] * x[..., self.pairs[1]]
        tendency = x @ self.linear.T + products @ self.quadratic.T + self.constant
        return tendency.movedim(-1, self.axis)

    def _periodic(self, x: Tensor, reach: int) -> Tensor:
        # b + Σⱼ xⱼ (Aⱼ + Σₖ≥ⱼ Qⱼₖ xₖ), with one pass over the state per product: stacking all products is
        # six times slower, and matrix products would run in bfloat16 under mixed precision.
        near = [torch.roll(x, shift, self.axis) if shift else x for shift in range(reach, -reach - 1, -1)]
        quadratic = iter(self.quadratic[0].unbind())
        tendency: Tensor = self.constant
        for j, linear in enumerate(self.linear[0].unbind()):
            slope = linear
            for neighbour in near[j:]:
                slope = torch.addcmul(slope, next(quadratic), neighbour)
            tendency = tendency + near[j] * slope
        return tendency
