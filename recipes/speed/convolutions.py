"""Convolutions of a learned solver of 32 × 32 cells, for one window and for sixteen, in several forms.

python recipes/speed/convolutions.py

Microseconds per window on one thread. "library" is what torch chooses: a product of matrices after unfolding
for a single small sample on one thread, otherwise oneDNN.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from measuring import arguments
from torch import Tensor

from da4dvar.cli.memory import keep_freed_memory
from da4dvar.evaluation.text import as_columns

# Input and output channels, length of the kernel, and cells along each axis.
LAYERS = {
    "prior, first": (15, 64, 3, 32),
    "prior, bilinear": (64, 192, 1, 32),
    "prior, last": (128, 15, 1, 32),
    "gates": (128, 256, 3, 16),
    "update": (64, 64, 1, 16),
}


def microseconds(work: Callable[[], Tensor], windows: int, times: int) -> str:
    """Return the least processor time of several runs, per window."""
    work()
    spent = []
    for _ in range(times):
        began = time.thread_time()
        work()
        spent.append(time.thread_time() - began)
    return f"{1e6 * min(spent) / windows:.0f}"


def main(times: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    rows = [["layer", "windows", "library", "oneDNN", "channels last", "matrix product", "backward"]]
    for layer, (inputs, outputs, kernel, side) in LAYERS.items():
        weight, bias, width = torch.randn(outputs, inputs, kernel, kernel), torch.randn(outputs), kernel // 2
        last = weight.contiguous(memory_format=torch.channels_last)
        flat = weight.flatten(1)
        sizes = ([width, width], [1, 1], [1, 1], 1)
        for windows in (1, 16):
            x = torch.randn(windows, inputs, side, side)
            gradient = torch.randn(windows, outputs, side, side)
            xl = x.contiguous(memory_format=torch.channels_last)
            forms: list[Callable[[], Tensor]] = [
                lambda w=weight, b=bias, x=x, p=width: F.conv2d(x, w, b, padding=p),
                lambda w=weight, b=bias, x=x, s=sizes: torch.mkldnn_convolution(x, w, b, *s),
                lambda w=last, b=bias, x=xl, s=sizes: torch.mkldnn_convolution(x, w, b, *s),
                lambda w=flat, x=x, k=kernel, p=width: (
                    w @ F.unfold(x, k, padding=p) if p else w @ x.flatten(2)
                ),
                lambda w=weight, x=x, g=gradient, p=width: torch.ops.aten.convolution_backward(
                    g, x, w, None, [1, 1], [p, p], [1, 1], False, [0, 0], 1, [True, False, False]
                )[0],
            ]
            with torch.no_grad():
                rows.append([layer, str(windows), *(microseconds(f, windows, times) for f in forms)])
    print(as_columns(rows))


if __name__ == "__main__":
    keep_freed_memory()
    main(arguments(__doc__, ("--times", 60)).times)
