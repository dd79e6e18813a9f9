"""Sparse coding with a dictionary learned from complete images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, RecipeError, check_least, nearest
from da4dvar.fields.labels.given import data_set

CODINGS = ("omp", "lasso")


class SparseCoding:
    """x̂ = μ + D z with a sparse z, such that x̂ ≈ y on Ω: DICT in the paper's Table 1.

    Each turn fills the gaps with the last decoded image, codes the whole image and decodes it. With the
    Lasso, each turn lowers ‖y − μ − D z‖²_Ω / 2 + α ‖z‖₁, and the turns converge to the code of the
    observed pixels alone; with orthogonal matching pursuit there is no such cost. μ is the mean of the
    complete images, and D is learned from them by online dictionary learning (Mairal et al., 2009).

    Parameters
    ----------
    history : Dataset
        Complete images of the same variables, on the same cells.
    dims : sequence of str
        Dimensions of an image; all other dimensions are samples.
    atoms : int
        Number of columns of D, each of norm 1.
    coding : {"omp", "lasso"}
        Constraint on z: at most `sparsity` atoms (orthogonal matching pursuit), or a penalty `alpha` on the
        absolute values (Lasso).
    sparsity : int
        Number of atoms per image, for "omp".
    alpha : float
        Penalty, in the units of the data, for "lasso"; with both codings, also the penalty used to learn D.
    keep_observed : bool
        Whether to restore the observed values, including their noise. The numbers of the paper's Table 1 are
        consistent with this.
    turns : int
        Number of turns of coding and decoding. In the first, the gaps hold μ.
    images : int
        Maximum number of images, drawn at random from the history, from which D is learned.
    seed : int
        Seed of the choice of images and of the learning.

    Raises
    ------
    RecipeError
        If the coding is unknown or a number is out of range.

    Examples
    --------
    >>> images = np.random.default_rng(0).random((50, 1)) * np.ones((50, 4))
    >>> ds = xr.Dataset({"v": (("sample", "x"), images)})
    >>> gappy = ds.where(xr.DataArray(np.arange(4) != 2, dims="x"))
    >>> filled = SparseCoding(ds, ["x"], atoms=2, sparsity=1, turns=20).interpolate(gappy)
    >>> bool(abs(filled.v - ds.v).max() < 0.01)
    True
    """

    def __init__(
        self,
        history: xr.Dataset,
        dims: Sequence[str] = ("y", "x"),
        atoms: int = 100,
        coding: str = "omp",
        sparsity: int = 10,
        alpha: float = 0.1,
        keep_observed: bool = False,
        turns: int = 10,
        images: int = 10_000,
        seed: int = 0,
    ) -> None:
        if coding not in CODINGS:
            raise RecipeError(f"there is no coding {coding!r}: {nearest(coding, CODINGS)}")
        if min(atoms, sparsity, turns, images) < 1 or not alpha > 0 or (coding == "omp" and sparsity > atoms):
            raise RecipeError(
                f"atoms {atoms}, sparsity {sparsity}, turns {turns}, images {images} and alpha {alpha}: "
                "expected all above 0, and a sparsity of at most the number of atoms"
            )
        check_least(0, seed=seed)
        self.history, self.dims, self.atoms, self.coding = history, tuple(dims), atoms, coding
        self.sparsity, self.alpha, self.keep_observed = sparsity, alpha, keep_observed
        self.turns, self.images, self.seed = turns, images, seed

    @cached_property
    def dictionaries(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """μ, shape (cell,), and Dᵀ, shape (atom, cell), for each variable of the history."""
        return {str(name): self._learned(array) for name, array in self.history.data_vars.items()}

    def _learned(self, array: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.decomposition import MiniBatchDictionaryLearning
        from sklearn.exceptions import ConvergenceWarning

        self._check(array)
        values = array.transpose(..., *self.dims).values.astype("float64")
        vectors = values.reshape(-1, int(np.prod([array.sizes[d] for d in self.dims])))
        if not np.isfinite(vectors).all():
            raise DataError(f"the history of {array.name!r} has gaps; give complete images")
        generator = np.random.default_rng(self.seed)
        chosen = vectors[generator.permutation(len(vectors))[: self.images]]
        mean = chosen.mean(0)
        learner = MiniBatchDictionaryLearning(
            self.atoms,
            alpha=self.alpha,
            max_iter=5,
            batch_size=256,
            fit_algorithm="cd",
            transform_algorithm="omp",
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            # The codes need not be exact while the dictionary is learned.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return mean, learner.fit(chosen - mean).components_

    def _check(self, array: xr.DataArray) -> None:
        for dim in self.dims:
            if dim not in array.dims:
                has = ", ".join(map(str, array.dims))
                raise DataError(f"variable {array.name!r} has no dimension {dim!r}; it has {has}")

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Replace every variable by decoded images; images without any observation remain NaN.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The filled variables, with the labels of `ds`.

        Raises
        ------
        DataError
            If a variable is not in the history, or its images have another size there.
        """
        ds = data_set(ds)
        decoded = self.projected(ds)
        if self.keep_observed:
            for name, array in ds.data_vars.items():
                if array.dtype.kind == "f":
                    decoded[name] = array.copy(data=array.where(np.isfinite(array), decoded[name]).data)
        return decoded

    def projected(self, ds: xr.Dataset) -> xr.Dataset:
        """Return the decoded images, whatever `keep_observed`; for complete images, Φ(x) = μ + D z(x).

        Parameters
        ----------
        ds : Dataset
            Complete data, or data with NaN in the gaps.

        Returns
        -------
        Dataset
            The filled variables, with the labels of `ds`.

        Raises
        ------
        DataError
            If a variable is not in the history, or its images have another size there.
        """
        out = ds.copy()
        for name, array in ds.data_vars.items():
            if array.dtype.kind != "f":
                continue
            self._check(array)
            if name not in self.history:
                raise DataError(
                    f"the history has no variable {name!r}: {nearest(str(name), map(str, self.history))}"
                )
            for dim in self.dims:
                if array.sizes[dim] != self.history[name].sizes[dim]:
                    raise DataError(
                        f"variable {name!r} has {array.sizes[dim]} cells along {dim!r}, but its history has "
                        f"{self.history[name].sizes[dim]}; give images of the same size"
                    )
            core = list(self.dims)
            lazy = array if array.chunks is None else array.chunk(dict.fromkeys(core, -1))
            filled = xr.apply_ufunc(
                self._decoded,
                lazy,
                kwargs={"name": str(name)},
                input_core_dims=[core],
                output_core_dims=[core],
                dask="parallelized",
                output_dtypes=[array.dtype],
            )
            out[name] = array.copy(data=filled.transpose(*array.dims).data)
        return out

    def _decoded(self, values: np.ndarray, name: str) -> np.ndarray:
        """Code and decode images of shape ``(..., *dims)`` repeatedly."""
        mean, dictionary = self.dictionaries[name]
        y = values.reshape(-1, mean.size).astype("float64") - mean
        seen = np.isfinite(y)
        known = seen.any(1)
        y, seen = np.where(seen, y, 0.0)[known], seen[known]
        decoded = np.zeros_like(y)
        codes = None
        for _ in range(self.turns if len(y) else 0):
            codes = self._codes(np.where(seen, y, decoded), dictionary, codes)
            decoded = codes @ dictionary
        out = np.full((len(known), mean.size), np.nan)
        out[known] = decoded + mean
        return out.reshape(values.shape).astype(values.dtype)

    def _codes(self, x: np.ndarray, dictionary: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        from sklearn.decomposition import sparse_encode
        from sklearn.exceptions import ConvergenceWarning

        codes: np.ndarray
        if self.coding == "omp":
            codes = sparse_encode(x, dictionary, algorithm="omp", n_nonzero_coefs=self.sparsity)
            return codes
        with warnings.catch_warnings():
            # The next turn continues from these codes.
            warnings.simplefilter("ignore", ConvergenceWarning)
            codes = sparse_encode(
                x, dictionary, algorithm="lasso_cd", alpha=self.alpha, init=before, max_iter=200
            )
        return codes
