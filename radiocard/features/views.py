"""One region after another, in one filtered image after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.features.boxes import Box, bounding_box, box_start, box_within, padded_box, union_box
from radiocard.features.prepare import Prepared, margin_voxels
from radiocard.features.region import Region
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
        boxes = {name: bounding_box(regions[name].mask) for name in names}
        block = padded_box(union_box(list(boxes.values())), margin, image.array.shape)
        for image_name, values, own in filtered_images(image.array, image.spacing_mm, filters, block):
            for name in names:
                cut = _region(regions[name], boxes[name], block, values, margin)
                yield View(name, image_name, own or spec.discretisation, cut)


def _region(
    found: Prepared, box: Box, block: Box, values: NDArray[np.floating[Any]], margin: tuple[int, int, int]
) -> Region:
    inner = box_within(box, block)
    mask = np.ascontiguousarray(found.mask[box])
    own = np.ascontiguousarray(values[inner])
    near = padded_box(box, margin, found.mask.shape)
    return Region(
        mask=mask,
        intensity_mask=mask if found.intensity_mask is found.mask else np.ascontiguousarray(found.intensity_mask[box]),
        raw=own if np.shares_memory(values, found.raw) else np.ascontiguousarray(found.raw[box]),
        values=own,
        spacing=found.image.spacing_mm,
        context=own if near == box else np.ascontiguousarray(values[box_within(near, block)]),
        origin=box_start(box_within(box, near)),
    )
