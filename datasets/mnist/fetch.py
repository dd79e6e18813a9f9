"""Fetch the MNIST digits, check them by hash, and write them as NetCDF next to this file.

    python datasets/mnist/fetch.py                 # from a public mirror, 11.6 MB
    python datasets/mnist/fetch.py --from FOLDER   # from IDX files (.gz or not) or .npz files that are there

Writes ``mnist.nc``, all 70,000 digits (not kept in git), and ``mnist_512.nc``, the first 512 of the test set.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import struct
import sys
import urllib.request
from pathlib import Path

import numpy as np
import xarray as xr

HERE = Path(__file__).parent
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# SHA-256 of the four unpacked files, whatever their compression.
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
NPZ = {"train": "mnist_train.npz", "t10k": "mnist_test.npz"}
KEPT = 512


def from_mirror(name: str) -> bytes:
    """An IDX file from the first mirror that has it."""
    for mirror in MIRRORS:
        try:
            with urllib.request.urlopen(f"{mirror}{name}.gz", timeout=60) as answer:
                return gzip.decompress(answer.read())
        except OSError as error:
            print(f"{mirror}{name}.gz: {error}", file=sys.stderr)
    raise SystemExit(f"{name}: no mirror has it; download it by hand and use --from FOLDER")


def from_folder(folder: Path, name: str) -> bytes:
    """An IDX file from a folder, or made of the arrays ``x`` and ``y`` of an .npz file there."""
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        return plain.read_bytes()
    if packed.is_file():
        return gzip.decompress(packed.read_bytes())
    part, what = name.split("-")[:2]
    arrays = folder / NPZ[part]
    if not arrays.is_file():
        raise SystemExit(f"{folder}: there is neither {name}, {packed.name} nor {arrays.name}")
    with np.load(arrays) as opened:
        values = opened["x" if what == "images" else "y"].astype("uint8")
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def checked(name: str, content: bytes) -> np.ndarray:
    """The array of an IDX file whose hash is the right one."""
    found = hashlib.sha256(content).hexdigest()
    if found != FILES[name]:
        raise SystemExit(f"{name}: SHA-256 {found}, expected {FILES[name]}; fetch it anew")
    axes = content[3]
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    return np.frombuffer(content, "uint8", offset=4 + 4 * axes).reshape(shape)


def dataset(images: np.ndarray, labels: np.ndarray, first: int) -> xr.Dataset:
    """Digits with their labels; `first` is the number of the first of them among all 70,000."""
    ds = xr.Dataset(
        {
            "digit": (("sample", "y", "x"), images, {"long_name": "intensity of the ink", "units": "1"}),
            "label": ("sample", labels, {"long_name": "what the digit is"}),
        },
        coords={"sample": ("sample", np.arange(first, first + len(images), dtype="int32"))},
        attrs={
            "Conventions": "CF-1.11",
            "title": "MNIST handwritten digits",
            "source": "Y. LeCun, C. Cortes and C. J. C. Burges; samples 0 to 59999 are the training set",
        },
    )
    # Grey levels as they are; whoever opens the file sees 0 to 1.
    ds.digit.attrs["scale_factor"] = np.float32(1 / 255)
    return ds


def write(ds: xr.Dataset, name: str, level: int) -> None:
    """A compressed NetCDF file beside this one."""
    ds.to_netcdf(HERE / name, encoding={"digit": {"zlib": True, "complevel": level}, "label": {"zlib": True}})
    print(f"wrote {HERE / name}, {(HERE / name).stat().st_size:,} bytes")


def main() -> None:
    """Fetch, check and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path, help="a folder with the files")
    folder = parser.parse_args().folder
    arrays = {}
    for name in FILES:
        content = from_mirror(name) if folder is None else from_folder(folder, name)
        arrays[name] = checked(name, content)
    train, train_labels, test, test_labels = arrays.values()
    write(
        dataset(np.concatenate([train, test]), np.concatenate([train_labels, test_labels]), 0), "mnist.nc", 4
    )
    write(dataset(test[:KEPT], test_labels[:KEPT], len(train)), f"mnist_{KEPT}.nc", 9)


if __name__ == "__main__":
    main()
