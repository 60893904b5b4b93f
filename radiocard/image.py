"""Arrays with their geometry: :class:`Image`, :class:`LabelMap`, :class:`Case`. No file access.

Array axes are ``i, j, k``; ``k`` is the slice axis. World axes are RAS+ [mm]: x grows
to the patient's right, y to anterior, z to superior.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import GeometryError, MaskError

FloatArray = NDArray[np.floating[Any]]
Key = tuple[str, str]
Phase = Literal["ed", "es"]

_HALF_A_VOXEL = 0.5

REGIONS = ("lv_cavity", "lv_myocardium", "rv_cavity")
SCAR_REGIONS = ("lv_scar", "no_reflow")  # as drawn by a reader, within the myocardium
REGION_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "lv_cavity": "LV cavity",
        "lv_myocardium": "LV myocardium",
        "rv_cavity": "RV cavity",
        "lv_scar": "scar",
        "no_reflow": "no-reflow",
    }
)
"""Regions in words."""

PHASES: tuple[Phase, ...] = ("ed", "es")
STILL = ""  # the phase of a sequence that is taken once
MAPS = ("t1_native", "t1_post", "t2", "t2_star", "ecv")
LGE = "lge"
DRAWN_SCAR = "lge_scar"  # key of a mask that holds scar as drawn
SEQUENCES = ("cine", *MAPS, LGE)

LABELS_ACDC: Mapping[str, int] = MappingProxyType({"rv_cavity": 1, "lv_myocardium": 2, "lv_cavity": 3})
LABELS_MNMS: Mapping[str, int] = MappingProxyType({"lv_cavity": 1, "lv_myocardium": 2, "rv_cavity": 3})


def voxel_spacing(affine: FloatArray) -> FloatArray:
    """Return the voxel spacing of an affine.

    Parameters
    ----------
    affine : ndarray of float, shape (4, 4)
        Voxel indices to RAS+ world coordinates [mm].

    Returns
    -------
    ndarray of float, shape (3,)
        Distance between voxel centres along ``i, j, k`` [mm]; slice gaps are included.

    Examples
    --------
    >>> voxel_spacing(np.diag([1.5, 1.5, 8.0, 1.0])).tolist()
    [1.5, 1.5, 8.0]
    """
    return np.sqrt((np.asarray(affine, dtype=float)[:3, :3] ** 2).sum(axis=0))


@dataclass(frozen=True, eq=False)
class Image:
    """One three-dimensional image.

    Parameters
    ----------
    array : ndarray, shape (ni, nj, nk)
        Grey values.
    affine : ndarray of float, shape (4, 4)
        Voxel indices to RAS+ world coordinates [mm].
    oriented : bool
        Whether the file stated an orientation. A stated one may still be untrue.

    Raises
    ------
    GeometryError
        If the array is not three-dimensional or the affine not (4, 4).
    """

    array: NDArray[Any]
    affine: FloatArray
    oriented: bool = True

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            msg = f"Image has {self.array.ndim} dimensions, expected 3 (shape {self.array.shape})."
            raise GeometryError(msg, code="E_NDIM", hint="Give one frame at a time.")
        if np.shape(self.affine) != (4, 4):
            msg = f"Affine has shape {np.shape(self.affine)}, expected (4, 4)."
            raise GeometryError(msg, code="E_AFFINE")

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing along ``i, j, k`` [mm]."""
        s = voxel_spacing(self.affine)
        return float(s[0]), float(s[1]), float(s[2])

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, slice gap included [mL]."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def digest(self) -> str:
        """Return a SHA-256 of shape and grey values; headers and file names do not enter it."""
        data = np.ascontiguousarray(self.array)
        data = data.astype("<i8" if data.dtype.kind in "iu" else "<f8")
        return hashlib.sha256(repr(data.shape).encode() + data.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class LabelMap(Image):
    """A mask with several regions.

    Parameters
    ----------
    array : ndarray of int, shape (ni, nj, nk)
        Label numbers.
    affine : ndarray of float, shape (4, 4)
        Voxel indices to RAS+ world coordinates [mm].
    oriented : bool
        Whether the file stated an orientation.
    labels : mapping of str to int
        Region name to label number. Never guessed: stated by the layout or the manifest.
    """

    labels: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "labels", dict(self.labels))  # a read-only view cannot be pickled

    def mask(self, region: str) -> NDArray[np.bool_]:
        """Return one region as a boolean array of shape (ni, nj, nk).

        Raises
        ------
        MaskError
            If the region is not in the label map, or has no voxel (``E_EMPTY_ROI``).
        """
        if region not in self.labels:
            known = ", ".join(f"{k}={v}" for k, v in self.labels.items())
            msg = f"Region {region!r} is not in this label map, which knows: {known}."
            raise MaskError(msg, field=region)
        mask = np.asarray(self.array == self.labels[region])
        if not mask.any():
            found = ", ".join(str(v) for v in np.unique(self.array).tolist()[:12])
            msg = f"Label {self.labels[region]} ({region}) is not present; labels found: {found}."
            raise MaskError(msg, field=region, hint="Check the label numbers and that the region was drawn.")
        return mask


def corner_displacement(a: FloatArray, b: FloatArray, shape: tuple[int, ...]) -> float:
    """Return how far the corner voxels of a grid move between two affines.

    Parameters
    ----------
    a, b : ndarray of float, shape (4, 4)
        Voxel indices to world coordinates [mm].
    shape : tuple of int, length 3
        Size of the grid.

    Returns
    -------
    float
        Largest displacement, in voxels of ``a`` along the axis that moves most.
    """
    corners = np.array([(*ends, 1) for ends in product(*((0, n - 1) for n in shape))], dtype=np.float64).T
    shift = (np.asarray(b, float) - np.asarray(a, float)) @ corners
    return float(np.abs(np.linalg.solve(np.asarray(a, float)[:3, :3], shift[:3])).max())


AnyImage = TypeVar("AnyImage", bound=Image)


def turned(image: AnyImage, axes: Sequence[int], flips: Sequence[bool]) -> AnyImage:
    """Return the same physical image in another storage order.

    Parameters
    ----------
    image : Image
        Image or label map.
    axes : sequence of int
        Its array axes in their new order.
    flips : sequence of bool
        Which of the new axes run against the old ones.

    Returns
    -------
    Image
        A view of its array with a new affine.
    """
    reverse = [axis for axis, flip in zip(axes, flips, strict=True) if flip]
    affine = np.array(image.affine, dtype=float)
    affine[:3, 3] += affine[:3, reverse] @ (np.array(image.array.shape)[reverse] - 1)
    affine[:3, reverse] *= -1
    affine[:3, :3] = affine[:3, list(axes)]
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    return replace(image, array=image.array.transpose(axes)[steps], affine=affine)


def stored_like(image: AnyImage, other: Image) -> AnyImage:
    """Return an image in the storage order of another one, as their affines say; no value changes.

    Parameters
    ----------
    image : Image
        For example a mask that a program wrote with its slices from apex to base.
    other : Image
        For example the image that it was drawn on.

    Returns
    -------
    Image
        The very same object where the order is the same, where another order does not bring the grids
        within half a voxel, and where a file stated no orientation, so that its order cannot be known.

    Examples
    --------
    >>> upwards = Image(np.array([[[1, 2]]]), np.diag([1.0, 1.0, 8.0, 1.0]))
    >>> downwards = turned(upwards, (0, 1, 2), (False, False, True))
    >>> downwards.array.tolist(), stored_like(downwards, upwards).array.tolist()
    ([[[2, 1]]], [[[1, 2]]])
    """
    if not (image.oriented and other.oriented):
        return image
    between = np.linalg.solve(np.asarray(other.affine)[:3, :3], np.asarray(image.affine)[:3, :3])
    turn = np.rint(between)
    one_each = (np.abs(turn).sum(axis=0) == 1).all() and (np.abs(turn).sum(axis=1) == 1).all()
    if not one_each or np.array_equal(turn, np.eye(3)):
        return image
    found = turned(image, np.abs(turn).argmax(axis=1).tolist(), (turn.sum(axis=1) < 0).tolist())
    shape = other.array.shape
    fits = found.array.shape == shape and corner_displacement(other.affine, found.affine, shape) < _HALF_A_VOXEL
    return found if fits else image


@dataclass(frozen=True, eq=False)
class Case:
    """One patient's study: images, masks and clinical covariates.

    Parameters
    ----------
    patient_id : str
        Pseudonym; stays text.
    images : mapping of (sequence, phase) to Image
        For example ``("cine", "ed")``, or ``("t1_native", "")`` for what is taken once.
    masks : mapping of (sequence, phase) to LabelMap
        Same keys as ``images``; scar that was drawn stands under ``("lge_scar", "")`` besides, and
        ``lv_myocardium`` includes it.
    clinical : mapping of str to object
        ``sex`` ('F' or 'M'), ``age_y``, ``height_cm``, ``weight_kg``, ``site``, ``vendor``,
        ``field_strength_t``, ``diagnosis`` and any further column; unknown ones are absent.
    simulated : bool
        Whether the case was made by :mod:`radiocard.simulate`.
    """

    patient_id: str
    images: Mapping[Key, Image]
    masks: Mapping[Key, LabelMap]
    clinical: Mapping[str, Any] = field(default_factory=dict)
    simulated: bool = False
