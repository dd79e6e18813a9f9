"""Run a tutorial in a temporary folder that contains the data sets, like the root of the repository."""

import os
import subprocess
import sysconfig
import tempfile
import warnings
from pathlib import Path

from IPython import get_ipython

ROOT = Path(__file__).resolve().parents[2]


def bash(line: str, cell: str) -> None:
    """Run a cell in bash and print its output as a whole rather than line by line."""
    done = subprocess.run(
        ["bash", "-e", "-c", cell], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    print(done.stdout, end="")
    done.check_returncode()


os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
os.chdir(tempfile.mkdtemp(prefix="tutorial-"))
for name in ("datasets", "recipes"):
    os.symlink(ROOT / name, name)
# Show warnings without the path of the file that raised them.
warnings.formatwarning = lambda message, *others, **named: f"{message}\n"
get_ipython().register_magic_function(bash, "cell")
