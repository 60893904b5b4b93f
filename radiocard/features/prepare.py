"""From an image and its masks to the voxels that features are computed on.

The order is that of the IBSI: normalisation, resampling, re-segmentation; filters come after,
once per image, on a block that holds all regions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import CaseError, MaskError
from radiocard.features.region import FloatArray, Region, Spacing
from radiocard.features.registry import ORIGINAL, SHAPE
from radiocard.image import Image
from radiocard.preprocessing.axes import to_canonical
from radiocard.preprocessing.filters.apply import filtered_images
from radiocard.preprocessing.normalise import normalise, require_finite
from radiocard.preprocessing.resample import resample, resample_image, resample_mask
from radiocard.preprocessing.resegment import resegment
from radiocard.specs import Discretisation, FeatureSpec
from radiocard.specs.filters import Original

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]
LOCAL_RADIUS_MM = 10 * (3 / (4 * math.pi)) ** (1 / 3)


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
    """

    image: Image
    raw: FloatArray
    mask: Mask
    intensity_mask: Mask


class View(NamedTuple):
    """One region in one of the filtered images.

    Parameters
    ----------
    name : str
        Name of the region.
    image_name : str
        Name of the filtered image, ``original`` without a filter.
    discretisation : Discretisation
        The filter's own, or that of the specification.
    region : Region
        Voxels, cropped to the bounding box of the region.
    """

    name: str
    image_name: str
    discretisation: Discretisation
    region: Region


def prepare(image: Image, mask: Mask, spec: FeatureSpec, *, labelled: Mask | None = None) -> Prepared:
    """Normalise, resample and re-segment one region, see :func:`prepare_all`."""
    return prepare_all(image, {"": mask}, spec, labelled=mask if labelled is None else labelled)[0][""]


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


def views(regions: Mapping[str, Prepared], spec: FeatureSpec) -> Iterator[View]:
    """Cut each region out of each filtered image; each filter runs once per image.

    Parameters
    ----------
    regions : mapping of str to Prepared
        From :func:`prepare_all`.
    spec : FeatureSpec
        Filters, and whether a margin is needed around regions.

    Yields
    ------
    View
        All regions of one filtered image, then those of the next; the image without a filter
        also comes where only shape asks for it.
    """
    filters = spec.filters
    if not SHAPE.isdisjoint(spec.families) and not any(f.kind == ORIGINAL for f in filters):
        filters = (Original(kind="original"), *filters)
    shared: dict[int, list[str]] = {}
    for name, region in regions.items():
        shared.setdefault(id(region.image), []).append(name)
    for names in shared.values():
        image = regions[names[0]].image
        margin = _margin(image.spacing_mm) if "local_intensity" in spec.families else (0, 0, 0)
        boxes = {name: bounding_box(regions[name].mask) for name in names}
        block = _padded(_union(list(boxes.values())), margin, image.array.shape)
        for image_name, values, own in filtered_images(image.array, image.spacing_mm, filters, block):
            for name in names:
                cut = _region(regions[name], boxes[name], block, values, margin)
                yield View(name, image_name, own or spec.discretisation, cut)


def bounding_box(mask: Mask) -> Box:
    """Return the smallest box that holds all voxels of a mask with at least one."""
    order = sorted(range(3), key=lambda axis: -abs(mask.strides[axis]))
    turned = [axis for axis in order if mask.strides[axis] < 0]
    stored = np.flip(mask, tuple(turned)).transpose(order)  # as it lies in memory, which is fast to search
    shadow = np.logical_or.reduce(stored, axis=0)
    occupied = (stored.reshape(stored.shape[0], -1).any(axis=1), shadow.any(axis=1), shadow.any(axis=0))
    sides: dict[int, slice] = {}
    for axis, line in zip(order, occupied, strict=True):
        hits = np.flatnonzero(line[::-1] if axis in turned else line)
        sides[axis] = slice(int(hits[0]), int(hits[-1]) + 1)
    return sides[0], sides[1], sides[2]


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
        _require_voxels(mask, 1)
        if spec.pyradiomics is not None:
            _require_dimensions(mask, spec.pyradiomics.min_dimensions)
        image, raw, mask = self._grid(mask)
        if spec.roi.keep_largest:
            mask = _largest_component(mask)
        _require_voxels(mask, spec.roi.min_voxels)
        if self.stored.array.dtype.kind not in "biu":
            require_finite(image.array[mask], where="the region")
        inside = mask
        if spec.resegmentation is not None:
            inside = resegment(image.array, mask, settings=spec.resegmentation)
            _require_voxels(inside, spec.roi.min_voxels)
            if spec.resegmentation.shape:
                mask = inside
        return Prepared(image, raw.array, mask, inside)

    def _grid(self, mask: Mask) -> tuple[Image, Image, Mask]:
        settings = self.spec.resampling
        if settings is None:
            return self.image, self.raw, mask
        if self.spec.convention == "pyradiomics":
            source = self.stored if self.image is self.raw else self.image  # whole numbers stay such
            image, mask = resample(source, mask, settings=settings, convention="pyradiomics")
            image = _floating(image, self.spec)
            return image, image, mask
        if self.resampled is None:
            image = resample_image(self.image, settings=settings)
            same = self.image is self.raw
            self.resampled = image, image if same else resample_image(self.raw, settings=settings)
        return *self.resampled, resample_mask(mask, self.image.spacing_mm, settings=settings)


def _floating(image: Image, spec: FeatureSpec) -> Image:
    """Single precision is kept under ``pyradiomics``, which rounds its bin edges to that of the image."""
    single = spec.convention == "pyradiomics" and image.array.dtype == np.float32
    array = np.ascontiguousarray(image.array, dtype=np.float32 if single else np.float64)
    return Image(array, image.affine, image.oriented)


def _cut(image: Image, arrays: list[Mask], spec: FeatureSpec) -> tuple[Image, list[Mask]]:
    """Drop voxels far from all regions where nothing depends on them."""
    own = spec.normalisation
    everywhere = own.method != "none" and (own.within == "image" or own.outliers_sd is not None)
    original = all(f.kind == "original" for f in spec.filters)
    if everywhere or not original or spec.resampling is not None:
        return image, arrays
    used = arrays[0]
    for array in arrays[1:]:
        used = used if array is used else used | array
    if not used.any():
        return image, arrays
    box = _padded(bounding_box(used), _margin(image.spacing_mm), used.shape)
    corner = np.array([side.start for side in box])
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ corner
    return Image(image.array[box], affine, image.oriented), [array[box] for array in arrays]


def _margin(spacing: Spacing) -> tuple[int, int, int]:
    i, j, k = (math.ceil(LOCAL_RADIUS_MM / step) for step in spacing)
    return i, j, k


def _union(boxes: list[Box]) -> Box:
    i, j, k = (slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)) for axis in range(3))
    return i, j, k


def _padded(box: Box, margin: tuple[int, int, int], shape: tuple[int, ...]) -> Box:
    i, j, k = (
        slice(max(0, side.start - pad), min(n, side.stop + pad))
        for side, pad, n in zip(box, margin, shape, strict=True)
    )
    return i, j, k


def _region(
    found: Prepared, box: Box, block: Box, values: NDArray[np.floating[Any]], margin: tuple[int, int, int]
) -> Region:
    inner = _within(box, block)
    mask = np.ascontiguousarray(found.mask[box])
    own = np.ascontiguousarray(values[inner])
    near = _padded(box, margin, found.mask.shape)
    return Region(
        mask=mask,
        intensity_mask=mask if found.intensity_mask is found.mask else np.ascontiguousarray(found.intensity_mask[box]),
        raw=own if np.shares_memory(values, found.raw) else np.ascontiguousarray(found.raw[box]),
        values=own,
        spacing=found.image.spacing_mm,
        context=own if near == box else np.ascontiguousarray(values[_within(near, block)]),
        origin=_start(_within(box, near)),
    )


def _start(box: Box) -> tuple[int, int, int]:
    i, j, k = (int(side.start) for side in box)
    return i, j, k


def _within(box: Box, outer: Box) -> Box:
    i, j, k = (
        slice(side.start - around.start, side.stop - around.start) for side, around in zip(box, outer, strict=True)
    )
    return i, j, k


def _require_voxels(mask: Mask, least: int) -> None:
    size = int(np.count_nonzero(mask))
    if size == 0:
        msg = "The region has no voxel."
        raise MaskError(msg, hint="Check the label numbers and that the region was drawn.")
    if size < least:
        msg = f"The region has {size} voxels, expected at least {least}."
        raise MaskError(msg, code="E_ROI_SIZE", hint="Check that the region was drawn in full.")


def _require_dimensions(mask: Mask, least: int) -> None:
    found = sum(side.stop - side.start > 1 for side in bounding_box(mask))
    if found < least:
        msg = f"The region extends over more than one voxel along {found} axes, expected at least {least}."
        raise MaskError(msg, code="E_ROI_SIZE", hint="Check that the region was drawn in full.")


def _largest_component(mask: Mask) -> Mask:
    """Voxels that touch by a face, an edge or a corner belong together; the first of equals is kept."""
    from scipy import ndimage

    components, n = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if n <= 1:
        return mask
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return np.asarray(components == np.argmax(sizes))
