"""A tutorial runs in a folder of its own that has the data sets, as the root of the repository does."""

import os
import sysconfig
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
os.chdir(tempfile.mkdtemp(prefix="tutorial-"))
for name in ("datasets", "recipes"):
    os.symlink(ROOT / name, name)
# A warning without the path of the file that raised it.
warnings.formatwarning = lambda message, *others, **named: f"{message}\n"
