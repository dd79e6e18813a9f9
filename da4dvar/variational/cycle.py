"""A fixed-lag smoother that minimises U in windows, each of which hands a background to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from da4dvar.variational.background import Background
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.normal_equations import BlockTridiagonal
from da4dvar.variational.solvers.tangent import Tangent

# At the right minimum, U is χ²-distributed with as many degrees of freedom as there are observations. A
# sample is solved once more if U exceeds its mean by this many standard deviations.
UNLIKELY = 2.0
# The first attempt starts close to the minimum. The next ones climb the ladder, from the same start and from
# another one.
ITERATIONS, TOLERANCE, LADDER = 10, 1e-4, (1e-2, 1e-1, 1.0)


@dataclass(frozen=True)
class Window:
    """Observations of the last times, their analysis, and what is known from earlier observations.

    Parameters
    ----------
    background : Background
        Distribution of the first state of the window, given all observations before the window.
    x : Tensor, shape ``(batch, channel, *space, time)``
        Analysis.
    y : Tensor, shape of `x`
        Observations, zero outside Ω.
    mask : Tensor of bool, shape of `x`
        Ω.

    Examples
    --------
    >>> x = torch.zeros(1, 1, 2, 5)
    >>> Window(Background.isotropic(x[..., 0], std=1.0), x, x, x > 0).times
    5
    """

    background: Background
    x: Tensor
    y: Tensor
    mask: Tensor

    @property
    def times(self) -> int:
        """Number of times of the window."""
        return self.x.shape[-1]


class Cycle:
    """x̂(t − L … t) = arg min U + ‖x(t − L) − x_b‖²_B at every time t, with x_b and B from the window before.

    When a time leaves the window, its observations and its background become the background of the next time
    by one step of an extended Kalman filter, linearised at the analysis,

        C = (B⁻¹ + λ_o Ω)⁻¹,  m = x_b + λ_o C Ω (y − x_b),
        x_b ← Φ(x̂) + A (m − x̂),  B ← ρ² A C Aᵀ + I / λ_p,

    so that no observation counts twice. For linear dynamics, the analyses are those of a Kalman filter
    (last time) and of a fixed-lag Kalman smoother (first time).

    Parameters
    ----------
    cost : VariationalCost
        U, −2 log p of the state, with a flow as prior and observations of the state itself.
    lag : int
        L, the number of steps over which an observation acts on earlier states.
    like : Tensor, shape ``(batch, channel, *space)``
        A tensor with the shape, data type and device of the states at one time.
    inflation : float
        ρ, the factor of the standard errors in each step.
    static : float, optional
        Standard deviation of a B that remains the same, B = static² I, in place of the above.
    restart : callable, optional
        Function from a :class:`Cost` with a background to a new start x(0), for samples whose U is unlikely.

    Examples
    --------
    >>> standing = Flow(torch.zeros_like, step=1.0)
    >>> one = torch.ones(1, 1, 1, dtype=torch.float64)
    >>> cycle = Cycle(VariationalCost(standing, prior_weight=1e9), lag=2, like=one)
    >>> window = cycle.begun(Background.isotropic(0 * one, std=1.0))
    >>> for _ in range(3):  # observations of 1 with variance 1, and a background of 0
    ...     window = cycle.advanced(window, one, one > 0)
    >>> window.x.flatten().numpy().round(4), cycle.covariance(window).flatten().numpy().round(4)
    (array([0.75, 0.75, 0.75]), array([0.25, 0.25, 0.25]))
    """

    def __init__(
        self,
        cost: VariationalCost,
        lag: int,
        like: Tensor,
        inflation: float = 1.0,
        static: float | None = None,
        restart: Callable[[Cost], Tensor] | None = None,
    ) -> None:
        self.cost, self.lag, self.inflation, self.static = cost, lag, inflation, static
        self.restart = restart
        self.tangent = Tangent(self.flow, like[..., None])
        self.solver = LevenbergMarquardt(ITERATIONS, (1.0,), tolerance=TOLERANCE, rollout=True)
        self.climber = LevenbergMarquardt(ITERATIONS * len(LADDER), LADDER, tolerance=TOLERANCE, rollout=True)

    @property
    def flow(self) -> Flow:
        """Φ."""
        assert isinstance(self.cost.prior, Flow)
        return self.cost.prior

    def begun(self, background: Background) -> Window:
        """Return a window without times, whose first time will have a background.

        Parameters
        ----------
        background : Background
            Distribution of the first state.

        Returns
        -------
        Window
        """
        x = background.mean[..., None][..., :0]
        return Window(background, x, x, x > 0)

    def advanced(self, window: Window, y: Tensor, mask: Tensor) -> Window:
        """Return the window that ends one step later.

        Parameters
        ----------
        window : Window
            Window that ends one step before.
        y : Tensor, shape ``(batch, channel, *space)``
            Observations of the new time; not used outside Ω.
        mask : Tensor of bool, shape of `y`
            Ω at the new time.

        Returns
        -------
        Window
        """
        new = window.background.mean[..., None]
        if window.times:
            new = self.flow.forecast(window.x[..., -1:])
        y = torch.where(mask, y, 0.0)[..., None]
        background, first = window.background, 0
        if window.times > self.lag:
            background, first = self._handed_on(window), 1
        window = Window(
            background,
            torch.cat([window.x[..., first:], new], -1),
            torch.cat([window.y[..., first:], y], -1),
            torch.cat([window.mask[..., first:], mask[..., None]], -1),
        )
        return self._solved(window)

    def covariance(self, window: Window) -> Tensor:
        """Return the covariance of the error of the analysis at every time.

        Parameters
        ----------
        window : Window
            Window with its analysis.

        Returns
        -------
        Tensor, shape (batch, time, n, n)
        """
        return BlockTridiagonal(self._cost(window), self.flow, window.background, self.tangent).covariance(
            window.x
        )

    def _cost(self, window: Window) -> Cost:
        return self.cost.given(window.y, window.mask, background=window.background)

    def _solved(self, window: Window) -> Window:
        """Minimise U for the samples that are observed at the last time."""
        seen = window.mask[..., -1].flatten(1).any(1).nonzero().squeeze(1)
        if not len(seen):
            return window
        cost, x = self._cost(window).part(seen), window.x.clone()
        found = self.solver(cost, x[seen], tangent=self.tangent)
        x[seen], reached, count = found.x, found.cost[-1], cost.mask.flatten(1).sum(1)
        for again in (False, True):
            high = (reached > count + UNLIKELY * (2 * count).sqrt()).nonzero().squeeze(1)
            if not len(high) or (again and self.restart is None):
                break
            part = cost.part(high)
            start = self.restart(part).to(x) if again and self.restart else window.x[seen[high]]
            other = self.climber(part, start, tangent=self.tangent)
            lower = other.cost[-1] < reached[high]
            x[seen[high[lower]]], reached[high[lower]] = other.x[lower], other.cost[-1, lower]
        return replace(window, x=x)

    def _handed_on(self, window: Window) -> Background:
        """Return the background of the second time of a window."""
        before, at = window.background, window.x[..., :1]
        seen, weights = window.mask[..., 0].flatten(1), self.cost.log_weights.exp().tolist()
        forecast, jacobian = self.tangent(at)
        jacobian = jacobian[:, 0]
        precision = before.precision + torch.diag_embed(weights[0] * seen.to(at.dtype))
        inverse = torch.linalg.inv(precision)
        innovation = torch.where(window.mask[..., 0], window.y[..., 0] - before.mean, 0.0).flatten(1)
        departure = (before.mean - at[..., 0]).flatten(1)[..., None]
        departure = departure + weights[0] * inverse @ innovation[..., None]
        mean = forecast[..., 0] + (jacobian @ departure).reshape(before.mean.shape)
        if self.static is not None:
            return Background.isotropic(mean, self.static)
        spread = self.inflation**2 * jacobian @ inverse @ jacobian.mT
        noise = torch.eye(spread.shape[-1]).to(spread) / weights[1]
        return Background(mean, (spread + spread.mT) / 2 + noise)
