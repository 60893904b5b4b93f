"""From an image and its masks to the voxels that features are computed on.

The order is that of the IBSI: normalisation, resampling, re-segmentation; filters come after,
once per image, see :mod:`radiocard.features.views`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from radiocard.errors import CaseError, GeometryError, MaskError
from radiocard.features.boxes import Box, Mask, bounding_box, padded_box
from radiocard.features.local_intensity import RADIUS_MM
from radiocard.features.region import FloatArray, Spacing
from radiocard.image import Image
from radiocard.preprocessing.axes import require_spacing, to_canonical
from radiocard.preprocessing.normalise import normalise, require_finite
from radiocard.preprocessing.resample import require_left, resample, resample_image, resample_mask
from radiocard.preprocessing.resegment import resegment
from radiocard.specs import FeatureSpec


class Prepared(NamedTuple):
    """One region on the grid that features are computed on.

    Parameters
    ----------
    image : Image
        Grey values after normalisation and resampling.
    raw : ndarray of float, shape of the image
        The same without normalisation.
    mask : ndarray of bool, shape of the image
        The region as drawn (IBSI: ROI morphological mask).
    intensity_mask : ndarray of bool, shape of the image
        Its voxels that re-segmentation left (IBSI: ROI intensity mask).
    box : tuple of slice
        Bounding box of the mask.
    """

    image: Image
    raw: FloatArray
    mask: Mask
    intensity_mask: Mask
    box: Box


def prepare_all(
    image: Image, masks: Mapping[str, Mask], spec: FeatureSpec, *, labelled: Mask
) -> tuple[dict[str, Prepared], dict[str, CaseError]]:
    """Normalise, resample and re-segment the regions of one image.

    Parameters
    ----------
    image : Image
        Grey values.
    masks : mapping of str to ndarray of bool, shape of the image
        Regions by name.
    spec : FeatureSpec
        All settings. Under ``convention: ibsi`` axes are brought into canonical order first,
        so that storage order cannot change a value.
    labelled : ndarray of bool, shape of the image
        Union of all labelled regions, for the normalisation.

    Returns
    -------
    regions : dict of str to Prepared
        Regions that passed; without resampling, or under ``ibsi``, they share one image.
    refused : dict of str to CaseError
        What is wrong with the others.

    Raises
    ------
    CaseError
        If the image as a whole cannot be used.
    """
    names = list(masks)
    arrays = [labelled, *masks.values()]
    image = _usable(image, spec)
    if spec.convention == "ibsi":
        image, turned = to_canonical(image, *arrays)
        arrays = list(turned)
    image, arrays = _cut(image, arrays, spec)
    raw = _floating(image, spec)
    whole = raw
    if spec.normalisation.method != "none":
        values = normalise(raw.array, arrays[0], settings=spec.normalisation, convention=spec.convention)
        whole = Image(values, image.affine, image.oriented)
    out: dict[str, Prepared] = {}
    refused: dict[str, CaseError] = {}
    grids = _Grids(whole, raw, image, spec)
    for name, mask in zip(names, arrays[1:], strict=True):
        try:
            out[name] = grids.region(np.asarray(mask, dtype=bool))
        except CaseError as error:
            refused[name] = error
    return out, refused


class _Grids:
    """The grid that regions are brought to; under ``ibsi`` the resampled image is shared."""

    def __init__(self, image: Image, raw: Image, stored: Image, spec: FeatureSpec) -> None:
        self.spec = spec
        self.image = image
        self.raw = raw
        self.stored = stored
        self.resampled: tuple[Image, Image] | None = None

    def region(self, mask: Mask) -> Prepared:
        spec = self.spec
        if spec.resampling is not None:
            self._require(mask, 1, "")
        image, raw, mask = self._grid(mask)
        if spec.roi.keep_largest:
            mask = _largest_component(mask)
        box = self._require(mask, spec.roi.min_voxels, "" if spec.resampling is None else "after resampling ")
        if self.stored.array.dtype.kind not in "iu":
            require_finite(image.array[mask], where="the region")
        inside = mask
        if spec.resegmentation is not None:
            inside = resegment(image.array, mask, settings=spec.resegmentation)
            left = self._require(inside, spec.roi.min_voxels, "after re-segmentation ")
            if spec.resegmentation.shape:
                mask, box = inside, left
        return Prepared(image, raw.array, mask, inside, box)

    def _grid(self, mask: Mask) -> tuple[Image, Image, Mask]:
        settings = self.spec.resampling
        if settings is None:
            return self.image, self.raw, mask
        same = self.image is self.raw
        if self.spec.convention == "pyradiomics":
            source = self.stored if same else self.image  # whole numbers stay such
            image, found = resample(source, mask, settings=settings, convention="pyradiomics")
            raw = image if same else resample(self.stored, mask, settings=settings, convention="pyradiomics")[0]
            return _floating(image, self.spec), _floating(raw, self.spec), found
        if self.resampled is None:
            image = resample_image(self.image, settings=settings)
            self.resampled = image, image if same else resample_image(self.raw, settings=settings)
        found = resample_mask(mask, self.image.spacing_mm, settings=settings)
        require_left(found, mask, self.image.spacing_mm, self.resampled[0].spacing_mm)
        return *self.resampled, found

    def _require(self, mask: Mask, least: int, when: str) -> Box:
        """Refuse a region that is too small, or (PyRadiomics) extends along too few axes; return its box."""
        hint = _HINTS[when]
        size = int(np.count_nonzero(mask))
        if size == 0:
            msg = f"The region {when}has no voxel."
            raise MaskError(msg, hint=hint)
        if size < least:
            msg = f"The region {when}has {size} voxels, expected at least {least}."
            raise MaskError(msg, code="E_ROI_SIZE", hint=hint)
        box = bounding_box(mask)
        wanted = self.spec.pyradiomics.min_dimensions if self.spec.pyradiomics else 0
        axes = sum(side.stop - side.start > 1 for side in box)
        if axes < wanted:
            msg = f"The region {when}extends over more than one voxel along {axes} axes, expected at least {wanted}."
            raise MaskError(msg, code="E_ROI_SIZE", hint=hint)
        return box


_HINTS = {
    "": "Check the label numbers and that the region was drawn in full.",
    "after resampling ": "Check the new voxel spacing against the size of the region.",
    "after re-segmentation ": "Check the range against the unit of this image and its normalisation.",
}


def _usable(image: Image, spec: FeatureSpec) -> Image:
    """Refuse what is no grey value, and what a filter or a new grid would spread into the regions."""
    require_spacing(image)
    array = image.array
    if array.dtype.kind not in "biuf":
        msg = f"The grey values are of type {array.dtype}, expected whole or real numbers."
        raise GeometryError(
            msg, code="E_NDIM", hint="Check how this image was read; of complex data, take the magnitude."
        )
    if array.dtype.kind == "f" and (spec.resampling is not None or _filtered(spec)):
        require_finite(array, where="the image, which is to be resampled or filtered")
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    elif array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float64)
    native = array.dtype.newbyteorder("=")
    return image if array is image.array and array.dtype == native else Image(array.astype(native), image.affine)


def _filtered(spec: FeatureSpec) -> bool:
    return any(used.kind != "original" for used in spec.filters)


def _floating(image: Image, spec: FeatureSpec) -> Image:
    """Single precision is kept under ``pyradiomics``, which rounds its bin edges to that of the image."""
    single = spec.convention == "pyradiomics" and image.array.dtype == np.float32
    array = np.ascontiguousarray(image.array, dtype=np.float32 if single else np.float64)
    return Image(array, image.affine, image.oriented)


def _cut(image: Image, arrays: list[Mask], spec: FeatureSpec) -> tuple[Image, list[Mask]]:
    """Drop voxels far from all regions where nothing depends on them."""
    own = spec.normalisation
    everywhere = own.method != "none" and own.within == "image"
    if everywhere or _filtered(spec) or spec.resampling is not None:
        return image, arrays
    used = arrays[0]
    for array in arrays[1:]:
        used = used if array is used else used | array
    if not used.any():
        return image, arrays
    margin = margin_voxels(image.spacing_mm) if "local_intensity" in spec.families else (0, 0, 0)
    box = padded_box(bounding_box(used), margin, used.shape)
    corner = np.array([side.start for side in box])
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ corner
    return Image(image.array[box], affine, image.oriented), [np.ascontiguousarray(array[box]) for array in arrays]


def margin_voxels(spacing: Spacing) -> tuple[int, int, int]:
    """Return how far local intensity looks beyond a region [voxel]."""
    i, j, k = (math.ceil(RADIUS_MM / step) for step in spacing)
    return i, j, k


def _largest_component(mask: Mask) -> Mask:
    """Voxels that touch by a face, an edge or a corner belong together; the first of equals is kept."""
    from scipy import ndimage

    components, n = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if n <= 1:
        return mask
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return np.asarray(components == np.argmax(sizes))
