"""Sparse coding over a dictionary that is learned from complete images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, RecipeError, check_least, nearest

CODINGS = ("omp", "lasso")


class SparseCoding:
    """x̂ = μ + D z, z sparse, such that x̂ ≈ y on Ω: the paper's rows DICT (Table 1).

    Coded and decoded in turn: the gaps hold what was decoded last, the whole image is coded, and decoded
    again. With the Lasso each turn lowers ‖y − μ − D z‖²_Ω / 2 + α ‖z‖₁, and the turns end where coding the
    observed pixels alone does; with orthogonal matching pursuit there is no such cost. μ is the mean of the
    complete images and D is learned from them by online dictionary learning (Mairal et al., 2009).

    Parameters
    ----------
    history : Dataset
        Complete images of the same variables, on the same cells.
    dims : sequence of str
        Of an image; every other dimension is a sample.
    atoms : int
        Columns of D, each of norm 1.
    coding : {"omp", "lasso"}
        How z is found: at most `sparsity` atoms, or a weight `alpha` on their absolute values.
    sparsity : int
        For "omp".
    alpha : float
        For "lasso", in the units of the data; and of the codes that D is learned with, by either.
    keep_observed : bool
        Put the observed values back, with their noise: what the numbers of the paper's Table 1 agree with.
    turns : int
        Codings, each followed by a decoding; one codes the image with μ in the gaps.
    images : int
        Of the history, the most that D is learned from, drawn at random.
    seed : int
        Of the choice of images and of the learning.

    Raises
    ------
    RecipeError
        If the coding is unknown or a number makes no sense.

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
                "expected all above 0, and no more atoms used than there are"
            )
        check_least(0, seed=seed)
        self.history, self.dims, self.atoms, self.coding = history, tuple(dims), atoms, coding
        self.sparsity, self.alpha, self.keep_observed = sparsity, alpha, keep_observed
        self.turns, self.images, self.seed = turns, images, seed

    @cached_property
    def dictionaries(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """μ, shape (cell,), and D transposed, shape (atom, cell), of each variable of the history."""
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
            # Codes on the way to a dictionary need not be exact; whether it serves, the scores say.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return mean, learner.fit(chosen - mean).components_

    def _check(self, array: xr.DataArray) -> None:
        for dim in self.dims:
            if dim not in array.dims:
                has = ", ".join(map(str, array.dims))
                raise DataError(f"variable {array.name!r} has no dimension {dim!r}; it has {has}")

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        """Every variable of `ds` as decoded; an image without observation stays NaN.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps.

        Returns
        -------
        Dataset
            With the labels of `ds`.

        Raises
        ------
        DataError
            If there is no history of a variable, or it has other cells.
        """
        decoded = self.projected(ds)
        if self.keep_observed:
            for name, array in ds.data_vars.items():
                decoded[name] = array.copy(data=array.where(array.notnull(), decoded[name]).data)
        return decoded

    def projected(self, ds: xr.Dataset) -> xr.Dataset:
        """The same, and decoded where it was observed as well: of complete images Φ(x) = μ + D z(x).

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps, or complete.

        Returns
        -------
        Dataset
            With the labels of `ds`.

        Raises
        ------
        DataError
            If there is no history of a variable, or it has other cells.
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
                        f"variable {name!r} has {array.sizes[dim]} cells along {dim!r}, but its history "
                        f"{self.history[name].sizes[dim]}; give images of one size"
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
        """Images, shape ``(..., *dims)``, coded and decoded in turn."""
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
            # The next turn goes on from here.
            warnings.simplefilter("ignore", ConvergenceWarning)
            codes = sparse_encode(
                x, dictionary, algorithm="lasso_cd", alpha=self.alpha, init=before, max_iter=200
            )
        return codes
