"""The memory of a solution is counted by its tensors."""

import subprocess
import sys

import numpy as np
import torch

from da4dvar.analysis.window_solver import WindowSolver
from da4dvar.fields.channels import Entries
from da4dvar.outofcore.memory import Living, window_bytes


def test_the_peak_is_that_of_the_tensors_that_live_together():
    """The peak counts live tensors, but neither released tensors nor views."""
    with Living() as living:
        first = torch.ones(1000)
        view = first.view(10, 100)
        assert living.peak == 4000
        del first, view
        assert living.bytes == 0
        second = torch.ones(500) + 1
    assert living.peak == 4000
    assert second.numel() == 500


def test_a_window_takes_the_same_each_time(model):
    """The count is reproducible, above the window's own size, and does not import torch's compiler."""
    solve = WindowSolver(model.frozen(), model.layout, model.initial, model.time, Entries(1))
    taken = [window_bytes(solve, 1, (6, 5, 6)) for _ in range(2)]
    assert taken[0] == taken[1] > np.zeros((6, 5, 6), "float32").nbytes
    code = (
        "import sys, torch; from da4dvar.outofcore.memory import window_bytes; "
        "window_bytes(lambda x: torch.from_numpy(x) + 1, 1, (2, 2)); print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
