"""Where in the heart the texture lies that bears most on an answer."""

from __future__ import annotations

import numpy as np

from radiocard.cohort.row import Measures
from radiocard.errors import CaseError, SpecError
from radiocard.features.registry import ORIGINAL
from radiocard.features.voxelwise import voxel_maps
from radiocard.image import REGION_NAMES, REGIONS, Case, Key
from radiocard.report.schema_patient import TexturePlaces
from radiocard.report.schema_why import FeatureStory, Why
from radiocard.specs import FeatureSpec
from radiocard.study.pictures import colour_region, shown_slices

RADIUS = 2
_SIDE = 2 * RADIUS + 1


def texture_places(case: Case, heart: Measures, spec: FeatureSpec, why: Why) -> TexturePlaces | None:
    """Draw the texture that bears most on an answer, neighbourhood by neighbourhood.

    Parameters
    ----------
    case : Case
        Images and masks.
    heart : HeartMeasures or MapMeasures
        Gives the level of each slice.
    spec : FeatureSpec
        Specification of the texture.
    why : Why
        Its features are looked through in their order.

    Returns
    -------
    TexturePlaces or None
        None if no top feature is a texture of the image itself that neighbourhoods have (no filter,
        no shape), or resampling took it off the grid of the image.
    """
    for story in why.features:
        found = _parsed(story.column, spec)
        if found is not None:
            places = _drawn(case, heart, spec, story, *found)
            if places is not None:
                return places
    return None


def _parsed(column: str, spec: FeatureSpec) -> tuple[str, Key, str] | None:
    """Return region, image and tag of a column of the original image."""
    region, where, *rest = column.split("__") if "__" in column else (column, "")
    keys = {"_".join(filter(None, key)): key for key in spec.keys}
    if region not in REGIONS or not rest or where not in keys:
        return None
    tag = rest[-1]
    named = len(rest) == 1 and tag.startswith(f"{ORIGINAL}_")  # as PyRadiomics names it
    return (region, keys[where], tag) if named or rest[:-1] == [ORIGINAL] else None


def _drawn(
    case: Case, heart: Measures, spec: FeatureSpec, story: FeatureStory, region: str, key: Key, tag: str
) -> TexturePlaces | None:
    image, mask = case.images[key], case.masks[key].mask(region)
    within = np.zeros_like(mask)
    within[..., list(shown_slices(heart, key).values())] = True
    labelled = np.isin(case.masks[key].array, list(case.masks[key].labels.values()))
    try:
        maps = voxel_maps(image, mask, spec, tags=[tag], radius=RADIUS, labelled=labelled, within=within)
    except (SpecError, CaseError):
        return None
    slices = colour_region(case, heart, maps[tag], key=key, title=story.name, unit=story.unit)
    if not slices:
        return None
    sentence = (
        f"{story.name}, of the {_SIDE} x {_SIDE} pixels around each pixel of the {REGION_NAMES[region]}. "
        "The model saw one value for the whole region; the colours show where it is high and low, not where disease is."
    )
    return TexturePlaces(column=story.column, name=story.name, sentence=sentence, slices=slices)
