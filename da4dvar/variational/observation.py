"""Observation operators H, which map a state to the quantities that an instrument measures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from da4dvar.variational.convolution import Convolution


class Observation(nn.Module):
    """H, a map from a state to its observed quantities: base class of the observation operators.

    A new operator inherits from this class and defines `forward`. Any other module that maps a state to an
    observation also works: it is treated as an operator that observes the whole state with one weight.

    Attributes
    ----------
    of : sequence of int
        For several sensors, the index of the state variable that each observes; empty for an operator that
        observes the whole state. An operator of several sensors defines :meth:`weigh` and :meth:`weighted`.
    keeps_channels : bool
        Whether H(x) has as many channels as x, as the operator of a single sensor must.
    nested : dict of str to str or list of str
        Arguments that are parts themselves, with their sections, for recipes and model files; see
        :func:`da4dvar.config.kinds.register`. Missing if there are none.

    Examples
    --------
    >>> class Doubled(Observation):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> Doubled()(torch.ones(1, 1, 2))
    tensor([[[2., 2.]]])
    """

    of: Sequence[int] = ()
    keeps_channels: bool = True

    def weigh(self, errors: Sequence[float]) -> None:
        """Set the weights of the sensors from the standard deviations of their errors.

        Parameters
        ----------
        errors : sequence of float
            Error standard deviation of each sensor, all in the same units.

        Raises
        ------
        NotImplementedError
            If the operator has no sensors.
        """
        raise NotImplementedError(f"{type(self).__name__} has no sensors to weigh")

    def weighted(self, misfit: Tensor) -> Tensor:
        """Multiply the misfit of each sensor by the square root of its weight; unchanged without sensors.

        Parameters
        ----------
        misfit : Tensor, shape ``(batch, observed channel, *space)``
            H(x) − y.

        Returns
        -------
        Tensor, shape of `misfit`
        """
        return misfit


class Identity(Observation):
    """H(x) = x: the state itself is observed, on Ω. Paper, eq. (3).

    Examples
    --------
    >>> x = torch.ones(1, 1, 2)
    >>> Identity()(x) is x
    True
    """

    def forward(self, x: Tensor) -> Tensor:
        """H(x).

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        Tensor
            `x` itself.
        """
        return x


class LinearOperator(Observation):
    """H(x) = A x along the channels: each observed channel is a known mixture of the state's.

    Parameters
    ----------
    matrix : array_like, shape (observed channel, channel)
        A; it is stored in a model file and not learned.

    Examples
    --------
    >>> mean = LinearOperator([[0.5, 0.5]])
    >>> mean(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[2., 3.]]])
    """

    matrix: Tensor

    def __init__(self, matrix: Sequence[Sequence[float]] | Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.as_tensor(matrix, dtype=torch.get_default_dtype()))
        self.keeps_channels = self.matrix.shape[0] == self.matrix.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """A x in every cell.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        Tensor, shape ``(batch, observed channel, *space)``
        """
        return torch.einsum("oc,bc...->bo...", self.matrix, x)


class LearnedOperator(Observation):
    """H(x) = K * x + b, a convolution that is learned with the rest and starts as the identity.

    Parameters
    ----------
    channels : int
        Number of channels of the state.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each space axis.
    kernel : int
        Length of K along each axis, odd: the footprint of the instrument.
    shared : bool
        If true, one K and one b act on each channel separately, as suits channels that are the times of
        one variable. If false, K connects every channel to every other.

    Raises
    ------
    ValueError
        If the kernel is even, or a boundary rule is unknown.

    Examples
    --------
    >>> x = torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> bool((LearnedOperator(1, ["zero"])(x) == x).all())
    True
    """

    def __init__(self, channels: int, boundary: Sequence[str], kernel: int = 3, shared: bool = False) -> None:
        super().__init__()
        self.channels, self.boundary, self.kernel, self.shared = channels, tuple(boundary), kernel, shared
        together = 1 if shared else channels
        self.smear = Convolution(together, together, kernel, boundary)
        weight = self.smear.convolution.weight
        nn.init.dirac_(weight)
        nn.init.zeros_(self.smear.convolution.bias)

    def forward(self, x: Tensor) -> Tensor:
        """K * x + b.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        Tensor, shape of `x`
        """
        smeared: Tensor = self.smear(x.flatten(0, 1).unsqueeze(1) if self.shared else x)
        return smeared.reshape(x.shape)


class Sensors(Observation):
    """H(x) = [H₁(x), …, H_K(x)], and U_O = λ_o Σ_k w_k ‖H_k(x) − y_k‖²_{Ω_k}: several observations of x.

    The H_k may be learned together with the other parameters: the "trainable observation models" of Fablet
    et al. (2021). The weights w_k are the inverse error variances relative to that of the most accurate
    sensor, so that λ_o is the weight of this sensor.

    Parameters
    ----------
    operators : sequence of nn.Module
        H_k, each of which maps the channels of one state variable to the same number of channels.
    of : sequence of int, optional
        Index of the state variable that each sensor observes; by default 0 for all.
    states : int
        Number of state variables.
    learn_weights : bool
        Whether to learn the w_k together with the other parameters; they remain positive.

    Raises
    ------
    ValueError
        If the variables do not match the operators, or an operator changes the number of channels.

    Examples
    --------
    >>> both = Sensors([Identity(), Identity()])
    >>> both(torch.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 2.],
             [1., 2.]]])
    """

    nested: ClassVar[dict[str, str | list[str]]] = {"operators": ["observation"]}

    def __init__(
        self,
        operators: Sequence[nn.Module],
        of: Sequence[int] | None = None,
        states: int = 1,
        learn_weights: bool = True,
    ) -> None:
        super().__init__()
        self.of = [0] * len(operators) if of is None else list(of)
        if not operators or len(self.of) != len(operators) or not all(0 <= k < states for k in self.of):
            raise ValueError(
                f"got the variables {self.of} for {len(operators)} operators, "
                f"expected an index from 0 to {states - 1} for each"
            )
        for operator in operators:
            if not getattr(operator, "keeps_channels", True):
                raise ValueError(
                    f"the {type(operator).__name__} of a sensor changes the number of channels, "
                    "expected a square matrix, or another operator that keeps the number"
                )
        self.operators, self.states, self.learn_weights = nn.ModuleList(operators), states, learn_weights
        self.log_weights = nn.Parameter(torch.zeros(len(operators)), requires_grad=learn_weights)

    def weigh(self, errors: Sequence[float]) -> None:
        """Set the w_k from the error standard deviations of the sensors.

        Parameters
        ----------
        errors : sequence of float
            Error standard deviation of each sensor, all in the same units.

        Raises
        ------
        ValueError
            If there is not one positive, finite number per sensor.
        """
        if len(errors) != len(self.operators) or not all(0 < e < math.inf for e in errors):
            raise ValueError(f"errors are {list(errors)}, expected {len(self.operators)} numbers above 0")
        weights = [2 * math.log(min(errors) / error) for error in errors]
        self.log_weights.data = torch.tensor(weights).to(self.log_weights)

    def forward(self, x: Tensor) -> Tensor:
        """H(x): the observations by all sensors, concatenated along the channels.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State, with its variables concatenated along the channels.

        Returns
        -------
        Tensor, shape ``(batch, observed channel, *space)``
        """
        fields = x.chunk(self.states, dim=1)
        return torch.cat([h(fields[k]) for h, k in zip(self.operators, self.of, strict=True)], dim=1)

    def weighted(self, misfit: Tensor) -> Tensor:
        """Multiply the part of each sensor by the square root of its weight.

        Parameters
        ----------
        misfit : Tensor, shape ``(batch, observed channel, *space)``
            H(x) − y of all sensors.

        Returns
        -------
        Tensor, shape of `misfit`
        """
        roots = self.log_weights.to(misfit.dtype).mul(0.5).exp()
        parts = misfit.chunk(len(self.operators), dim=1)
        return torch.cat([root * part for root, part in zip(roots, parts, strict=True)], dim=1)
