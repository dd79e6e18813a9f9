"""What `import da4dvar` does: little, whatever the order of imports, and names only what is public."""

from __future__ import annotations

import subprocess
import sys

import pytest

import da4dvar


def loaded(code: str) -> set[str]:
    """The modules in memory after some code, in a fresh interpreter."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_the_package_alone_loads_no_library():
    """Neither torch nor xarray, nor what they are made of."""
    assert loaded("import da4dvar").isdisjoint({"torch", "xarray", "numpy", "pandas", "dask"})


@pytest.mark.parametrize("order", ["import da4dvar\nimport xarray", "import xarray\nimport da4dvar"])
def test_the_accessors_are_there_in_either_order(order):
    """Import sorters put da4dvar first; torch is not loaded for it."""
    code = f"{order}\nassert xarray.Dataset.da4dvar and xarray.DataArray.da4dvar"
    assert "torch" not in loaded(code)


def test_the_hook_leaves_no_trace():
    """Once xarray is loaded, or only looked for, it is as if there had been none."""
    loaded(
        "import importlib.resources, importlib.util, sys\n"
        "before = list(sys.meta_path)\n"
        "import da4dvar\n"
        "importlib.util.find_spec('xarray')\n"
        "import xarray\n"
        "assert sys.meta_path == before\n"
        "assert type(xarray.__loader__).__name__ == 'SourceFileLoader'\n"
        "assert xarray.__spec__.loader is xarray.__loader__\n"
        "assert importlib.resources.files('xarray').is_dir()\n"
        "assert xarray.Dataset.da4dvar"
    )


def test_a_broken_xarray_says_so_itself():
    """The error is that of the import, and a second attempt is made without the hook."""
    loaded(
        "import sys, da4dvar\n"
        "sys.modules['numpy'] = None\n"
        "for _ in range(2):\n"
        "    try:\n        import xarray\n"
        "    except ImportError as error:\n        assert 'numpy' in str(error)\n"
        "    else:\n        raise SystemExit(1)"
    )


def test_the_package_lists_public_names_alone():
    """What a tab offers: no module that was imported, no constant."""
    modules = {"baselines", "fields", "simulate", "testing", "training", "variational"}
    assert set(dir(da4dvar)) == {*da4dvar.__all__} | modules
    assert all(getattr(da4dvar, name) is not None for name in dir(da4dvar))
