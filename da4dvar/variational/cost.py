"""The variational cost, eqs. (1), (3) and (4), and its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from da4dvar.variational.background import Background
from da4dvar.variational.observation import Identity, Observation

SHAPES: dict[str, Callable[[Tensor], Tensor]] = {"square": torch.square, "absolute": torch.abs}


def refuse_inference_mode() -> None:
    """Raise an error in inference mode, where torch computes no derivatives.

    Raises
    ------
    RuntimeError
        Under ``torch.inference_mode()``.

    Examples
    --------
    >>> with torch.no_grad():
    ...     refuse_inference_mode()
    >>> with torch.inference_mode():
    ...     refuse_inference_mode()
    Traceback (most recent call last):
    ...
    RuntimeError: a solver differentiates U: use torch.no_grad(), not inference_mode
    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError("a solver differentiates U: use torch.no_grad(), not inference_mode")


class Terms(NamedTuple):
    """The two weighted terms of U, one value per sample: eq. (1) of the paper.

    Parameters
    ----------
    observation : Tensor, shape (batch,)
        λ_o ‖H(x) − y‖²_Ω, plus ‖x(t₀) − x_b‖²_B if there is a background, which is an observation of the
        first state.
    prior : Tensor, shape (batch,)
        λ_p ρ(‖x − Φ(x)‖).

    Examples
    --------
    >>> Terms(torch.tensor([9.0]), torch.tensor([2.0])).total
    tensor([11.])
    """

    observation: Tensor
    prior: Tensor

    @property
    def total(self) -> Tensor:
        """U itself, shape (batch,)."""
        return self.observation + self.prior


class Cost:
    """U(x) for a given observation y on the domain Ω.

    A solver minimises this object, which :meth:`VariationalCost.given` creates.

    Parameters
    ----------
    model : VariationalCost
        The model of the cost: Φ, H, ρ and both weights.
    y : Tensor, shape ``(batch, channel, *space)``
        Observations, with the channels of H(x). Values outside Ω are replaced by zero.
    mask : Tensor of bool, same shape
        Ω: true where there is an observation.
    covariates : Tensor, shape ``(batch, covariate, *space)``, optional
        c: complete fields that are given, not estimated.
    background : Background, optional
        x_b and B, which add the term ‖x(t₀) − x_b‖²_B.

    Examples
    --------
    >>> y = torch.tensor([[[1.0, torch.nan]]])
    >>> cost = VariationalCost(torch.zeros_like).given(y, y.isfinite())
    >>> cost(torch.tensor([[[3.0, 1.0]]]))  # (3 - 1)² + 3² + 1²
    tensor([14.])
    """

    def __init__(
        self,
        model: VariationalCost,
        y: Tensor,
        mask: Tensor,
        covariates: Tensor | None = None,
        background: Background | None = None,
    ) -> None:
        self.model, self.mask, self.covariates, self.background = model, mask, covariates, background
        self.y = torch.where(mask, y, 0.0)

    def prior(self, x: Tensor) -> Tensor:
        """Φ(x), or Φ(x, c).

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        Tensor, shape of `x`
        """
        return self.model.projected(x, self.covariates)

    def part(self, samples: Tensor) -> Cost:
        """Return the cost of a subset of the samples.

        Parameters
        ----------
        samples : Tensor of int or bool
            Indices of the samples, or a mask of them.

        Returns
        -------
        Cost
        """
        covariates = None if self.covariates is None else self.covariates[samples]
        background = None if self.background is None else self.background[samples]
        return Cost(self.model, self.y[samples], self.mask[samples], covariates, background)

    def of(self, model: VariationalCost, y: Tensor | None = None, mask: Tensor | None = None) -> Cost:
        """Return the cost of another model, or for other observations, with all else as it is.

        Parameters
        ----------
        model : VariationalCost
            The model of the cost.
        y, mask : Tensor, optional
            Observations and Ω, by default those of this cost.

        Returns
        -------
        Cost
        """
        y, mask = self.y if y is None else y, self.mask if mask is None else mask
        return Cost(model, y, mask, self.covariates, self.background)

    def terms(self, x: Tensor) -> Terms:
        """Both weighted terms of U at `x`.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        Terms
            Both terms, each of shape (batch,).
        """
        terms = self.model.terms(x, self.y, self.mask, self.covariates)
        if self.background is None:
            return terms
        return terms._replace(observation=terms.observation + self.background.term(x))

    def __call__(self, x: Tensor) -> Tensor:
        """U(x), shape (batch,)."""
        return self.terms(x).total

    def gradient(self, x: Tensor) -> tuple[Tensor, Terms]:
        """∇U at `x`, and both terms of U there.

        Under ``torch.no_grad()`` the graph is discarded. Otherwise the gradient can itself be
        differentiated, as training a solver requires.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        gradient : Tensor, shape of `x`
            Gradient of the U of each sample.
        terms : Terms
            Both weighted terms of U at `x`.

        Raises
        ------
        RuntimeError
            Under ``torch.inference_mode()``, where no gradient exists.
        """
        (gradient,), terms = self._differentiated(x, lambda terms: (terms.total,))
        return gradient, terms

    def gradients(self, x: Tensor) -> tuple[Terms, Terms]:
        """The separate gradients of both terms of U at `x`, and both terms there.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        gradients : Terms
            Gradient of each term, of the shape of `x`.
        terms : Terms
            Both weighted terms of U at `x`.

        Raises
        ------
        RuntimeError
            Under ``torch.inference_mode()``, where no gradient exists.
        """
        gradients, terms = self._differentiated(x, lambda terms: terms)
        return Terms(*gradients), terms

    def _differentiated(
        self, x: Tensor, parts: Callable[[Terms], tuple[Tensor, ...]]
    ) -> tuple[list[Tensor], Terms]:
        refuse_inference_mode()
        training = torch.is_grad_enabled()
        with torch.enable_grad():
            if not (training and x.requires_grad):
                x = x.detach().requires_grad_()
            terms = self.terms(x)
            # The cost of a sample depends on no other, so the gradient of the sum holds those of all samples.
            wanted = parts(terms)
            # Unless training, the graph is freed while the last gradient is computed.
            kept = [training or k + 1 < len(wanted) for k in range(len(wanted))]
            gradients = [
                torch.autograd.grad(part.sum(), x, create_graph=training, retain_graph=keep)[0]
                for part, keep in zip(wanted, kept, strict=True)
            ]
        if not training:
            terms = Terms(terms.observation.detach(), terms.prior.detach())
        return gradients, terms


class VariationalCost(nn.Module):
    """U(x, y, Ω) = λ_o ‖H(x) − y‖²_Ω + λ_p ρ(‖x − Φ(x)‖). Paper, eqs. (1), (3), (4).

    The paper is Fablet, Drumetz and Rousseau (2020), arXiv:2006.03653. The norms are sums, not means, over
    the cells of a sample, so that the gradient in a cell does not depend on the size of the window.

    Parameters
    ----------
    prior : nn.Module
        Φ, which preserves the shape ``(batch, channel, *space)``. A prior whose attribute `covariates` is
        positive is called as Φ(x, c).
    observation : nn.Module, optional
        H; the identity if not given. An operator that weighs its misfit is an
        :class:`~da4dvar.variational.observation.Observation`.
    rho : {"square", "absolute"} or callable
        ρ, applied to the norm of each sample, shape (batch,).
    observation_weight, prior_weight : float
        λ_o and λ_p, both positive.
    learn_weights : bool
        Whether to learn both weights together with the other parameters; they remain positive.

    Raises
    ------
    ValueError
        If ρ is unknown, or a weight is not positive.

    Examples
    --------
    >>> mean = lambda x: x.mean(-1, keepdim=True).expand_as(x)
    >>> cost = VariationalCost(mean).given(torch.zeros(1, 1, 2), torch.tensor([[[True, False]]]))
    >>> cost.terms(torch.tensor([[[3.0, 1.0]]]))
    Terms(observation=tensor([9.]), prior=tensor([2.]))
    """

    nested: ClassVar[dict[str, str | list[str]]] = {"prior": "prior", "observation": "observation"}

    def __init__(
        self,
        prior: Callable[..., Tensor],
        observation: nn.Module | None = None,
        rho: str | Callable[[Tensor], Tensor] = "square",
        observation_weight: float = 1.0,
        prior_weight: float = 1.0,
        learn_weights: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(rho, str) and rho not in SHAPES:
            raise ValueError(f"rho is {rho!r}, expected {' or '.join(SHAPES)}, or a callable")
        if min(observation_weight, prior_weight) <= 0:
            raise ValueError(f"weights are {observation_weight} and {prior_weight}, expected both above 0")
        self.prior = prior
        self.observation = Identity() if observation is None else observation
        self.rho, self.learn_weights = rho, learn_weights
        self.observation_weight, self.prior_weight = observation_weight, prior_weight
        self.log_weights = nn.Parameter(
            torch.tensor([math.log(observation_weight), math.log(prior_weight)]), requires_grad=learn_weights
        )

    def given(
        self,
        y: Tensor,
        mask: Tensor,
        covariates: Tensor | None = None,
        background: Background | None = None,
    ) -> Cost:
        """Return the cost for an observation `y` on the domain `mask`.

        Parameters
        ----------
        y : Tensor, shape ``(batch, channel, *space)``
            Observations; may be NaN outside Ω.
        mask : Tensor of bool, same shape
            Ω: true where there is an observation.
        covariates : Tensor, shape ``(batch, covariate, *space)``, optional
            c, for a prior that uses covariates.
        background : Background, optional
            x_b and B, which add the term ‖x(t₀) − x_b‖²_B.

        Returns
        -------
        Cost
        """
        return Cost(self, y, mask, covariates, background)

    def projected(self, x: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Φ(x), or Φ(x, c) for a prior that uses covariates.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.
        covariates : Tensor, shape ``(batch, covariate, *space)``, optional
            c; ignored by a prior that does not use covariates.

        Returns
        -------
        Tensor, shape of `x`
        """
        if covariates is None or not getattr(self.prior, "covariates", 0):
            return self.prior(x)
        return self.prior(x, covariates)

    def misfit(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """H(x) − y on Ω, zero elsewhere; with several sensors, each times the square root of its weight.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.
        y : Tensor, shape of H(x)
            Observations; not used outside Ω.
        mask : Tensor of bool, shape of `y`
            Ω: true where there is an observation.

        Returns
        -------
        Tensor, shape of `y`
        """
        misfit = torch.where(mask, self.observation(x) - y, 0.0)
        return self.observation.weighted(misfit) if isinstance(self.observation, Observation) else misfit

    def reweigh(self, factor: float) -> None:
        """Multiply λ_o by a factor, for a different observation error.

        Parameters
        ----------
        factor : float
            Positive factor.
        """
        self.log_weights.data[0] += math.log(factor)

    def terms(self, x: Tensor, y: Tensor, mask: Tensor, covariates: Tensor | None = None) -> Terms:
        """Both weighted terms of U at `x`.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.
        y : Tensor, shape of H(x)
            Observations; not used outside Ω.
        mask : Tensor of bool, shape of `y`
            Ω: true where there is an observation.
        covariates : Tensor, shape ``(batch, covariate, *space)``, optional
            c, for a prior that uses covariates.

        Returns
        -------
        Terms
            Both terms, each of shape (batch,).
        """
        weights = self.log_weights.to(x.dtype).exp()
        misfit = self.misfit(x, y, mask)
        residual = x - self.projected(x, covariates)
        squares = residual.square().flatten(1).sum(1)
        if self.rho == "square":
            shaped = squares
        else:
            rho = SHAPES[self.rho] if isinstance(self.rho, str) else self.rho
            # The norm has no derivatives at zero; rounding of the squares keeps them finite.
            shaped = rho((squares + torch.finfo(x.dtype).eps).sqrt())
        return Terms(weights[0] * misfit.square().flatten(1).sum(1), weights[1] * shaped)
