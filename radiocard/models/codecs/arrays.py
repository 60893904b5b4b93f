"""Arrays of a model file, read with every check that comes before their use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import ModelError
from radiocard.models.table import LARGEST

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shape = tuple[int | None, ...]


class ArrayReader:
    """The arrays of one step; each read states its type, shape and bounds.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Name to array.
    where : str
        Model and step, for messages.
    """

    def __init__(self, arrays: Mapping[str, Array], where: str) -> None:
        self._arrays = dict(arrays)
        self._read: set[str] = set()
        self.where = where

    def finish(self) -> None:
        """Refuse arrays that nothing has read.

        Raises
        ------
        ModelError
            Naming them.
        """
        spare = sorted(set(self._arrays) - self._read)
        if spare:
            msg = f"Model file: {self.where} holds arrays that do not belong there: {', '.join(spare[:4])}."
            raise ModelError(msg)

    def part(self, prefix: str) -> ArrayReader:
        """Hand the arrays whose name starts with a prefix to a reader of their own, without the prefix."""
        names = [name for name in self._arrays if name.startswith(prefix)]
        self._read.update(names)
        own = {name.removeprefix(prefix): self._arrays[name] for name in names}
        return ArrayReader(own, f"{self.where}, {prefix.rstrip('_')}")

    def floats(
        self,
        name: str,
        shape: Shape,
        *,
        low: float = -LARGEST,
        high: float = LARGEST,
        dtype: str = "<f8",
        undefined: bool = False,
    ) -> Array:
        """Return an array of finite numbers.

        Parameters
        ----------
        name : str
            Name of the array.
        shape : tuple of int or None
            None for any length.
        low, high : float
            Bounds, included.
        dtype : {'<f8', '<f4'}
            Stored type.
        undefined : bool
            Whether NaN may stand for an undefined value.

        Raises
        ------
        ModelError
            If the array is missing, has another type or shape, or breaks the bounds.
        """
        array = self._get(name, shape, dtype)
        fits = (array >= low) & (array <= high)  # NaN fails both
        if not (fits | np.isnan(array) if undefined else fits).all():
            msg = f"Model file: {self.where}, array {name!r} holds numbers outside {low:g} to {high:g}."
            raise ModelError(msg)
        return array

    def ints(self, name: str, shape: Shape, *, low: int, high: int) -> Ints:
        """Return an array of whole numbers within bounds; see :meth:`floats`."""
        array = self._get(name, shape, "<i8")
        if array.size and (array.min() < low or array.max() > high):
            msg = f"Model file: {self.where}, array {name!r} holds numbers outside {low} to {high}."
            raise ModelError(msg)
        return array

    def flags(self, name: str, shape: Shape) -> NDArray[np.bool_]:
        """Return an array of yes and no; see :meth:`floats`."""
        array = self._get(name, shape, "|u1")
        if array.size and array.max() > 1:
            msg = f"Model file: {self.where}, array {name!r} holds numbers outside 0 to 1."
            raise ModelError(msg)
        return array.astype(bool)

    def refuse(self, reason: str) -> NoReturn:
        """Refuse the file for a contradiction between arrays.

        Raises
        ------
        ModelError
            Always.
        """
        msg = f"Model file: {self.where}: {reason}."
        raise ModelError(msg)

    def _get(self, name: str, shape: Shape, dtype: str) -> Array:
        self._read.add(name)
        array = self._arrays.get(name)
        if array is None:
            msg = f"Model file: {self.where} lacks the array {name!r}."
            raise ModelError(msg)
        fits = array.ndim == len(shape) and all(
            want is None or have == want for have, want in zip(array.shape, shape, strict=True)
        )
        if not fits or array.dtype != np.dtype(dtype):
            msg = (
                f"Model file: {self.where}, array {name!r} is {array.dtype.str} {array.shape}, "
                f"expected {dtype} {shape}."
            )
            raise ModelError(msg)
        return array
