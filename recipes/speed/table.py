"""The table in this recipe's README, measured in one run on the machine on which it is started.

python recipes/speed/table.py [--other PYTHON] [--threads 1]

`--other` is the interpreter of an environment with `ocean4dvarnet` (see the README); without it those rows
are left out.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from measuring import arguments, measured

from da4dvar.evaluation.text import as_columns

Row = list[str]


def against_published(other: str, threads: int, gflops: float) -> list[Row]:
    """Return rows for one solve and one training step of a field."""
    rows = []
    for work, name in (("solve", "one solve, 1×15×240×240"), ("step", "one training step, same sizes")):
        ours = measured("field.py", "--work", work, threads=threads)
        half = measured("field.py", "--work", work, "--precision", "bfloat16", threads=threads)
        lean = (
            measured("field.py", "--work", work, "--checkpoint", threads=threads) if work == "step" else ours
        )
        share = 100 * ours["gflop"] / ours["seconds"] / gflops
        rows.append([f"{name}: share of the largest throughput", f"{share:.0f} %", "", ""])
        rows.append([f"{name}, bfloat16", *against(ours["seconds"], half["seconds"], "s", "float32")])
        if lean is not ours:
            rows.append([f"{name}, checkpointed", *against(ours["seconds"], lean["seconds"], "s", "without")])
        if other:
            theirs = measured("published.py", "--work", work, python=other, threads=threads)
            rows.append([name, *against(theirs["seconds"], ours["seconds"], "s", "ocean4dvarnet")])
            rows.append([f"{name}, memory", *against(theirs["gib"], lean["gib"], "GiB", "ocean4dvarnet")])
    return rows


def against(theirs: float, ours: float, unit: str, what: str) -> Row:
    """Return our value, the value with which it is compared, and their ratio."""
    return [f"{ours:.2f} {unit}", f"{what}: {theirs:.2f} {unit}", f"{theirs / ours:.2f}"]


def timed(*command: str) -> float:
    """Return the least wall-clock time of five runs, in seconds."""
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main(other: str, threads: int, model: str) -> None:
    """Measure everything and print the table."""
    machine = measured("machine.py", threads=threads)
    gflops = machine.pop("GFLOP/s")
    rows: list[Row] = [["work", "here", "compared with", "times less"]]
    rows += against_published(other, threads, gflops)
    year = measured("year.py", "--model", model, threads=threads)
    first, *others = [name.removesuffix(", s") for name in year if name.endswith(", s")]
    for name in others:
        rows.append(
            [
                f"a year, file to file, {name}, RMSE {year[f'{name}, RMSE']:.4f}",
                *against(year[f"{first}, s"], year[f"{name}, s"], "s", first),
            ]
        )
    rows[-1][2] += f", RMSE {year[f'{first}, RMSE']:.4f}"
    lorenz = measured("lorenz.py", threads=threads)
    rows.append(
        [
            "Lorenz-96, 256 series, 20 iterations",
            *against(lorenz["convolutions, s"], lorenz["shifts, s"], "s", "1-channel convolutions"),
        ]
    )
    # Matrices of 40 × 40 are too small for several threads: scipy's solve uses one, and so does the ladder.
    climbed = measured("lorenz.py", "--ladder", "--series", 64)
    rows.append(
        [
            "Levenberg-Marquardt, 64 series of 200×40, one thread",
            *against(climbed["sparse, s"], climbed["batched, s"], "s", "scipy sparse solves"),
        ]
    )
    spread = max(machine.values()) / min(machine.values())
    rows.append(["time per cell and iteration, largest over smallest", f"{spread:.2f}", "", ""])
    python = [sys.executable, "-m", "da4dvar", "--help"]
    rows.append(["da4dvar --help", f"{timed(*python):.2f} s", "", ""])
    rows.append(["import da4dvar", f"{timed(sys.executable, '-c', 'import da4dvar'):.2f} s", "", ""])
    print(f"{threads} thread(s), largest convolution throughput {gflops:.0f} GFLOP/s")
    print(as_columns(rows))
    print(
        "microseconds per cell, channel and iteration: "
        + ", ".join(f"{k} {v:.3f}" for k, v in machine.items())
    )


if __name__ == "__main__":
    given = arguments(__doc__, ("--other", ""), ("--threads", 1), ("--model", "lstm.safetensors"))
    main(given.other and str(Path(given.other).absolute()), given.threads, given.model)
