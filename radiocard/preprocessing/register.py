"""Registration: post-contrast T1 and T2 to native T1, maps to cine, frames of a series to each other.

Slices are 8 to 10 mm apart, so each is aligned in its own plane: rigidly, then by B-splines,
around the heart. What failed is never moved, and says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from radiocard.errors import GeometryError, MaskError, UsageError
from radiocard.image import FloatArray, Image, LabelMap
from radiocard.preprocessing.register_grid import covered, matches, require_alike, require_grid, values_at
from radiocard.preprocessing.register_slice import Failure, SliceAlignment, align_slice
from radiocard.specs.registration import RegistrationSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
__all__ = [
    "Failure",
    "Registration",
    "SeriesRegistration",
    "SliceAlignment",
    "move_image",
    "register",
    "register_series",
    "transfer_mask",
]


@dataclass(frozen=True, eq=False)
class Registration:
    """How a moving image comes to lie on a fixed one, slice by slice.

    Parameters
    ----------
    fixed, moving : Image
        As given.
    slices : tuple of SliceAlignment
        One per slice of the fixed image that was registered: those that the mask touches, or all.
    displacement_mm : ndarray of float, shape (ni, nj, nk, 2)
        From each fixed voxel to its match, along the fixed axes ``i, j`` [mm]; 0 where nothing is moved.
    settings : RegistrationSettings
    """

    fixed: Image
    moving: Image
    slices: tuple[SliceAlignment, ...]
    displacement_mm: Floats
    settings: RegistrationSettings

    @property
    def succeeded(self) -> bool:
        """Whether every registered slice succeeded; if not, no slice is moved."""
        return all(s.succeeded for s in self.slices)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it failed, in words; empty if it succeeded."""
        return tuple(f"slice {s.k}: {text}" for s in self.slices for text in s.reasons.values())

    @property
    def covered(self) -> Bools:
        """Voxels of the fixed image that the moving one covers, shape (ni, nj, nk)."""
        layers = [covered(self._places(k), self.moving.array.shape) for k in range(self.fixed.array.shape[2])]
        return np.stack(layers, axis=2)

    @property
    def moved(self) -> Image:
        """The moving image on the fixed grid, aligned; if it failed, not aligned (see :func:`move_image`)."""
        return move_image(self.moving, self)

    def _places(self, k: int) -> Floats:
        return matches(self.fixed, self.moving, k, self.displacement_mm[:, :, k])

    def pull(self, array: NDArray[np.generic], *, nearest: bool) -> NDArray[np.generic]:
        """Return values on the moving grid, shape of ``moving``, on the fixed grid, shape of ``fixed``."""
        layers = [values_at(array, self._places(k), nearest=nearest) for k in range(self.fixed.array.shape[2])]
        return np.stack(layers, axis=2)


def register(
    fixed: Image, moving: Image, *, settings: RegistrationSettings, fixed_mask: Bools | None = None
) -> Registration:
    """Align a moving image to a fixed one.

    Parameters
    ----------
    fixed, moving : Image
        In the same world, on grids that may differ; for each fixed slice the nearest moving one is taken.
    settings : RegistrationSettings
        Contrast, model, limits.
    fixed_mask : ndarray of bool, shape of ``fixed``, optional
        The heart. Only slices that it touches are registered, by the pixels in it and a margin
        around it; all pixels of all slices by default.

    Returns
    -------
    Registration
        If one slice fails, nothing is moved, and ``reasons`` says why.

    Raises
    ------
    GeometryError
        If the mask has another shape, an affine is not usable, or the slice planes are tilted.
    IntensityError
        If a grey value is not finite.
    MaskError
        If the mask is empty (``E_EMPTY_ROI``).
    """
    require_alike(fixed, moving, max_tilt_deg=settings.max_tilt_deg)
    heart = _checked_mask(fixed_mask, fixed.array.shape)
    slices = tuple(
        align_slice(
            fixed,
            moving,
            int(k),
            heart=heart[:, :, k],
            region=_around(heart[:, :, k], fixed.spacing_mm, settings),
            settings=settings,
        )
        for k in np.flatnonzero(heart.any(axis=(0, 1)))
    )
    displacement = np.zeros((*fixed.array.shape, 2))
    if all(s.succeeded for s in slices):
        for s in slices:
            displacement[:, :, s.k] = 0.0 if s.displacement_mm is None else s.displacement_mm
    return Registration(fixed, moving, slices, displacement, settings)


def _checked_mask(mask: Bools | None, shape: tuple[int, ...]) -> Bools:
    if mask is None:
        return np.ones(shape, dtype=np.bool_)
    if np.shape(mask) != shape:
        msg = f"The shape of the mask is {np.shape(mask)}, expected that of the fixed image, {shape}."
        raise GeometryError(msg, hint="Check that it was drawn on this series.")
    if not np.any(mask):
        msg = "The mask has no voxel."
        raise MaskError(msg, hint="Check the label numbers and that the region was drawn.")
    return np.asarray(mask, dtype=np.bool_)


def _around(heart: Bools, spacing_mm: tuple[float, float, float], settings: RegistrationSettings) -> Bools:
    if heart.all():
        return heart
    distance = ndimage.distance_transform_edt(~heart, sampling=spacing_mm[:2])
    return np.asarray(distance <= settings.margin_mm)


def move_image(image: Image, registration: Registration) -> Image:
    """Bring an image that lies on the moving grid to the fixed grid.

    Parameters
    ----------
    image : Image
        On the moving image's grid: the moving image itself, or another map of the same series.
    registration : Registration
        If it failed, the image is only resampled by its affine; on equal grids it comes back as it is.

    Returns
    -------
    Image
        On the fixed grid; 0 where the moving image does not reach (see ``Registration.covered``).

    Raises
    ------
    GeometryError
        If the image is not on the moving grid.
    """
    require_grid(image, registration.moving.array.shape, registration.moving.affine, what="the image")
    array = registration.pull(image.array, nearest=False)
    return Image(array, registration.fixed.affine, registration.fixed.oriented)


def transfer_mask(mask: LabelMap, registration: Registration) -> LabelMap:
    """Bring a label map drawn on the moving image to the fixed grid, by nearest neighbour.

    Parameters
    ----------
    mask : LabelMap
        On the moving image's grid.
    registration : Registration
        If it failed, the labels are only resampled by their affine: check ``succeeded``.

    Returns
    -------
    LabelMap
        On the fixed grid; 0 where the moving image does not reach.

    Raises
    ------
    GeometryError
        If the label map is not on the moving grid.
    """
    require_grid(mask, registration.moving.array.shape, registration.moving.affine, what="the label map")
    array = registration.pull(mask.array, nearest=True)
    return replace(mask, array=array, affine=registration.fixed.affine, oriented=registration.fixed.oriented)


@dataclass(frozen=True, eq=False)
class SeriesRegistration:
    """The frames of one series, aligned to one of them.

    Parameters
    ----------
    images : ndarray, shape (ni, nj, nk, n)
        The frames; one that failed is as it was.
    reference : int
        The frame that the others were aligned to.
    registrations : mapping of int to Registration
        By frame, without the reference.
    """

    images: NDArray[np.generic]
    reference: int
    registrations: dict[int, Registration]

    @property
    def failed(self) -> tuple[int, ...]:
        """Frames that were not moved since their registration failed."""
        return tuple(n for n, r in self.registrations.items() if not r.succeeded)

    @property
    def succeeded(self) -> bool:
        """Whether every frame was aligned."""
        return not self.failed

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why frames failed, in words."""
        return tuple(f"frame {n}, {text}" for n, r in self.registrations.items() for text in r.reasons)


def register_series(
    images: ArrayLike,
    affine: FloatArray,
    *,
    settings: RegistrationSettings,
    reference: int = -1,
    fixed_mask: Bools | None = None,
) -> SeriesRegistration:
    """Align the frames of a series to one of them.

    Each frame is aligned to the reference directly: in a chain from neighbour to neighbour errors
    add up, and one frame at the null of the myocardium breaks it. Contrast inverts between the
    frames of an inversion recovery: use ``contrast: different``. The last frame of a series in the
    order of inversion times has the most signal and no null, and is the reference by default.

    Parameters
    ----------
    images : array_like, shape (ni, nj, nk, n)
        The frames; the series axis is the last.
    affine : ndarray of float, shape (4, 4)
        Voxel indices to RAS+ world coordinates [mm].
    settings : RegistrationSettings
        Contrast, model, limits.
    reference : int
        The frame to align to; negative ones count from the end.
    fixed_mask : ndarray of bool, shape (ni, nj, nk), optional
        The heart in the reference frame.

    Returns
    -------
    SeriesRegistration
        A frame that fails stays as it is and is listed in ``failed``: leave it out of a fit, or refuse.

    Raises
    ------
    UsageError
        If the array has not four axes, fewer than two frames, or no such reference.
    GeometryError, IntensityError, MaskError
        As :func:`register`.
    """
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[-1] < 2:
        msg = f"The series has shape {array.shape}, expected (ni, nj, nk, n) with at least 2 frames."
        raise UsageError(msg, hint="The series axis is the last one.")
    n = array.shape[-1]
    if not -n <= reference < n:
        msg = f"The reference frame is {reference}, but the series has {n} frames."
        raise UsageError(msg, field="reference")
    reference %= n
    fixed = Image(array[..., reference], affine)
    found = {
        frame: register(fixed, Image(array[..., frame], affine), settings=settings, fixed_mask=fixed_mask)
        for frame in range(n)
        if frame != reference
    }
    frames = [found[f].moved.array if f in found else array[..., f] for f in range(n)]
    return SeriesRegistration(np.stack(frames, axis=-1), reference, found)
