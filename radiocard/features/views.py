"""One region after another, in one filtered image after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.features.boxes import Box, Mask, box_start, box_within, padded_box, union_box
from radiocard.features.prepare import Prepared, margin_voxels
from radiocard.features.region import FloatArray, Region
from radiocard.features.registry import ORIGINAL, SHAPE
from radiocard.preprocessing.filters.apply import filtered_images
from radiocard.specs import Discretisation, FeatureSpec
from radiocard.specs.filters import Original


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
        margin = margin_voxels(image.spacing_mm) if "local_intensity" in spec.families else (0, 0, 0)
        cuts = {name: _cut(regions[name]) for name in names}
        block = padded_box(union_box([cut.box for cut in cuts.values()]), margin, image.array.shape)
        for image_name, values, own in filtered_images(image.array, image.spacing_mm, filters, block):
            for name in names:
                seen = _region(regions[name], cuts[name], block, values, margin)
                yield View(name, image_name, own or spec.discretisation, seen)


class _Cut(NamedTuple):
    """What all filtered images of a region share."""

    box: Box
    mask: Mask
    intensity_mask: Mask
    places: NDArray[np.intp]
    raw: FloatArray


def _cut(found: Prepared) -> _Cut:
    box = found.box
    mask = np.ascontiguousarray(found.mask[box])
    inside = mask if found.intensity_mask is found.mask else np.ascontiguousarray(found.intensity_mask[box])
    return _Cut(box, mask, inside, np.flatnonzero(inside), np.ascontiguousarray(found.raw[box]))


def _region(
    found: Prepared, cut: _Cut, block: Box, values: NDArray[np.floating[Any]], margin: tuple[int, int, int]
) -> Region:
    unchanged = np.shares_memory(values, found.raw)
    own = cut.raw if unchanged else np.ascontiguousarray(values[box_within(cut.box, block)])
    near = padded_box(cut.box, margin, found.mask.shape)
    return Region(
        mask=cut.mask,
        intensity_mask=cut.intensity_mask,
        places=cut.places,
        raw=cut.raw,
        values=own,
        spacing=found.image.spacing_mm,
        context=own if near == cut.box else np.ascontiguousarray(values[box_within(near, block)]),
        origin=box_start(box_within(cut.box, near)),
    )
