"""Derivatives along a direction."""

from concurrent.futures import ThreadPoolExecutor

import torch

from da4dvar.variational.forward_mode import derivative_along


def test_it_is_the_derivative():
    """Of sin x and x³ at several points, as calculus says."""
    x, d = torch.linspace(-1, 1, 5), torch.arange(5.0)
    first, second = derivative_along(lambda x: (torch.sin(x), x**3), x, d)
    torch.testing.assert_close(first, torch.cos(x) * d)
    torch.testing.assert_close(second, 3 * x**2 * d)


def test_threads_do_not_disturb_each_other():
    """As when dask fills several blocks at a time."""
    x = torch.randn(4, 40, 50)

    def along(seed: int) -> torch.Tensor:
        d = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        return derivative_along(torch.square, x, d) - 2 * x * d

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(along, range(400)))
    assert all(torch.allclose(rest, torch.zeros(())) for rest in found)
