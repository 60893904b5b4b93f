"""What the networks said: class probabilities on the grid of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import GeometryError, IntensityError
from radiocard.image import FloatArray, voxel_spacing

CLASSES = ("background", "rv_cavity", "lv_myocardium", "lv_cavity")
"""Order of the classes; a class number is its number in :data:`radiocard.image.LABELS_ACDC`."""

_SUM_TOLERANCE = 1e-2  # stored in half precision by some


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Class probabilities of one volume by each member of an ensemble.

    Parameters
    ----------
    members : ndarray of float32, shape (n_members, 4, ni, nj, nk)
        Probabilities on the grid of the image, in the order of :data:`CLASSES`; one member per
        network, what it says of flipped images averaged in.
    affine : ndarray of float, shape (4, 4)
        Voxel indices to RAS+ world coordinates [mm].
    views : ndarray of uint8, shape (n_members, n_views, n_slices, size, size), optional
        Most probable class by each mirrored view alone, mirrored back, on the grid of the network; None where
        none was mirrored.

    Raises
    ------
    GeometryError
        If the shape of the members, of the affine or of the views is another.
    IntensityError
        If a probability is not finite or not between 0 and 1, or the classes do not sum to 1.
    """

    members: NDArray[np.float32]
    affine: FloatArray
    views: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.members)
        if len(shape) != 5 or shape[1] != len(CLASSES) or min(shape) < 1:
            msg = f"Probabilities have shape {shape}, expected (n_members, {len(CLASSES)}, ni, nj, nk)."
            raise GeometryError(msg, code="E_NDIM")
        if np.shape(self.affine) != (4, 4):
            msg = f"Affine has shape {np.shape(self.affine)}, expected (4, 4)."
            raise GeometryError(msg, code="E_AFFINE")
        if self.views is not None and (self.views.ndim != 5 or len(self.views) != shape[0] or self.views.shape[1] < 2):
            msg = f"Views have shape {self.views.shape}, expected ({shape[0]}, at least 2, n_slices, size, size)."
            raise GeometryError(msg, code="E_NDIM")
        low, high = float(np.min(self.members)), float(np.max(self.members))
        off = float(np.abs(self.members.sum(axis=1) - 1).max())
        if not (low >= 0 and high <= 1 + _SUM_TOLERANCE and off <= _SUM_TOLERANCE):
            msg = f"Probabilities lie between {low:g} and {high:g} and sum to 1 within {off:g}, expected 0 to 1 and 0."
            raise IntensityError(msg, hint="Apply the softmax over the classes first.")

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean over the members, shape (4, ni, nj, nk)."""
        return self.members.mean(axis=0, dtype=np.float32)

    @property
    def n_members(self) -> int:
        """Number of networks."""
        return int(self.members.shape[0])

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, slice gap included [mL]."""
        return float(np.prod(voxel_spacing(self.affine))) / 1000.0
