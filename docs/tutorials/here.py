"""A tutorial runs in a folder of its own that has the data sets, as the root of the repository does."""

import os
import subprocess
import sysconfig
import tempfile
import warnings
from pathlib import Path

from IPython import get_ipython

ROOT = Path(__file__).resolve().parents[2]


def bash(line: str, cell: str) -> None:
    """The magic of that name, but what is printed comes in one piece and not cut into lines of its own."""
    done = subprocess.run(
        ["bash", "-e", "-c", cell], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    print(done.stdout, end="")
    done.check_returncode()


os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
os.chdir(tempfile.mkdtemp(prefix="tutorial-"))
for name in ("datasets", "recipes"):
    os.symlink(ROOT / name, name)
# A warning without the path of the file that raised it.
warnings.formatwarning = lambda message, *others, **named: f"{message}\n"
get_ipython().register_magic_function(bash, "cell")
